import Formats
import Indexing
import Lexical
import Mining
import Models
import Platform
import Retrieval
import TestSupport

/// An index with words, queries that are parts of passages, and judgements; only read by tests.
final class MiningFixture: Sendable {
  let folder: TemporaryFolder
  /// 300 passages; 7 and 8 have one text, 9 has none, 10 has a TAB and a line end.
  let passages: [(id: String, text: String)]
  /// Query i is made of words of passage 5·i, its positive; passage 5·i + 1 is judged 0.
  let queries: [(id: String, text: String)]

  static let shared = Result { try MiningFixture() }

  var path: String { folder.path }
  var index: String { folder.path + "/index" }

  private init() throws {
    folder = try TemporaryFolder("mining")
    var corpus = SyntheticCorpus(count: 300, seed: 41).passages
    corpus[8].text = corpus[7].text
    corpus[9].text = ""
    corpus[10].text = "water\triver\\nlake gold gold water"
    passages = corpus
    queries = (0..<40).map { number in
      let words = corpus[number * 5].text.split(whereSeparator: { " \t".contains($0) })
      return ("q\(number)", words.prefix(4).joined(separator: " ") + " water gold")
    }
    let lines = corpus.map { "{\"_id\": \"\($0.id)\", \"text\": \"\($0.text)\"}\n" }
      .map { $0.replacing("\t", with: "\\t") }
    try folder.file("corpus.jsonl", lines.joined())
    try folder.file("queries.tsv", queries.map { "\($0.id)\t\($0.text)\n" }.joined())
    let qrels = queries.indices.map {
      "q\($0) 0 \(corpus[$0 * 5].id) 1\nq\($0) 0 \(corpus[$0 * 5 + 1].id) 0\n"
    }
    try folder.file("qrels", qrels.joined())
    try TinyEncoder.write(to: path + "/model")
    try TinyEncoder.write(to: path + "/teacher", seed: 3, head: .classifier)
    var build = IndexBuildOptions(corpus: path + "/corpus.jsonl", output: index)
    build.m = 8
    build.efConstruction = 40
    build.lexical = LexicalSettings()
    _ = try IndexBuilder.build(
      build, encoder: try TextEncoder(directory: path + "/model"), modelPath: path + "/model",
      quiet: true)
  }

  func options(_ output: String, _ source: MiningOptions.Source) -> MiningOptions {
    var options = MiningOptions(
      index: index, queries: path + "/queries.tsv", qrels: path + "/qrels", source: source,
      output: path + "/" + output)
    options.threads = 2
    return options
  }

  func mine(_ options: MiningOptions) throws -> (report: MiningReport, triples: [Triple]) {
    guard let report = try HardNegatives.mine(options, quiet: true) else {
      throw RetortError(.badData, "it was finished before")
    }
    return (
      report,
      try triples(
        options.output,
        hasScores: options.teacher != nil
          || options.teacherScores != nil)
    )
  }

  func triples(_ path: String, hasScores: Bool = false) throws -> [Triple] {
    let reader = try TripleReader(path: path, layout: hasScores ? .teacherScores : .triples)
    var triples: [Triple] = []
    while let triple = try reader.next() { triples.append(triple) }
    return triples
  }

  func error(_ options: MiningOptions) -> RetortError? {
    do {
      _ = try HardNegatives.mine(options, quiet: true)
      return nil
    } catch {
      return error
    }
  }

  /// A run of 30 passages for every query, scores from 30 down: passages i, i + 7, i + 14, ….
  func run(_ name: String, strangers: Int = 0) throws -> String {
    var lines: [String] = []
    for query in queries.indices {
      for rank in 0..<30 {
        let id = rank < strangers ? "stranger\(rank)" : passages[(query + rank * 7) % 300].id
        lines.append("q\(query) Q0 \(id) \(rank + 1) \(30 - rank) x\n")
      }
    }
    return try folder.file(name, lines.joined())
  }
}
