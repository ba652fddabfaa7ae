import CKernels
import Platform

/// Which values of which step are dropped: a function of seed, step, operation and element alone, so
/// that it is the same for every number of threads and after every resumption.
package struct Dropout: Sendable {
  /// The share of the values that every half of a layer, and the embeddings, lose.
  package var hidden: Double
  /// The share of the attention probabilities that are lost.
  package var attention: Double
  /// Tells runs apart.
  package var seed: UInt64
  /// Tells forward passes apart.
  package var step: UInt64

  /// Nothing is dropped.
  package static let none = Dropout(hidden: 0, attention: 0, seed: 0, step: 0)

  /// Rates in 0..<1.
  package init(hidden: Double, attention: Double, seed: UInt64, step: UInt64) {
    precondition((0..<1).contains(hidden) && (0..<1).contains(attention))
    self.hidden = hidden
    self.attention = attention
    self.seed = seed
    self.step = step
  }

  /// The mask of one operation of the pass.
  func mask(_ rate: Double, operation: Int) -> retort_dropout_mask {
    let threshold = UInt32(rate * 0x1p24)
    var key = Self.mixed(seed, step)
    key = Self.mixed(key, UInt64(truncatingIfNeeded: operation))
    return retort_dropout_mask(
      key: key, threshold: threshold, scale: Float(1 / (1 - Double(threshold) * 0x1p-24)))
  }

  /// One key from two, never zero for small ones.
  fileprivate static func mixed(_ key: UInt64, _ number: UInt64) -> UInt64 {
    Hashing.mix(Hashing.mix(key &+ 0x9E37_79B9_7F4A_7C15) ^ number)
  }
}

extension retort_dropout_mask {
  /// The mask of part `number` of an operation.
  func part(_ number: Int) -> retort_dropout_mask {
    retort_dropout_mask(
      key: Dropout.mixed(key, UInt64(truncatingIfNeeded: number)), threshold: threshold,
      scale: scale)
  }
}
