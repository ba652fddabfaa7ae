import Formats

/// Two systems side by side on one measure.
public struct RunComparison: Sendable {
  /// The measure.
  public let measure: Measure
  /// The first system's mean (or sum, for counts).
  public let first: Double
  /// The second system's mean (or sum, for counts).
  public let second: Double
  /// The paired two-sided t-test's p; NaN with fewer than two queries.
  public let tTest: Double
  /// The paired two-sided randomisation test's p.
  public let randomization: Double
  /// Queries on which the second system is better.
  public let wins: Int
  /// Queries on which both are equal (within 1e-9).
  public let ties: Int
  /// Queries on which the second system is worse.
  public let losses: Int

  /// Second minus first.
  public var difference: Double { second - first }

  /// Compares two evaluations measure by measure, over the queries that both count.
  ///
  /// Both must be of the same measures against the same qrels.
  public static func compare(
    _ first: RunEvaluation, _ second: RunEvaluation, permutations: Int = 10_000, seed: UInt64 = 42
  ) -> [RunComparison] {
    precondition(first.measures == second.measures, "the same measures are compared")
    let common = Set(first.queryIDs.map(ByteKey.init))
      .intersection(second.queryIDs.map(ByteKey.init))
    let one = first.restricted(to: common)
    let other = second.restricted(to: common)
    return first.measures.indices.map { index in
      let before = one.values(index)
      let after = other.values(index)
      let differences = zip(after, before).map { $0 - $1 }
      return RunComparison(
        measure: first.measures[index], first: one.summary(index), second: other.summary(index),
        tTest: Significance.tTest(after, before),
        randomization: Significance.randomizationTest(
          after, before, permutations: permutations, seed: seed),
        wins: differences.count { $0 > 1e-9 }, ties: differences.count { abs($0) <= 1e-9 },
        losses: differences.count { $0 < -1e-9 })
    }
  }
}
