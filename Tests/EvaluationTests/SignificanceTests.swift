import Evaluation
import Formats
import Platform
import Testing

@Suite struct SignificanceTests {
  /// Golden values of scipy.special.betainc.
  @Test(arguments: [
    (0.5, 2, 3, 0.6875), (0.1, 0.5, 0.5, 0.20483276469913345),
    (0.9, 10, 0.5, 0.15164090963470994), (0.3, 200, 400, 0.03974014158348622),
    (1e-8, 0.5, 0.5, 6.366197734286143e-05), (0.999, 21, 0.5, 0.838530159386613),
    (0.02, 5, 0.5, 7.941481249247106e-10), (0, 2, 3, 0), (1, 2, 3, 1),
  ])
  func `the incomplete beta function`(x: Double, a: Double, b: Double, expected: Double) {
    #expect(abs(incompleteBeta(x, a, b) - expected) <= 1e-12 * expected)
    #expect(abs(incompleteBeta(1 - x, b, a) - (1 - expected)) < 1e-8)
  }

  /// Golden values of scipy.stats.t.sf, doubled.
  @Test(arguments: [
    (2.0, 10, 0.07338803477074037), (0.5, 1, 0.7048327646991335),
    (12.7062047, 1, 0.05000000014176587), (5, 42, 1.0645628979962234e-05),
    (-5, 42, 1.0645628979962234e-05), (30, 42, 5.374541829805925e-30),
    (1.96, 100_000, 0.04999856319430168), (0, 7, 1),
  ])
  func `both tails of Student's distribution`(t: Double, degrees: Double, expected: Double) {
    let value = Significance.studentTails(t, degreesOfFreedom: degrees)
    #expect(abs(value - expected) <= 1e-9 * expected)
  }

  private let one = [0.5, 0.25, 1, 0, 0.3333, 0.2, 1, 0.5, 0.125, 0]
  private let other = [1, 0.5, 1, 0.1, 0.25, 0.3333, 1, 0.2, 0.5, 0.1]

  @Test func `the paired t-test equals scipy's`() {
    #expect(abs(Significance.tTest(one, other) - 0.1719626611794854) < 1e-12)
    #expect(abs(Significance.tTest(other, one) - 0.1719626611794854) < 1e-12)
  }

  @Test func `the t-test at its edges`() {
    #expect(Significance.tTest([1, 2], [1, 2]) == 1)
    #expect(Significance.tTest([1, 2, 3], [0, 1, 2]) == 0)
    #expect(Significance.tTest([1], [0]).isNaN)
    #expect(Significance.tTest([], []).isNaN)
  }

  @Test func `few queries are permuted exactly`() {
    // All 1,024 sign patterns, enumerated in Python.
    #expect(Significance.randomizationTest(one, other) == 0.1796875)
    #expect(Significance.randomizationTest(one, one) == 1)
    #expect(Significance.randomizationTest([1], [0]) == 1)
    #expect(Significance.randomizationTest([1, 1, 1], [0, 0, 0]) == 0.25)
  }

  @Test func `sampled permutations approach the exact value and repeat themselves`() {
    // Twenty differences that no sum shares: 2^20 sign patterns.
    let base = (0..<20).map { Double($0 * $0 % 23) / 23 }
    let changed = base.enumerated().map { $1 + ($0 % 3 == 0 ? -0.11 : 0.07) + Double($0) * 0.0013 }
    let exact = Significance.randomizationTest(base, changed, permutations: 1 << 20)
    #expect(exact > 0.01 && exact < 0.99)
    #expect(abs(exact - Significance.tTest(base, changed)) < 0.05)
    let sampled = (1...3).map {
      Significance.randomizationTest(base, changed, permutations: 2000, seed: $0)
    }
    for value in sampled { #expect(abs(value - exact) < 0.06) }
    #expect(Set(sampled).count > 1)
    #expect(
      sampled[2] == Significance.randomizationTest(base, changed, permutations: 2000, seed: 3))
    let many = (0..<100).map { Double($0) }
    let better = many.map { $0 + 1 }
    #expect(Significance.randomizationTest(many, better) == 1.0 / 10_001)
  }

  @Test func `two runs side by side`() throws {
    let qrels = try Qrels((0..<6).map { ("q\($0)", "r", 1) })
    func run(_ ranks: [Int?]) throws -> Run {
      try Run(
        ranks.enumerated().compactMap { query, rank in
          rank.map { rank in
            ("q\(query)", (1...5).map { ($0 == rank ? "r" : "x\($0)", Double(-$0)) })
          }
        })
    }
    let measures = [Measure(.reciprocalRank), Measure(.queryCount)]
    let first = try run([1, 2, 2, 5, nil, 1])
    let second = try run([1, 1, 4, 1, 2, nil])
    let all = RunComparison.compare(
      RunEvaluation(first, against: qrels, measures: measures),
      RunEvaluation(second, against: qrels, measures: measures))
    #expect(abs(all[0].first - 3.2 / 6) < 1e-12)
    #expect(abs(all[0].second - 3.75 / 6) < 1e-12)
    #expect(abs(all[0].difference - 0.55 / 6) < 1e-12)
    #expect([all[0].wins, all[0].ties, all[0].losses] == [3, 1, 2])
    let common = RunComparison.compare(
      RunEvaluation(first, against: qrels, measures: measures, queries: .common),
      RunEvaluation(second, against: qrels, measures: measures, queries: .common))
    #expect(common[1].first == 4 && common[1].second == 4)
    #expect([common[0].wins, common[0].ties, common[0].losses] == [2, 1, 1])
    #expect(common[0].measure == measures[0])
  }
}
