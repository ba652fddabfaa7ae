import Platform

/// The range of a chart's axis and where its ticks lie.
struct ChartAxis {
  let lower: Double
  let upper: Double
  let isLogarithmic: Bool
  let ticks: [Double]

  /// An axis for `values`, all finite, and positive where it is logarithmic.
  init(_ values: [Double], isLogarithmic: Bool, ticks wanted: Int) {
    self.isLogarithmic = isLogarithmic
    let low = values.min() ?? (isLogarithmic ? 1 : 0)
    let high = values.max() ?? (isLogarithmic ? 10 : 1)
    if isLogarithmic {
      (lower, upper, ticks) = Self.logarithmic(low, high)
    } else {
      (lower, upper, ticks) = Self.linear(low, high, wanted)
    }
  }

  /// Where a value lies between the ends of the axis, from 0 to 1.
  func fraction(_ value: Double) -> Double {
    isLogarithmic
      ? (log10(value) - log10(lower)) / (log10(upper) - log10(lower))
      // Halved before the subtraction, so that no difference overflows.
      : (value / 2 - lower / 2) / (upper / 2 - lower / 2)
  }

  /// Steps of 1, 2 or 5 times a power of ten, the ends on steps.
  private static func linear(
    _ low: Double, _ high: Double, _ wanted: Int
  ) -> (Double, Double, [Double]) {
    var low = max(low, -1e300)
    var high = min(high, 1e300)
    if high - low <= 1e-12 * max(abs(low), abs(high)) {
      // One value only: room on both sides.
      let room = low == 0 ? 1 : abs(low) * 0.1
      low -= room
      high += room
    }
    let rough = (high - low) / Double(wanted)
    let power = pow(10, log10(rough).rounded(.down))
    let factor = [1.0, 2, 5, 10].first { $0 * power >= rough * 0.999 } ?? 10
    let step = factor * power
    let first = (low / step + 1e-9).rounded(.down)
    let last = (high / step - 1e-9).rounded(.up)
    let count = Int(min(max(last - first, 1), 100))
    let ticks = (0...count).map { (first + Double($0)) * step }
    return (ticks[0], ticks[count], ticks)
  }

  /// Powers of ten, and their doubles and fivefolds where there are few; the ends on ticks.
  private static func logarithmic(
    _ low: Double, _ high: Double
  ) -> (Double, Double, [Double]) {
    let first = Int(log10(low).rounded(.down))
    let last = Int(log10(high).rounded(.up))
    let stride = max(1, (last - first) / 8)
    let factors: [Double] = last - first <= 3 ? [1, 2, 5] : [1]
    var candidates: [Double] = []
    var exponent = first
    while exponent <= last + stride {
      candidates += factors.map { $0 * pow(10, Double(exponent)) }.filter { $0 > 0 && $0.isFinite }
      exponent += stride
    }
    let tolerance = 1 + 1e-9
    let lower = candidates.last { $0 <= low * tolerance } ?? low
    var upper = candidates.first { $0 >= high / tolerance } ?? high
    if upper <= lower { upper = candidates.first { $0 > lower } ?? lower * 10 }
    return (lower, upper, candidates.filter { $0 >= lower && $0 <= upper })
  }

  /// A number as people write it on an axis: `0.05`, `200`, `2.5k`, `2M`, `1e-07`.
  static func text(_ value: Double) -> String {
    let size = abs(value)
    for (unit, suffix) in [(1e9, "G"), (1e6, "M"), (1e3, "k")]
    where size >= unit && size < 1e12 {
      return short(value / unit) + suffix
    }
    if size != 0, size < 1e-4 || size >= 1e12 { return "\(Float(value))" }
    return short(value)
  }

  private static func short(_ value: Double) -> String {
    let rounded = (value * 1e6).rounded() / 1e6
    return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(Float(rounded))"
  }
}
