import Platform
import Tensors

/// The weights of one layer.
package struct TransformerLayer: Sendable {
  /// Queries, keys and values in one product: [3d × d].
  package var attention: LinearWeights
  /// The projection of the concatenated heads: [d × d].
  package var attentionOutput: LinearWeights
  /// After attention and its residual.
  package var attentionNorm: LayerNormWeights
  /// The first feed-forward product: [f × d].
  package var inner: LinearWeights
  /// The second feed-forward product: [d × f].
  package var output: LinearWeights
  /// After the feed-forward part and its residual.
  package var outputNorm: LayerNormWeights
}

extension TransformerLayer {
  /// The layer over `x`, [tokens × d], in which tokens see their sequence; with `firstOnly` of the first token
  /// of every sequence alone, [sequences × d].
  func apply<Ops: Operators>(
    _ ops: Ops, _ x: Ops.Value, _ batch: RaggedBatch, heads: Int, _ activation: Activation,
    firstOnly: Bool = false
  ) -> Ops.Value {
    let attended: Ops.Value
    var residual = x
    if firstOnly {
      attended = ops.firstAttention(
        x, attention, heads: heads, offsets: batch.offsets, keys: batch.keys)
      residual = ops.rows(x, batch.firstRows)
    } else {
      attended = ops.attention(
        ops.attentionInputs(x, attention, offsets: batch.offsets), heads: heads,
        offsets: batch.offsets, keys: batch.keys, precision: attention.precision)
    }
    let middle = ops.project(attended, attentionOutput, residual: residual, attentionNorm)
    return ops.feedForward(middle, inner: inner, activation, output: output, outputNorm)
  }
}

/// A bidirectional post-norm Transformer encoder: BERT, DistilBERT or ALBERT.
///
/// Devlin et al. 2018 (arXiv:1810.04805), Sanh et al. 2019 (arXiv:1910.01108), Lan et al. 2019
/// (arXiv:1909.11942). The families differ only in which optional parts exist, so this is the one
/// forward pass of all three, for inference and for training.
package struct Transformer: Sendable {
  /// The sizes.
  package var configuration: ModelConfiguration
  /// Word vectors, [V × e].
  package var words: EmbeddingWeights
  /// Position vectors, [P × e].
  package var positions: EmbeddingWeights
  /// Token-type vectors, [types × e]; none in DistilBERT.
  package var types: EmbeddingWeights?
  /// Over the sum of the three.
  package var embeddingNorm: LayerNormWeights
  /// From the embedding width to the hidden width, [d × e]; ALBERT only.
  package var embeddingProjection: LinearWeights?
  /// The layers in order; ALBERT's are all the same.
  package var layers: [TransformerLayer]

  /// The input of the first layer, [tokens × d].
  package func embed<Ops: Operators>(_ ops: Ops, _ batch: RaggedBatch) -> Ops.Value {
    var lookups = [(words, batch.ids), (positions, batch.positions)]
    if let types { lookups.append((types, batch.types)) }
    let x = ops.layerNorm(ops.embed(lookups), residual: nil, embeddingNorm)
    guard let embeddingProjection else { return x }
    return ops.linear(x, embeddingProjection)
  }

  /// Layer `index` over `x`, [tokens × d]; with `firstOnly` of the first token of every sequence alone.
  package func apply<Ops: Operators>(
    layer index: Int, _ ops: Ops, _ x: Ops.Value, _ batch: RaggedBatch, firstOnly: Bool = false
  ) -> Ops.Value {
    layers[index].apply(
      ops, x, batch, heads: configuration.heads, configuration.activation, firstOnly: firstOnly)
  }

  /// The last layer's output, [tokens × d].
  package func forward<Ops: Operators>(_ ops: Ops, _ batch: RaggedBatch) -> Ops.Value {
    var x = embed(ops, batch)
    for index in layers.indices { x = apply(layer: index, ops, x, batch) }
    return x
  }
}

