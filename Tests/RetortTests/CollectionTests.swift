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
  /// nDCG@10 of all-MiniLM-L6-v2 on CACM: PyTorch, f32, exact search, 256 tokens.
  static let reference = 0.4091

  @Test func `a real collection is built, searched and measured as in PyTorch`() throws {
    let data = try #require(dataFolder)
    let corpus = data + "/data/cacm"
    let model = data + "/models/all-MiniLM-L6-v2"
    let folder = NSTemporaryDirectory() + "retort-collection-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }

    let report = try IndexBuilder.build(
      IndexBuildOptions(corpus: corpus, output: folder), encoder: TextEncoder(directory: model),
      modelPath: model, quiet: true)
    #expect(report.passages == 3204)
    #expect(report.reachable == 3204)

    let searcher = try Searcher(path: folder)
    let queries = try readQueries(path: corpus)
    let texts = queries.map(\.text)
    let exact = try searcher.search(texts, k: 100, mode: .exact, threads: 2).hits
    let walked = try searcher.search(texts, k: 100, mode: .graph(efSearch: 100), threads: 2).hits
    let qrels = try Qrels(path: corpus + "/qrels/test.tsv")
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
