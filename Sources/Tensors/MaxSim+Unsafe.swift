import CKernels

/// A query's token vectors, packed for MaxSim: Σᵢ maxⱼ qᵢ·xⱼ over the tokens j of a passage.
///
/// Khattab and Zaharia 2020 (arXiv:2004.12832). Only tokens that take part are in the matrices: no
/// row is padding, so nothing floors a maximum at zero.
package struct MaxSim: Sendable {
  private let query: PackedWeights
  private let level: retort_level

  /// Packs a query, [tokens × width].
  package init(_ query: Matrix, level: retort_level = retort_level_in_use()) {
    self.init(
      PackedWeights(
        weight: query, bias: Matrix(rows: 1, columns: query.rows), precision: .float32,
        level: level), level: level)
  }

  /// A query whose vectors are the rows of packed weights.
  package init(_ query: PackedWeights, level: retort_level = retort_level_in_use()) {
    precondition(query.format == .float32, "MaxSim multiplies single precision")
    self.query = query
    self.level = level
  }

  /// One score for each passage, whose token vectors are rows `offsets[p]..<offsets[p + 1]` of `x`;
  /// -inf for a passage without any.
  package func scores(_ x: Matrix, offsets: [Int]) -> [Float] {
    precondition(x.columns == query.inputs || x.rows == 0, "vectors of another width")
    precondition(offsets.last ?? 0 <= x.rows)
    let passages = max(offsets.count - 1, 0)
    var scores = [Float](repeating: 0, count: passages)
    var kernel = query.kernel
    let best = Matrix(rows: 1, columns: PackedWeights.filled(query.outputs))
    retort_max_sim(level, &scores, &kernel, x.pointer, x.columns, offsets, passages, best.pointer)
    return scores
  }

  /// Tokens of the query.
  package var tokens: Int { query.outputs }

  /// The score of one passage of `rows` vectors at `x`; `best` has room for the query's tokens, filled
  /// up to whole panels.
  package func score(
    _ x: UnsafePointer<Float>, rows: Int, best: UnsafeMutablePointer<Float>
  ) -> Float {
    var score: Float = 0
    var kernel = query.kernel
    retort_max_sim(level, &score, &kernel, x, query.inputs, [0, rows], 1, best)
    return score
  }

  /// The products of `rows` vectors at `x` with every token of the query, [rows × tokens] at `stride`.
  package func products(
    _ x: UnsafePointer<Float>, rows: Int, into out: UnsafeMutablePointer<Float>, stride: Int
  ) {
    var kernel = query.kernel
    retort_product_f32(
      level, out, stride, x, query.inputs, rows, &kernel, RETORT_IDENTITY)
  }
}
