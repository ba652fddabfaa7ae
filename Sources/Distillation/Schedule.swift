import Platform

/// How the learning rate changes: a linear rise, then one of three ways down.
package struct Schedule: Sendable {
  /// What follows the rise.
  package enum Shape: String, Sendable, Codable, CaseIterable {
    /// Straight down to 0 at the last step.
    case linear
    /// Half a cosine down to 0 at the last step.
    case cosine
    /// As it is.
    case constant
  }

  /// What follows the rise.
  package var shape: Shape
  /// Steps of the rise.
  package var warmup: Int
  /// All steps.
  package var total: Int

  /// Makes a schedule.
  package init(_ shape: Shape, warmup: Int, total: Int) {
    self.shape = shape
    self.warmup = warmup
    self.total = total
  }

  /// The share of the learning rate at `step`, counted from 0.
  package func factor(at step: Int) -> Double {
    if step < warmup { return Double(step + 1) / Double(warmup) }
    let progress = Double(step - warmup) / Double(max(total - warmup, 1))
    return switch shape {
    case .constant: 1
    case .linear: max(0, 1 - progress)
    case .cosine: 0.5 * (1 + cos(.pi * min(progress, 1)))
    }
  }
}
