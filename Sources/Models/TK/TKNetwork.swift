import CKernels
import Platform
import Tensors

/// The network of TK (Hofstätter et al. 2020, arXiv:2002.01854), in the version that Hofstätter et al.
/// distil (arXiv:2010.02666): words and their contexts mixed, and kernels over their cosines.
struct TKNetwork: Sendable {
  var configuration: TKConfiguration
  /// Vectors of words, [V × D].
  var words: EmbeddingWeights
  /// Vectors of positions, [positions × D], which are not trained.
  var positions: EmbeddingWeights
  /// The contextualiser.
  var layers: [TransformerLayer]
  /// α, the share of a word's own vector, [1 × 1].
  var mixer: Matrix
  /// The kernels with their aₖ.
  var kernels: KernelWeights
  /// The kernels' weights, [1 × kernels]; the bias is 0 and not trained.
  var head: LinearWeights

  /// Unit vectors of all words in their contexts, [words × D]; positions are those of the batch.
  func forward<Ops: Operators>(_ ops: Ops, _ batch: RaggedBatch) -> Ops.Value {
    let own = ops.embed([(words, batch.ids)])
    var x = ops.embed([(words, batch.ids), (positions, batch.positions)])
    for layer in layers {
      x = layer.apply(ops, x, batch, heads: configuration.numAttentionHeads, .relu)
    }
    return ops.normalize(ops.mix(own, x, share: mixer))
  }

  /// Appends a query or a passage, with the positions of its role.
  func append(_ sequence: TermSequence, _ role: TextRole, to batch: inout RaggedBatch) {
    batch.append(
      sequence.ids, firstPosition: role == .query ? 0 : Int32(configuration.passagePosition))
  }

  /// The scores of pairs, [pairs × 1]: Σₖ wₖ φₖ.
  func scores<Ops: Operators>(
    _ ops: Ops, _ queries: Ops.Value, _ queryOffsets: [Int], _ passages: Ops.Value,
    _ passageOffsets: [Int], _ pairs: [(Int32, Int32)]
  ) -> Ops.Value {
    ops.linear(
      ops.kernelFeatures(
        queries, queryOffsets, passages, passageOffsets, pairs: pairs, kernels), head)
  }

  /// The kernels' weights, where they are not packed.
  var kernelWeights: [Float] {
    guard case .plain(let weight, _) = head.form else { return [] }
    return weight.values
  }

  /// The same network with its products packed.
  var packed: TKNetwork {
    var result = self
    result.head = head.packed(.float32)
    result.layers = layers.map { $0.packed(.float32, level: retort_level_in_use()) }
    return result
  }

  /// sin and cos of t/τᵏ for timescales from 1 to 10,000, all sines first (Vaswani et al. 2017, in the
  /// order of AllenNLP); t from 0 to the last word of a passage. An odd width ends with a 0.
  static func positionTable(_ configuration: TKConfiguration) -> Matrix {
    let (width, half) = (configuration.hiddenSize, configuration.hiddenSize / 2)
    let count = max(
      configuration.queryLength, configuration.passagePosition + configuration.passageLength)
    var values = [Float](repeating: 0, count: count * width)
    for scale in 0..<half {
      let exponent: Double = -Double(scale) * log(10_000) / Double(max(half - 1, 1))
      let inverse = exp(exponent)
      for t in 0..<count {
        values[t * width + scale] = Float(sin(Double(t) * inverse))
        values[t * width + half + scale] = Float(cos(Double(t) * inverse))
      }
    }
    return Matrix(rows: count, columns: width, values: values)
  }
}

// MARK: Tensors

extension TKNetwork {
  /// The names are those of torch.nn.TransformerEncoder and of Hofstätter's program.
  private static func base(_ layer: Int) -> String { "contextualizer.layers.\(layer)." }

  /// Everything that is trained, in the order of the forward pass.
  func parameters() -> ParameterList {
    var list = ParameterList()
    list.append(words, "word_embeddings")
    for (number, layer) in layers.enumerated() {
      let base = Self.base(number)
      list.append(attention: layer.attention, base + "self_attn.in_proj_")
      list.append(layer.attentionOutput, [base + "self_attn.out_proj"], group: .encoder)
      list.append(layer.attentionNorm, base + "norm1", group: .encoder)
      list.append(layer.inner, [base + "linear1"], group: .encoder)
      list.append(layer.output, [base + "linear2"], group: .encoder)
      list.append(layer.outputNorm, base + "norm2", group: .encoder)
    }
    list.append(
      Parameter(mixer, [.init("mixer", shape: [1])], group: .encoder, decays: false))
    list.append(
      Parameter(
        kernels.scales, [.init("kernel_alpha_scaler", shape: [kernels.count])], group: .head,
        decays: false))
    list.append(weightOf: head, "kernel_bin_weights", group: .head)
    return list
  }

