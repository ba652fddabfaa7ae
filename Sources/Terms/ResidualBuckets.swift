import Platform

/// The buckets into which residuals are sorted: those of Santhanam et al. 2022 (arXiv:2112.01488).
package struct ResidualBuckets: Sendable, Equatable {
  /// Bits a component: 1, 2 or 4.
  package let bits: Int
  /// Between the buckets, 2^bits − 1 numbers; a value at a cutoff is in the bucket below it.
  package let cutoffs: [Float]
  /// What a value of each bucket is taken for, 2^bits numbers.
  package let weights: [Float]

  /// Buckets of given borders and values.
  package init(bits: Int, cutoffs: [Float], weights: [Float]) {
    self.bits = bits
    self.cutoffs = cutoffs
    self.weights = weights
  }

  /// Buckets of equal shares of `sample`: cutoffs are its quantiles i / 2^bits, weights those half-way
  /// between.
  package init(bits: Int, sample: [Float]) {
    let sorted = sample.ordered(by: <)
    let count = 1 << bits
    self.init(
      bits: bits,
      cutoffs: (1..<count).map { Self.quantile(sorted, Double($0) / Double(count)) },
      weights: (0..<count).map { Self.quantile(sorted, (Double($0) + 0.5) / Double(count)) })
  }

  /// The quantile of sorted numbers, between two of them linearly.
  private static func quantile(_ sorted: [Float], _ share: Double) -> Float {
    guard let last = sorted.last else { return 0 }
    let place = share * Double(sorted.count - 1)
    let low = Int(place)
    guard low + 1 < sorted.count else { return last }
    let part = place - Double(low)
    return Float(Double(sorted[low]) * (1 - part) + Double(sorted[low + 1]) * part)
  }
}
