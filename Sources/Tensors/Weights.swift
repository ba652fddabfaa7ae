/// The number format weights are held in. A property of the weights: forward passes do not know it.
package enum Precision: String, Sendable, Codable {
  /// IEEE 754 single precision.
  case float32 = "f32"
}

/// y = x Wᵀ + b.
package struct LinearWeights: Sendable {
  /// W, [outputs × inputs].
  package var weight: Matrix
  /// b, [1 × outputs].
  package var bias: Matrix

  /// Rows of W.
  package var outputs: Int { weight.rows }
  /// Columns of W.
  package var inputs: Int { weight.columns }
  /// How W is held.
  package var precision: Precision { .float32 }

  /// Makes a layer; `bias` must be as wide as `weight` has rows.
  package init(weight: Matrix, bias: Matrix) {
    precondition(bias.count == weight.rows, "a linear layer needs one bias per output")
    self.weight = weight
    self.bias = bias
  }
}

/// Layer normalisation: (x − mean)/√(variance + ε) · weight + bias over the columns of a row.
package struct LayerNormWeights: Sendable {
  /// Scales, [1 × width].
  package var weight: Matrix
  /// Shifts, [1 × width].
  package var bias: Matrix
  /// Added to the population variance.
  package var epsilon: Float

  /// Makes a normalisation; both vectors must be equally wide.
  package init(weight: Matrix, bias: Matrix, epsilon: Float) {
    precondition(weight.count == bias.count, "layer normalisation needs equally wide vectors")
    self.weight = weight
    self.bias = bias
    self.epsilon = epsilon
  }
}

/// A table of vectors that ids select: words, positions or token types.
package struct EmbeddingWeights: Sendable {
  /// [ids × width].
  package var table: Matrix

  /// Makes a table.
  package init(table: Matrix) { self.table = table }
}
