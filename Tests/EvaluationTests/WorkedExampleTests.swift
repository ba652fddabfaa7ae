import Evaluation
import Formats
import Platform
import Testing

/// A small example whose values were computed with trec_eval 9.0.8 and 10.0.
@Suite struct WorkedExampleTests {
  let qrels: Qrels
  let run: Run

  init() throws {
    qrels = try Qrels([
      ("q1", "dA", 3), ("q1", "dB", 0), ("q1", "dC", 1), ("q1", "dD", 2), ("q1", "dE", 2),
      ("q2", "dX", 1), ("q3", "dZ", 1), ("q4", "dQ", 0),
    ])
    run = try Run([
      ("q1", [("dB", 9), ("dC", 8), ("dF", 7), ("dA", 6), ("dD", 5)]),
      ("q2", [("dW", 2.5), ("dX", 2.5), ("dY", 2.5)]), ("q4", [("dQ", 1)]), ("q5", [("dA", 1)]),
    ])
  }

  private let names = ["AP", "RR", "R@3", "R@1000", "nDCG@3", "nDCG@10", "AP@3"]

  private func evaluate(_ names: [String], common: Bool = false, level: Int = 1) throws
    -> RunEvaluation
  {
    RunEvaluation(
      run, against: qrels, measures: try names.map { try Measure($0) },
      queries: common ? .common : .allJudged, relevance: level)
  }

  private func row(_ evaluation: RunEvaluation, _ query: String) throws -> [String] {
    let place = try #require(evaluation.queryIDs.firstIndex(of: query))
    return evaluation.measures.indices.map { four(evaluation.values($0)[place]) }
  }

  private func means(_ evaluation: RunEvaluation) -> [String] {
    evaluation.measures.indices.map { four(evaluation.summary($0)) }
  }

  @Test func `per query at level 1`() throws {
    let values = try evaluate(names, common: true)
    #expect(
      try row(values, "q1")
        == ["0.4000", "0.5000", "0.2500", "0.7500", "0.1199", "0.4737", "0.1250"])
    #expect(
      try row(values, "q2")
        == ["0.5000", "0.5000", "1.0000", "1.0000", "0.6309", "0.6309", "0.5000"])
    #expect(try row(values, "q4") == [String](repeating: "0.0000", count: 7))
    #expect(values.queryIDs == ["q1", "q2", "q4"])
  }

  @Test func `means over the common queries and over all`() throws {
    let some = ["AP", "RR", "R@1000", "nDCG@10"]
    let common = try evaluate(some, common: true)
    #expect(means(common) == ["0.3000", "0.3333", "0.5833", "0.3682"])
    let all = try evaluate(some)
    #expect(means(all) == ["0.2250", "0.2500", "0.4375", "0.2762"])
    #expect(try row(all, "q3") == [String](repeating: "0.0000", count: 4))
    for evaluation in [common, all] {
      #expect(evaluation.missingQueries == 1)
      #expect(evaluation.unjudgedQueries == 1)
    }
  }

  @Test func `level 2 moves binary measures and leaves nDCG`() throws {
    let some = ["AP", "RR", "R@1000"]
    let common = try evaluate(some + ["nDCG@10"], common: true, level: 2)
    #expect(try row(common, "q1") == ["0.2167", "0.2500", "0.6667", "0.4737"])
    #expect(Array(means(common).prefix(3)) == ["0.0722", "0.0833", "0.2222"])
    #expect(means(try evaluate(some, level: 2)) == ["0.0542", "0.0625", "0.1667"])
    let named = try evaluate(["AP(rel=2)", "RR(rel=2)", "R(rel=2)@1000"])
    #expect(means(named) == ["0.0542", "0.0625", "0.1667"])
  }

  @Test func `scores that only 64 bits tell apart`() throws {
    let qrels = try Qrels([("q", "a", 1)])
    let run = try Run([("q", [("a", 16_777_217), ("b", 16_777_216)])])
    let measures = [Measure(.reciprocalRank)]
    #expect(RunEvaluation(run, against: qrels, measures: measures).summary(0) == 0.5)
    let wide = RunEvaluation(run, against: qrels, measures: measures, scores: .float64)
    #expect(wide.summary(0) == 1)
  }

  @Test func `ties go to the larger id, compared by bytes`() throws {
    let qrels = try Qrels([("q", "a-long-identifier-2", 1)])
    let ids = ["a-long-identifier-10", "a-long-identifier-2", "a-long-identifier", "B", "é"]
    let run = try Run([("q", ids.map { ($0, 1) })])
    // é, a…-2, a…-10, a…, B
    let value = RunEvaluation(run, against: qrels, measures: [Measure(.reciprocalRank)])
    #expect(value.summary(0) == 0.5)
  }

  @Test func `linear and exponential gain`() throws {
    let qrels = try Qrels([("q", "a", 0), ("q", "b", 2), ("q", "c", 3)])
    let run = try Run([("q", [("a", 3), ("b", 2), ("c", 1)])])
    let measures = [
      Measure(.nDCG, cutoff: 3), Measure(.nDCG, cutoff: 3, gain: .exponential),
    ]
    let values = RunEvaluation(run, against: qrels, measures: measures)
    #expect(four(values.summary(0)) == "0.6480")
    #expect(four(values.summary(1)) == "0.6064")
  }

  @Test func `an MS MARCO run is ranked by its rank column, gaps included`() throws {
    let folder = "/tmp/retort-evaluation-\(UInt64.random(in: 0 ... .max))"
    try FileSystem.makeFolder(folder)
    defer { try? FileSystem.removeTree(folder) }
    try FileSystem.replace(
      folder + "/run", with: Array("1\tx\t4\n1\ta\t2\n2\ta\t11\n3\ta\t1\n3\tx\t3\n".utf8))
    let run = try Run(path: folder + "/run")
    let qrels = try Qrels([("1", "x", 1), ("2", "a", 1), ("3", "x", 1), ("4", "x", 1)])
    let measures = try ["RR@10", "RR", "P@4", "Judged@3"].map { try Measure($0) }
    let values = RunEvaluation(run, against: qrels, measures: measures)
    let third = 1.0 / 3
    let eleventh = 1.0 / 11
    #expect(values.values(0) == [0.25, 0, third, 0])
    #expect(values.values(1) == [0.25, eleventh, third, 0])
    #expect(values.values(2) == [0.25, 0, 0.25, 0])
    #expect(values.values(3) == [0, 0, 0.5, 0])
    let mean = (0.25 + third) / 4
    #expect(abs(values.summary(0) - mean) < 1e-15)
  }
}
