import Evaluation
import Formats
import Foundation
import Platform
import Testing

/// Measures at every depth from one scoring.
@Suite struct DepthSweepTests {
  private static let measures = [
    Measure(.nDCG, cutoff: 10), Measure(.reciprocalRank, cutoff: 10), Measure(.averagePrecision),
    Measure(.recall, cutoff: 20), Measure(.precision, cutoff: 5), Measure(.retrievedCount),
  ]

  private typealias Answers = [(query: String, hits: [(document: String, score: Double)])]

  /// Candidates of some queries in a random order, and the same in another with ties.
  private func runs(seed: UInt64) -> (candidates: Answers, reranked: Answers, qrels: String) {
    var random = SplitMix64(seed: seed)
    var (candidates, reranked): (Answers, Answers) = ([], [])
    var qrels = ""
    for query in 0..<6 {
      let count = query == 4 ? 0 : 3 + Int(random.next() % 30)
      let documents = (0..<count).map { "d\($0)" }
      candidates.append(
        ("q\(query)", documents.enumerated().map { ($0.element, Double(count - $0.offset)) }))
      reranked.append(("q\(query)", documents.map { ($0, Double(random.next() % 9)) }))
      for document in documents where random.next() % 3 == 0 {
        qrels += "q\(query) 0 \(document) \(random.next() % 4)\n"
      }
      qrels += "q\(query) 0 elsewhere 2\n"
    }
    return (candidates, reranked, qrels)
  }

  private func qrels(_ text: String) throws -> Qrels {
    let path = FileManager.default.temporaryDirectory.path + "/retort-sweep-\(UUID().uuidString)"
    try FileSystem.replace(path, with: Array(text.utf8))
    defer { try? FileSystem.remove(path) }
    return try Qrels(path: path)
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func `a depth has the values of a run that was cut there before re-ranking`(seed: UInt64) throws {
    let (candidates, reranked, text) = runs(seed: seed)
    let qrels = try qrels(text)
    let sweep = DepthSweep(
      try Run(reranked), candidates: try Run(candidates), against: qrels, measures: Self.measures)
    #expect(sweep.strangers == 0 && sweep.queries == 6 && sweep.missingQueries == 1)
    #expect(sweep.depths.first == 1)
    #expect(sweep.depths.last == candidates.map(\.hits.count).max())
    for (place, depth) in sweep.depths.enumerated() {
      let cut = zip(candidates, reranked).map { first, second in
        let kept = Set(first.hits.prefix(depth).map(\.document))
        return (query: second.query, hits: second.hits.filter { kept.contains($0.document) })
      }
      let evaluation = RunEvaluation(try Run(cut), against: qrels, measures: Self.measures)
      for column in Self.measures.indices {
        let expected = evaluation.summary(column)
        #expect(
          abs(sweep.value(depth: place, measure: column) - expected) < 1e-12, "depth \(depth)")
      }
    }
    let values = sweep.depths.indices.map { sweep.value(depth: $0, measure: 0) }
    #expect(sweep.best(measure: 0) == values.firstIndex(of: values.max() ?? 0))
  }

  @Test func `documents that were no candidates are counted and left out`() throws {
    let qrels = try qrels("q 0 b 1\n")
    let sweep = DepthSweep(
      try Run([("q", [("x", 9), ("b", 8), ("a", 7)])]),
      candidates: try Run([("q", [("a", 2), ("b", 1)])]), against: qrels,
      measures: [Measure(.reciprocalRank)], depths: [2, 1, 2])
    #expect(sweep.depths == [1, 2] && sweep.strangers == 1 && sweep.documents == 3)
    #expect(sweep.value(depth: 0, measure: 0) == 0)
    #expect(sweep.value(depth: 1, measure: 0) == 1)
  }

  @Test func `a candidate's rank is that of an evaluator: ties by the larger id`() throws {
    let qrels = try qrels("q 0 b 1\n")
    let sweep = DepthSweep(
      try Run([("q", [("a", 2), ("b", 1)])]), candidates: try Run([("q", [("a", 5), ("b", 5)])]),
      against: qrels, measures: [Measure(.reciprocalRank)])
    #expect(sweep.value(depth: 0, measure: 0) == 1)
    #expect(sweep.value(depth: 1, measure: 0) == 0.5)
    #expect(sweep.best(measure: 0) == 0)
  }

  @Test func `the chart has a line a measure, sums left out`() throws {
    let (candidates, reranked, text) = runs(seed: 3)
    let sweep = DepthSweep(
      try Run(reranked), candidates: try Run(candidates), against: try qrels(text),
      measures: Self.measures)
    let svg = sweep.chart(title: "t").render()
    #expect(svg.components(separatedBy: "<polyline").count == 6)
    #expect(svg.contains("re-ranking depth") && svg.contains("nDCG@10") && !svg.contains("NumRet"))
  }
}
