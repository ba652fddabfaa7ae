import Platform

/// The regularised incomplete beta function I(x; a, b), for 0 ≤ x ≤ 1 and a, b > 0.
///
/// The continued fraction of DLMF 8.17.22, evaluated by Lentz's method, which converges in
/// O(√max(a, b)) steps for x below (a + 1) / (a + b + 2); above, by I(x; a, b) = 1 − I(1 − x; b, a).
/// The relative error is around 1e-13 for parameters up to some thousands.
package func incompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
  if x <= 0 { return 0 }
  if x >= 1 { return 1 }
  if x > (a + 1) / (a + b + 2) { return 1 - incompleteBeta(1 - x, b, a) }
  let gammas: Double = lgamma(a + b) - lgamma(a) - lgamma(b)
  let powers: Double = a * log(x) + b * log1p(-x)
  let front = exp(gammas + powers) / a
  // Keeps a vanishing denominator from dividing by zero.
  let tiny = 1e-300
  func guarded(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
  var c = 1.0
  var d = 1 / guarded(1 - (a + b) * x / (a + 1))
  var fraction = d
  for step in 1...10_000 {
    let m = Double(step)
    let middle: Double = a + 2 * m
    let even: Double = m * (b - m) * x / ((middle - 1) * middle)
    d = 1 / guarded(1 + even * d)
    c = guarded(1 + even / c)
    fraction *= c * d
    let odd: Double = -(a + m) * (a + b + m) * x / (middle * (middle + 1))
    d = 1 / guarded(1 + odd * d)
    c = guarded(1 + odd / c)
    fraction *= c * d
    if abs(c * d - 1) < 1e-16 { break }
  }
  return front * fraction
}
