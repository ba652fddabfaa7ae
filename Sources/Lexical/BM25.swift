import Platform

// Robertson and Zaragoza's BM25 in the form that Lucene uses today, without the factor k1 + 1, which
// changes no order:
//
//   score(q, d) = Σ over terms t of q, repetitions counted:
//                 ln(1 + (N − df + 0.5) / (df + 0.5)) · tf / (tf + k1·(1 − b + b·|d| / average))
//
// Contributions are rounded to integers on a scale that is a power of two, chosen per query so that
// no sum exceeds 2^24. So a sum does not depend on its order, it is exactly a Float once scaled
// back, and upper bounds need no slack: pruning cannot change a result.

/// The parameters of BM25.
public struct BM25: Sendable, Codable, Equatable {
  /// How soon more occurrences of a term count less.
  public var k1: Double
  /// How much longer passages count less, 0 to 1.
  public var b: Double

  /// The parameters of BM25; the usual ones for passages are the default.
  public init(k1: Double = 0.9, b: Double = 0.4) {
    self.k1 = k1
    self.b = b
  }

  package func validate() throws(RetortError) {
    guard k1 >= 0, k1 <= 1000, b >= 0, b <= 1 else {
      throw RetortError(
        .usage, "k1 is \(k1) and b is \(b), but k1 must lie in 0...1000 and b in 0...1")
    }
  }
}

/// What weights are computed from: the whole index, not a segment of it.
package struct CollectionStatistics: Sendable {
  /// Passages.
  package var passages: Int
  /// Terms of all passages, repetitions included.
  package var totalLength: Double

  /// Statistics of a collection.
  package init(passages: Int, totalLength: Double) {
    self.passages = passages
    self.totalLength = totalLength
  }

  /// ln(1 + (N − df + 0.5) / (df + 0.5)).
  func inverseFrequency(_ frequency: Int) -> Double {
    log1p((Double(max(passages - frequency, 0)) + 0.5) / (Double(frequency) + 0.5))
  }
}

/// A query's terms with their weights, the same for all segments.
package struct WeightedQuery: Sendable {
  /// The terms that some passage has, and their weights on the scale.
  package let terms: [(term: String, weight: Float)]
  /// What a score on the scale is divided by, a power of two.
  package let scale: Float
  /// k1·(1 − b) and k1·b / average: what a passage of length l adds to tf is their a + b·l.
  let base: Float
  let perTerm: Float

  /// Weighs the terms of a query.
  ///
  /// - Parameter frequency: how many passages have a term.
  package init(
    _ terms: [String], _ parameters: BM25, _ statistics: CollectionStatistics,
    frequency: (String) throws(RetortError) -> Int
  ) throws(RetortError) {
    var counts: [String: Int] = [:]
    for term in terms { counts[term, default: 0] += 1 }
    var weights: [(term: String, weight: Double)] = []
    for (term, count) in counts.ordered(by: { $0.key < $1.key }) {
      let passages = try frequency(term)
      guard passages > 0 else { continue }
      weights.append((term, Double(count) * statistics.inverseFrequency(passages)))
    }
    let total = weights.reduce(0) { $0 + $1.weight }
    // Rounding adds at most 1 a term: 2^23 leaves room for that below 2^24.
    let scale = total > 0 ? exp2((23 - log2(total)).rounded(.down)) : 1
    self.scale = Float(scale)
    self.terms = weights.map { ($0.term, Float($0.weight * scale)) }
    base = Float(parameters.k1 * (1 - parameters.b))
    let average = statistics.totalLength / Double(max(statistics.passages, 1))
    perTerm = average > 0 ? Float(parameters.k1 * parameters.b / average) : 0
  }

  /// What a term of this weight adds to a passage of `length` terms that holds it `count` times.
  ///
  /// Never decreasing in `count`, never increasing in `length`, and so in every rounded step: a bound
  /// computed from a larger count and a smaller length is one.
  @inline(__always)
  func contribution(_ weight: Float, inverseCount: Float, length: UInt32) -> UInt32 {
    let share = weight / (1 + (base + perTerm * Float(length)) * inverseCount)
    // Adding 2^23 rounds to an integer, which is then the mantissa.
    // At least 1: a passage that holds a word is found, however common the word is.
    return max(1, (share + 0x1p23).bitPattern &- Float(0x1p23).bitPattern)
  }
}