  /// Reads the network of a folder.
  init(_ configuration: TKConfiguration, _ reader: inout PlainWeightReader) throws(RetortError) {
    self.configuration = configuration
    let (width, inner) = (configuration.hiddenSize, configuration.intermediateSize)
    words = EmbeddingWeights(
      table: try reader.matrix(
        "word_embeddings.weight", rows: configuration.vocabSize, columns: width))
    positions = EmbeddingWeights(table: Self.positionTable(configuration))
    layers = []
    let epsilon = Float(configuration.layerNormEps)
    for number in 0..<configuration.numHiddenLayers {
      let base = Self.base(number)
      layers.append(
        TransformerLayer(
          attention: LinearWeights(
            weight: try reader.matrix(
              base + "self_attn.in_proj_weight", rows: 3 * width, columns: width),
            bias: try reader.vector(base + "self_attn.in_proj_bias", count: 3 * width)),
          attentionOutput: try reader.linear(
            base + "self_attn.out_proj", outputs: width, inputs: width),
          attentionNorm: try reader.layerNorm(base + "norm1", width: width, epsilon: epsilon),
          inner: try reader.linear(base + "linear1", outputs: inner, inputs: width),
          output: try reader.linear(base + "linear2", outputs: width, inputs: inner),
          outputNorm: try reader.layerNorm(base + "norm2", width: width, epsilon: epsilon)))
    }
    mixer = try reader.vector("mixer", count: 1)
    let count = configuration.kernelMeans.count
    kernels = KernelWeights(
      means: configuration.kernelMeans, deviations: configuration.kernelDeviations,
      scales: try reader.vector("kernel_alpha_scaler", count: count))
    head = LinearWeights(
      weight: try reader.matrix("kernel_bin_weights.weight", rows: 1, columns: count),
      bias: Matrix(rows: 1, columns: 1))
  }

  /// A network to be trained: Glorot and Bengio's (2010) normal weights in the contextualiser, α = ½,
  /// aₖ = 1, and kernels' weights drawn from U(−0.014, 0.014).
  init(_ configuration: TKConfiguration, words table: Matrix, _ random: inout SplitMix64) {
    precondition((table.rows, table.columns) == (configuration.vocabSize, configuration.hiddenSize))
    self.configuration = configuration
    let (width, inner) = (configuration.hiddenSize, configuration.intermediateSize)
    let epsilon = Float(configuration.layerNormEps)
    words = EmbeddingWeights(table: table)
    positions = EmbeddingWeights(table: Self.positionTable(configuration))
    func linear(_ outputs: Int, _ inputs: Int, shared: Int = 1) -> LinearWeights {
      let deviation = (2 / Double(outputs / shared + inputs)).squareRoot()
      return LinearWeights(drawing: outputs, inputs: inputs, deviation: deviation, &random)
    }
    func norm() -> LayerNormWeights {
      LayerNormWeights(
        weight: Matrix(
          rows: 1, columns: width, values: [Float](repeating: 1, count: width)),
        bias: Matrix(rows: 1, columns: width), epsilon: epsilon)
    }
    layers = []
    for _ in 0..<configuration.numHiddenLayers {
      layers.append(
        TransformerLayer(
          attention: linear(3 * width, width, shared: 3), attentionOutput: linear(width, width),
          attentionNorm: norm(), inner: linear(inner, width), output: linear(width, inner),
          outputNorm: norm()))
    }
    mixer = Matrix(rows: 1, columns: 1, values: [0.5])
    let count = configuration.kernelMeans.count
    kernels = KernelWeights(
      means: configuration.kernelMeans, deviations: configuration.kernelDeviations,
      scales: Matrix(rows: 1, columns: count, values: [Float](repeating: 1, count: count)))
    let weights = (0..<count).map { _ in
      Float(0.014 * (2 * random.unit() - 1))
    }
    head = LinearWeights(
      weight: Matrix(rows: 1, columns: count, values: weights), bias: Matrix(rows: 1, columns: 1))
  }
}

extension ParameterList {
  /// Appends the stacked projection of torch's MultiheadAttention, whose names have no point.
  fileprivate mutating func append(attention layer: LinearWeights, _ stem: String) {
    guard case .plain(let weight, let bias) = layer.form else { return }
    append(
      Parameter(
        weight, [.init(stem + "weight", shape: [weight.rows, weight.columns])], group: .encoder,
        decays: true))
    append(
      Parameter(
        bias, [.init(stem + "bias", shape: [bias.count])], group: .encoder, decays: false))
  }
}
