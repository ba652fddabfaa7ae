import Platform

/// Whether two systems differ beyond chance, from their values on the same queries.
public enum Significance {
  /// The paired two-sided t-test: the probability of a mean difference at least this far from 0
  /// if there were none.
  ///
  /// With differences d of mean m and sample standard deviation s over n queries, t = m√n / s with
  /// n − 1 degrees of freedom. Equal values throughout give 1, an equal difference other than 0
  /// throughout gives 0, and fewer than two queries NaN. Both arrays must have one length.
  public static func tTest(_ one: [Double], _ other: [Double]) -> Double {
    precondition(one.count == other.count, "values of the same queries are compared")
    let differences = zip(one, other).map { $0 - $1 }
    let count = Double(differences.count)
    guard count >= 2 else { return .nan }
    let mean = differences.reduce(0, +) / count
    let squares = differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    let deviation = (squares / (count - 1)).squareRoot()
    guard deviation > 0 else { return mean == 0 ? 1 : 0 }
    let t = mean * count.squareRoot() / deviation
    return studentTails(t, degreesOfFreedom: count - 1)
  }

  /// The paired two-sided randomisation test (Fisher; Smucker et al. 2007): how often a mean
  /// difference at least as far from 0 arises when the two systems are exchanged at random, query
  /// by query.
  ///
  /// Where there are no more than `permutations` exchanges, all are tried and the result is exact;
  /// else as many are drawn from `seed`, and the observed one is counted among them, so that the
  /// result is never 0. The same arguments give the same result everywhere.
  public static func randomizationTest(
    _ one: [Double], _ other: [Double], permutations: Int = 10_000, seed: UInt64 = 42
  ) -> Double {
    precondition(one.count == other.count, "values of the same queries are compared")
    // Exchanging equal values changes nothing.
    let differences = zip(one, other).map { $0 - $1 }.filter { $0 != 0 }
    guard !differences.isEmpty, permutations > 0 else { return 1 }
    let scale = differences.reduce(0) { $0 + abs($1) }
    // Sums of the same terms in another arrangement may differ by rounding; they are equal.
    let observed = abs(differences.reduce(0, +)) - 1e-12 * scale
    var extreme = 0
    if differences.count < 32, 1 << differences.count <= permutations {
      let all = 1 << differences.count
      for signs in 0..<all where abs(sum(differences, signs: { signs >> $0 & 1 })) >= observed {
        extreme += 1
      }
      return Double(extreme) / Double(all)
    }
    var random = SplitMix(state: seed)
    var bits: UInt64 = 0
    for _ in 0..<permutations {
      let value = sum(differences) { index in
        if index % 64 == 0 { bits = random.next() }
        return Int(truncatingIfNeeded: bits >> UInt64(index % 64)) & 1
      }
      if abs(value) >= observed { extreme += 1 }
    }
    return Double(extreme + 1) / Double(permutations + 1)
  }

  private static func sum(_ terms: [Double], signs: (Int) -> Int) -> Double {
    var sum = 0.0
    for (index, term) in terms.enumerated() { sum += signs(index) == 0 ? term : -term }
    return sum
  }

  /// P(|T| ≥ |t|) of Student's distribution: I(ν / (ν + t²); ν/2, 1/2).
  package static func studentTails(_ t: Double, degreesOfFreedom: Double) -> Double {
    guard t.isFinite else { return 0 }
    return incompleteBeta(
      degreesOfFreedom / (degreesOfFreedom + t * t), degreesOfFreedom / 2, 0.5)
  }
}

/// Steele, Lea & Flood's SplitMix64: a seedable source that is the same on every machine.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
