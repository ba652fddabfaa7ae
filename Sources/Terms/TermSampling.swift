import Platform

/// How many centroids a collection of term vectors gets, and which of them they are learned from.
package enum TermSampling {
  /// The largest number of centroids.
  package static let mostCentroids = 1 << 18
  /// Vectors of the sample for each centroid: more of them hardly move it.
  private static let rowsPerCentroid = 40
  /// Bytes of the sample at most.
  private static let mostBytes = 512 << 20
  /// One vector of so many of the sample takes no part in learning centroids but tells the residuals.
  package static let heldOut = 20
  /// Values of the residuals that quantiles are taken of, at most.
  package static let mostResiduals = 4 << 20

  /// 2^⌊log₂(16 √rows)⌋ (Santhanam et al. 2022).
  package static func usualCentroids(rows: Int) -> Int {
    let wanted = 16 * Double(max(rows, 1)).squareRoot()
    var count = 1
    while count < 1 << 30, Double(count * 2) <= wanted { count *= 2 }
    return count
  }

  /// The same, as long as each has three vectors to be learned from.
  package static func centroids(rows: Int, dimension: Int) -> Int {
    var count = min(usualCentroids(rows: rows), mostCentroids)
    let learning = sampled(rows: rows, centroids: count, dimension: dimension)
    while count > 1, count * 3 > learning - learning / heldOut { count /= 2 }
    return count
  }

  /// Vectors of the sample.
  package static func sampled(rows: Int, centroids: Int, dimension: Int) -> Int {
    min(rows, centroids * rowsPerCentroid, mostBytes / (4 * max(dimension, 1)))
  }

  /// `count` of the numbers 0..<rows, one of each of as many equal stretches, ascending.
  package static func rows(_ count: Int, of rows: Int) -> [Int] {
    guard count < rows else { return Array(0..<rows) }
    var random = SplitMix64(seed: 123)
    return (0..<count).map { stretch in
      let first = stretch * rows / count
      let next = (stretch + 1) * rows / count
      return first + Int(random.next() % UInt64(max(next - first, 1)))
    }
  }
}
