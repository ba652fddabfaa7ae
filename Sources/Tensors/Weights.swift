import CKernels
import Platform

/// y = x Wᵀ + b.
package struct LinearWeights: Sendable {
  /// W and b as they are held.
  package enum Form: Sendable {
    /// W [outputs × inputs] and b [1 × outputs], row-major: what training changes.
    case plain(weight: Matrix, bias: Matrix)
    /// Packed once for the matrix kernels.
    case packed(PackedWeights)
  }

  /// W and b.
  package let form: Form

  /// Makes a layer; `bias` must be as wide as `weight` has rows.
  package init(weight: Matrix, bias: Matrix) {
    precondition(bias.count == weight.rows, "a linear layer needs one bias per output")
    form = .plain(weight: weight, bias: bias)
  }

  /// A layer over packed weights.
  package init(_ packed: PackedWeights) { form = .packed(packed) }

  /// Rows of W.
  package var outputs: Int {
    switch form {
    case .plain(let weight, _): weight.rows
    case .packed(let packed): packed.outputs
    }
  }

  /// Columns of W.
  package var inputs: Int {
    switch form {
    case .plain(let weight, _): weight.columns
    case .packed(let packed): packed.inputs
    }
  }

  /// The format of W.
  package var precision: Precision {
    switch form {
    case .plain: .float32
    case .packed(let packed): packed.format
    }
  }

  /// The same layer packed in `precision`; what is packed already stays as it is.
  package func packed(
    _ precision: Precision, level: retort_level = retort_level_in_use()
  ) -> LinearWeights {
    guard case .plain(let weight, let bias) = form else { return self }
    return LinearWeights(
      PackedWeights(weight: weight, bias: bias, precision: precision, level: level))
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
  /// The table as it is held.
  package enum Form: Sendable {
    /// [ids × width].
    case plain(Matrix)
    /// Eight-bit codes with one scale per id.
    case coded(CodedTable)
  }

  /// The table.
  package let form: Form

  /// Makes a table of single-precision vectors, [ids × width].
  package init(table: Matrix) { form = .plain(table) }

  /// Makes a table of codes.
  package init(_ table: CodedTable) { form = .coded(table) }

  /// Throws where the vector of one of `ids` is damaged, as far as that is not known already.
  package func verify(_ ids: some Sequence<Int32>) throws(RetortError) {
    if case .coded(let table) = form { try table.verify(ids) }
  }

  /// The number of vectors.
  package var rows: Int {
    switch form {
    case .plain(let table): table.rows
    case .coded(let table): table.rows
    }
  }

  /// The width of a vector.
  package var columns: Int {
    switch form {
    case .plain(let table): table.columns
    case .coded(let table): table.columns
    }
  }
}
