import CKernels
import Platform
import Tensors

/// What makes a passage's states small, and large again: x̂ = LN(W₂ GELU(W₁x + b₁) + b₂).
struct StateCompressor: Sendable {
  /// W₁ and b₁, [c × d].
  var down: LinearWeights
  /// W₂ and b₂, [d × c].
  var up: LinearWeights
  var norm: LayerNormWeights
}

/// The network of PreTTR (MacAvaney et al. 2020, arXiv:2004.14255), in Hofstätter et al.'s (2020)
/// variant: a cross-encoder whose first layers read query and passage apart.
struct PreTTRNetwork: Sendable {
  var transformer: Transformer
  var settings: PreTTRSettings
  /// Of the states of passages behind the layers that read apart.
  var compressor: StateCompressor?
  /// Over the last layer's [CLS], [1 × d]; a bias only where the file has one.
  var head: LinearWeights

  /// What precedes the encoder's tensor names, and the others' names.
  static let prefix = "bert_model."
  static let headName = "_classification_layer"
  private static let names = (down: "compressor_down", up: "compressor_up", norm: "compressor_norm")

  /// Layers that read apart.
  private var split: Int { settings.joinLayerIdx }

  /// Appends a query or a passage, with the positions and the type of its role.
  func append(_ sequence: TermSequence, _ role: TextRole, to batch: inout RaggedBatch) {
    let isSecond = role == .passage && transformer.configuration.types > 1
    batch.append(
      sequence.ids, types: [Int32](repeating: isSecond ? 1 : 0, count: sequence.ids.count),
      firstPosition: role == .query ? 0 : Int32(settings.passagePosition))
  }

  /// The states of queries and passages behind the layers that read them apart, [tokens × d].
  func states<Ops: Operators>(_ ops: Ops, _ batch: RaggedBatch) -> Ops.Value {
    var x = transformer.embed(ops, batch)
    for layer in 0..<split { x = transformer.apply(layer: layer, ops, x, batch) }
    return x
  }

  /// What is kept of passages' states, [tokens × kept].
  func kept<Ops: Operators>(_ ops: Ops, _ states: Ops.Value) -> Ops.Value {
    guard let compressor else { return states }
    return ops.activate(ops.linear(states, compressor.down), .geluErf)
  }

  /// The scores of pairs, [pairs × 1], by the layers that read both together.
  ///
  /// `queries` are states, `passages` what is kept of them.
  func scores<Ops: Operators>(
    _ ops: Ops, _ queries: Ops.Value, _ queryOffsets: [Int], _ passages: Ops.Value,
    _ passageOffsets: [Int], _ pairs: [(Int32, Int32)]
  ) -> Ops.Value {
    var expanded = passages
    if let compressor {
      expanded = ops.layerNorm(
        ops.linear(passages, compressor.up), residual: nil, compressor.norm)
    }
    let below = Int32(queryOffsets.last ?? 0)
    var rows: [Int32] = []
    var lengths: [Int] = []
    for pair in pairs {
      let query = queryOffsets[Int(pair.0)]..<queryOffsets[Int(pair.0) + 1]
      let passage = passageOffsets[Int(pair.1)]..<passageOffsets[Int(pair.1) + 1]
      rows += query.map { Int32($0) }
      rows += passage.map { below + Int32($0) }
      lengths.append(query.count + passage.count)
    }
    let joint = RaggedBatch(lengths: lengths)
    var x = ops.rows(ops.stack(queries, expanded), rows)
    for layer in split..<max(split, transformer.layers.count - 1) {
      x = transformer.apply(layer: layer, ops, x, joint)
    }
    // Nobody asks for other tokens than [CLS].
    x =
      split < transformer.layers.count
      ? transformer.apply(
        layer: transformer.layers.count - 1, ops, x, joint, firstOnly: true)
      : ops.rows(x, joint.firstRows)
    return ops.linear(x, head)
  }

  /// The same network with its products packed, those of the encoder in `precision`.
  func packed(_ precision: Precision) -> PreTTRNetwork {
    var result = self
    result.transformer = transformer.packed(precision)
    result.head = head.packed(.float32)
    if let compressor {
      result.compressor = StateCompressor(
        down: compressor.down.packed(.float32), up: compressor.up.packed(.float32),
        norm: compressor.norm)
    }
    return result
  }

  /// Numbers of a passage's token that are kept.
  var keptSize: Int { compressor?.down.outputs ?? transformer.configuration.width }

  // MARK: Tensors

  /// Reads the network of a folder.
  init(
    _ configuration: ModelConfiguration, _ settings: PreTTRSettings, _ reader: inout WeightReader
  ) throws(RetortError) {
    self.settings = settings
    transformer = try Transformer(configuration, &reader)
    head = try reader.projection(Self.headName, inputs: configuration.width)
    guard head.outputs == 1 else {
      throw RetortError(
        .dimensionMismatch,
        "has a \(Self.headName) of \(head.outputs) outputs, not of one score; train the model again",
        path: reader.files.path)
    }
    if let size = settings.compressionSize {
      let width = configuration.width
      compressor = StateCompressor(
        down: try reader.head(Self.names.down, outputs: size, inputs: width),
        up: try reader.head(Self.names.up, outputs: width, inputs: size),
        norm: try reader.headNorm(Self.names.norm, width: width, epsilon: configuration.epsilon))
    }
  }

  /// A network to be trained, with what an encoder lacks drawn from N(0, 0.02).
  init(
    _ transformer: Transformer, _ settings: PreTTRSettings, _ random: inout SplitMix64
  ) {
    self.transformer = transformer
    self.settings = settings
    let width = transformer.configuration.width
    head = LinearWeights(drawing: 1, inputs: width, &random)
    if let size = settings.compressionSize {
      // Wide enough for the states to come through: N(0, 0.02) would leave nothing but biases.
      func spread(_ inputs: Int) -> Double { 1 / Double(inputs).squareRoot() }
      compressor = StateCompressor(
        down: LinearWeights(drawing: size, inputs: width, deviation: spread(width), &random),
        up: LinearWeights(drawing: width, inputs: size, deviation: spread(size), &random),
        norm: LayerNormWeights(
          weight: Matrix(
            rows: 1, columns: width, values: [Float](repeating: 1, count: width)),
          bias: Matrix(rows: 1, columns: width), epsilon: transformer.configuration.epsilon))
    }
  }

  /// Everything that is trained; the head's bias is not.
  func parameters() -> ParameterList {
    var list = transformer.parameters(prefix: Self.prefix)
    if let compressor {
      list.append(compressor.down, [Self.names.down], group: .head)
      list.append(compressor.up, [Self.names.up], group: .head)
      list.append(compressor.norm, Self.names.norm, group: .head)
    }
    list.append(weightOf: head, Self.headName, group: .head)
    return list
  }

  /// Whether a line of a reader's record names a tensor that decides what is kept of passages.
  func decidesKept(_ line: String) -> Bool {
    let others = [Self.headName, Self.names.up, Self.names.norm]
    if others.contains(where: { line.hasPrefix($0 + ".") }) { return false }
    let names = TensorNames(transformer.configuration.architecture)
    guard !names.isShared else { return true }
    return !(split..<transformer.layers.count).contains { line.hasPrefix(names.layer($0)) }
  }
}