extension Transformer {
  /// The last layer's output of the first token of every sequence, [sequences × d].
  ///
  /// The last layer works on those rows alone, but for its keys and values: nobody asks for the others.
  package func firstTokens<Ops: Operators>(_ ops: Ops, _ batch: RaggedBatch) -> Ops.Value {
    var x = embed(ops, batch)
    for index in layers.indices.dropLast() { x = apply(layer: index, ops, x, batch) }
    guard let last = layers.indices.last else { return ops.rows(x, batch.firstRows) }
    return apply(layer: last, ops, x, batch, firstOnly: true)
  }

  /// One vector per sequence, [sequences × d].
  package func pooled<Ops: Operators>(
    _ ops: Ops, _ batch: RaggedBatch, by pooling: Pooling
  ) -> Ops.Value {
    switch pooling {
    case .cls: firstTokens(ops, batch)
    case .mean: ops.mean(forward(ops, batch), offsets: batch.offsets)
    }
  }
}

/// Runs a forward pass over many sequences in micro-batches, on several threads.
struct MicroBatchRunner: Sendable {
  /// Tokens per micro-batch: taller products are faster up to about a thousand rows, but a small
  /// request must still fall into enough parts to occupy several threads.
  private static func tokens(_ lengths: [Int]) -> Int {
    min(max(lengths.reduce(0, +) / 32, 256), 1024)
  }

  private let pool = WorkspacePool()
  private let weights: [MappedFile]

  /// A runner of a network whose weights partly lie in the mapped files `weights`.
  init(weights: [MappedFile] = []) { self.weights = weights }

  /// Throws where another program cut a file of weights: nothing computed so far can be relied on.
  func checkIntact() throws(RetortError) {
    for file in weights { try file.checkIntact() }
  }

  /// Rows in the order of `lengths`, each `width` wide.
  ///
  /// `body` gets the indices of one micro-batch and returns one row for each. The batches depend on
  /// the lengths alone, so the result's bytes do not depend on `threads`. Sequences of length 0
  /// give rows of zeros. An interruption is noticed between micro-batches and throws `.cancelled`.
  func run(
    lengths: [Int], width: Int, threads: Int,
    _ body: @Sendable (InferenceOperators, [Int]) -> Matrix
  ) throws(RetortError) -> [Float] {
    let results = Matrix(rows: lengths.count, columns: width)
    let batches = MicroBatches.plan(lengths: lengths, tokens: Self.tokens(lengths))
    let workspaces = pool.take(max(1, min(threads, batches.count)))
    defer { pool.put(workspaces) }
    try parallelForThrowing(batches.count, threads: threads) { item, worker throws(RetortError) in
      try Interruption.check()
      let rows = body(InferenceOperators(workspace: workspaces[worker]), batches[item])
      for (row, index) in batches[item].enumerated() {
        results.copyRow(row, of: rows, to: index)
      }
    }
    try checkIntact()
    return results.values
  }

  /// As many rows of every sequence as its length says, each `width` wide, in the order of `lengths`.
  ///
  /// `body` gets the indices of one micro-batch and returns the rows of all its sequences.
  func rows(
    lengths: [Int], width: Int, threads: Int,
    _ body: @Sendable (InferenceOperators, [Int]) -> Matrix
  ) throws(RetortError) -> (values: [Float], offsets: [Int]) {
    let offsets = lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
    let results = Matrix(rows: offsets[lengths.count], columns: width)
    let batches = MicroBatches.plan(lengths: lengths, tokens: Self.tokens(lengths))
    let workspaces = pool.take(max(1, min(threads, batches.count)))
    defer { pool.put(workspaces) }
    try parallelForThrowing(batches.count, threads: threads) { item, worker throws(RetortError) in
      try Interruption.check()
      let rows = body(InferenceOperators(workspace: workspaces[worker]), batches[item])
      var row = 0
      for index in batches[item] {
        for target in offsets[index]..<offsets[index + 1] {
          results.copyRow(row, of: rows, to: target)
          row += 1
        }
      }
    }
    try checkIntact()
    return (results.values, offsets)
  }
}
