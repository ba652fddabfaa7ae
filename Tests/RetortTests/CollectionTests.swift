import Foundation
import Retort
import Testing

/// The folder of real collections and models, where there is one.
private let dataFolder = ProcessInfo.processInfo.environment["RETORT_DATA"]

@Suite(
  .enabled(
    if: dataFolder != nil,
    "set RETORT_DATA to a folder with data/cacm and models/all-MiniLM-L6-v2"))
struct CollectionTests {
  /// nDCG@10 of all-MiniLM-L6-v2 on every third passage of CACM, over the 46 queries with a relevant
  /// one among them: PyTorch, f32, exact search, 256 tokens.
  static let reference = 0.4568

  /// Writes the passages whose number is a multiple of three, and what qrels say of them.
  private func third(of collection: String, to folder: String) throws {
    func isKept(_ id: some StringProtocol) -> Bool { Int(id).map { $0 % 3 == 0 } ?? false }
    let lines = try String(contentsOfFile: collection + "/corpus.jsonl", encoding: .utf8)
      .split(separator: "\n")
    let passages = lines.filter { isKept($0.split(separator: "\"", maxSplits: 4)[3]) }
    let judgements = try String(contentsOfFile: collection + "/qrels/test.tsv", encoding: .utf8)
      .split(separator: "\n").filter { isKept($0.split(separator: "\t")[1]) }
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true)
    try passages.joined(separator: "\n").write(
      toFile: folder + "/corpus.jsonl", atomically: false, encoding: .utf8)
    try (["query-id\tcorpus-id\tscore"] + judgements).joined(separator: "\n").write(
      toFile: folder + "/qrels.tsv", atomically: false, encoding: .utf8)
  }

  @Test func `a real collection is built, searched and measured as in PyTorch`() throws {
    let data = try #require(dataFolder)
    let corpus = data + "/data/cacm"
    let model = data + "/models/all-MiniLM-L6-v2"
    let folder = NSTemporaryDirectory() + "retort-collection-\(UUID().uuidString)"
    let reduced = folder + "-corpus"
    defer {
      try? FileManager.default.removeItem(atPath: folder)
      try? FileManager.default.removeItem(atPath: reduced)
    }
    try third(of: corpus, to: reduced)

    let report = try IndexBuilder.build(
      IndexBuildOptions(corpus: reduced + "/corpus.jsonl", output: folder),
      encoder: TextEncoder(directory: model),
      modelPath: model, quiet: true)
    #expect(report.passages == 1068)
    #expect(report.reachable == 1068)

    let searcher = try Searcher(path: folder)
    let queries = try readQueries(path: corpus)
    let texts = queries.map(\.text)
    let exact = try searcher.search(texts, k: 100, mode: .exact, threads: 2).hits
    let walked = try searcher.search(texts, k: 100, mode: .graph(efSearch: 100), threads: 2).hits
    let qrels = try Qrels(path: reduced + "/qrels.tsv")
    for hits in [exact, walked] {
      let run = try Run(
        zip(queries, hits).map { query, hits in
          (
            query.id,
            try hits.map { (try searcher.index.id($0.number), Double($0.score)) }
          )
        })
      let measure = try Measure("nDCG@10")
      let found = RunEvaluation(run, against: qrels, measures: [measure]).summary(0)
      #expect(abs(found - Self.reference) <= 0.003, "nDCG@10 \(found)")
    }
    let recall = recallAtK(
      exact: exact.map { $0.map { UInt32($0.number) } },
      approximate: walked.map { $0.map { UInt32($0.number) } }, k: 10)
    #expect(recall >= 0.99, "recall@10 \(recall)")
    try searcher.index.verify()
  }
}
