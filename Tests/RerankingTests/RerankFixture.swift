import Formats
import Foundation
import Models
import Platform
import Reranking
import TestSupport

/// A tiny cross-encoder, a corpus, queries and a run with candidates of every query.
struct RerankFixture {
  let folder: TemporaryFolder
  let corpus = SyntheticCorpus(count: 60, seed: 5)
  let queries: [(id: String, text: String)]

  var model: String { folder.path + "/cat" }

  init() throws {
    folder = try TemporaryFolder("rerank")
    try TinyEncoder.write(to: folder.path + "/cat", head: .classifier)
    try folder.file("corpus.tsv", corpus.tsv)
    let words = TinyEncoder.words
    queries = (0..<7).map { ("q\($0)", "\(words[$0 * 3]) \(words[$0 * 5 + 2])") }
    try folder.file("topics.tsv", queries.map { "\($0.id)\t\($0.text)\n" }.joined())
    try folder.file("run.trec", run(perQuery: 12))
  }

  /// Candidate number `rank` of query number `query`.
  func candidate(_ query: Int, _ rank: Int) -> (id: String, text: String) {
    corpus.passages[(query * 11 + rank * 3) % corpus.passages.count]
  }

  /// A run of scores from 100 down.
  func run(perQuery count: Int) -> String {
    queries.indices.map { query in
      (0..<count).map { rank in
        "q\(query) Q0 \(candidate(query, rank).id) \(rank + 1) \(100 - rank) first\n"
      }.joined()
    }.joined()
  }

  func options(_ output: String, source: PassageSource? = nil) -> RunRerankingOptions {
    RunRerankingOptions(
      run: folder.path + "/run.trec", topics: folder.path + "/topics.tsv",
      passages: source ?? .corpus(folder.path + "/corpus.tsv"),
      reranker: RerankerName(kind: .cat, model: model), output: folder.path + "/" + output)
  }

  func lines(_ name: String) throws -> [[String]] {
    String(decoding: try FileSystem.read(folder.path + "/" + name), as: UTF8.self)
      .split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
  }

  func error(_ options: RunRerankingOptions) -> RetortError? {
    do {
      _ = try RunReranking.rerank(options, quiet: true)
      return nil
    } catch {
      return error
    }
  }
}
