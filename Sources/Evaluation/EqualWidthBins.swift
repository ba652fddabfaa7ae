/// Values in bins of equal width.
package enum EqualWidthBins {
  /// The bin of each value, of `count` from the smallest value to the largest.
  ///
  /// The largest lies in the last bin. Where all values are the same, or so near that a bin would
  /// have no width, all lie in the first.
  package static func places(_ values: [Double], count: Int) -> [Int] {
    guard let least = values.min(), let most = values.max() else { return [] }
    let width = (most - least) / Double(max(count, 1))
    guard count > 1, width > 0, width.isFinite else { return values.map { _ in 0 } }
    return values.map { min(Int(($0 - least) / width), count - 1) }
  }
}
