import Platform
import Tensors

/// A layer of a Transformer with everything around it, over random weights: a function of all
/// operators.
struct SmallNetwork {
  let words: EmbeddingWeights
  let positions: EmbeddingWeights
  let embeddingNorm: LayerNormWeights
  let attention: LinearWeights
  let attentionOutput: LinearWeights
  let attentionNorm: LayerNormWeights
  let inner: LinearWeights
  let output: LinearWeights
  let outputNorm: LayerNormWeights
  let head: LinearWeights
  let heads: Int
  let activation: Activation
  var parameters = ParameterList()

  /// The pooling at the end.
  enum End { case first, mean, normalizedMean }

  init(width: Int, heads: Int, inner innerWidth: Int, activation: Activation, seed: UInt64) {
    var random = SplitMix64(seed: seed)
    func matrix(_ rows: Int, _ columns: Int, _ scale: Double, base: Double = 0) -> Matrix {
      Matrix(
        rows: rows, columns: columns,
        values: (0..<rows * columns).map { _ in Float(base + scale * random.normal()) })
    }
    func linear(_ outputs: Int, _ inputs: Int) -> LinearWeights {
      LinearWeights(weight: matrix(outputs, inputs, 0.3), bias: matrix(1, outputs, 0.1))
    }
    func norm() -> LayerNormWeights {
      LayerNormWeights(
        weight: matrix(1, width, 0.2, base: 1), bias: matrix(1, width, 0.1), epsilon: 1e-12)
    }
    words = EmbeddingWeights(table: matrix(9, width, 0.6))
    positions = EmbeddingWeights(table: matrix(64, width, 0.3))
    embeddingNorm = norm()
    attention = linear(3 * width, width)
    attentionOutput = linear(width, width)
    attentionNorm = norm()
    inner = linear(innerWidth, width)
    output = linear(width, innerWidth)
    outputNorm = norm()
    head = linear(3, width)
    self.heads = heads
    self.activation = activation

    func add(_ matrix: Matrix, _ name: String) {
      parameters.append(
        Parameter(
          matrix, [.init(name, shape: [matrix.rows, matrix.columns])], group: .encoder,
          decays: false))
    }
    for (table, name) in [(words, "words"), (positions, "positions")] {
      if case .plain(let matrix) = table.form { add(matrix, name) }
    }
    for (norm, name) in [
      (embeddingNorm, "embeddingNorm"), (attentionNorm, "attentionNorm"),
      (outputNorm, "outputNorm"),
    ] {
      add(norm.weight, name + ".weight")
      add(norm.bias, name + ".bias")
    }
    for (layer, name) in [
      (attention, "attention"), (attentionOutput, "attentionOutput"), (inner, "inner"),
      (output, "output"), (head, "head"),
    ] {
      guard case .plain(let weight, let bias) = layer.form else { continue }
      add(weight, name + ".weight")
      add(bias, name + ".bias")
    }
  }

  /// [sequences × 3].
  func forward<Ops: Operators>(_ ops: Ops, _ batch: RaggedBatch, _ end: End) -> Ops.Value {
    let embedded = ops.embed([(words, batch.ids), (positions, batch.positions)])
    let x = ops.layerNorm(embedded, residual: nil, embeddingNorm)
    let mixed = ops.attention(
      ops.linear(x, attention), heads: heads, offsets: batch.offsets, keys: batch.keys,
      precision: attention.precision)
    let middle = ops.project(mixed, attentionOutput, residual: x, attentionNorm)
    var y = ops.feedForward(middle, inner: inner, activation, output: output, outputNorm)
    // The same layer once more from the single operators, so that weights are shared, too.
    let hidden = ops.activate(ops.linear(y, inner), activation)
    y = ops.layerNorm(ops.linear(hidden, output), residual: y, outputNorm)
    switch end {
    case .first: return ops.linear(ops.rows(y, batch.firstRows), head)
    case .mean: return ops.linear(ops.mean(y, offsets: batch.offsets), head)
    case .normalizedMean:
      return ops.linear(ops.normalize(ops.mean(y, offsets: batch.offsets)), head)
    }
  }

  /// Sequences of the given lengths; `keys` says how many of each one's tokens are attended to.
  static func batch(_ lengths: [Int], keys: [Int]? = nil, seed: UInt64) -> RaggedBatch {
    var random = SplitMix64(seed: seed)
    var batch = RaggedBatch()
    for (place, length) in lengths.enumerated() {
      batch.append((0..<length).map { _ in Int32(random.next() % 9) }, keys: keys?[place])
    }
    return batch
  }
}
