import Platform
import Tensors

/// The network of ColBERT: an encoder and the layer that makes a vector of every token.
struct ColBERTNetwork: Sendable {
  var transformer: Transformer
  /// [dimension × d].
  var projection: LinearWeights
  /// Whether vectors are scaled to length 1.
  var normalizes: Bool

  /// Names of the projection: of the original, and of Hofstätter et al.
  private static let names = ["linear", "compressor"]

  /// Reads the weights; says whether the projection has a bias, which tells the families apart.
  init(
    _ configuration: ModelConfiguration, _ reader: inout WeightReader
  ) throws(RetortError) {
    transformer = try Transformer(configuration, &reader)
    guard let name = Self.names.first(where: { reader.hasHead($0 + ".weight") }) else {
      throw RetortError(
        .badData,
        "has no layer that makes vectors of tokens (linear.weight or compressor.weight); use a "
          + "model trained as ColBERT", path: reader.files.path)
    }
    projection = try reader.projection(name, inputs: configuration.width)
    normalizes = false
  }

  /// Whether the file has a bias for the projection.
  static func hasBias(_ reader: WeightReader) -> Bool {
    names.contains { reader.hasHead($0 + ".bias") }
  }

  /// A network over given weights.
  init(transformer: Transformer, projection: LinearWeights, normalizes: Bool) {
    self.transformer = transformer
    self.projection = projection
    self.normalizes = normalizes
  }

  /// Whether the file has a projection.
  static func hasProjection(_ tensors: TensorFiles) -> Bool {
    names.contains { tensors[$0 + ".weight"] != nil }
  }

  /// What precedes the encoder's tensor names: as the original's and Hofstätter's programs have it.
  var prefix: String {
    normalizes ? transformer.configuration.architecture.rawValue + "." : "bert_model."
  }

  /// Everything that is trained, under the names its family gives it: a bias only where it has one.
  func parameters() -> ParameterList {
    var list = transformer.parameters(prefix: prefix)
    if normalizes {
      list.append(weightOf: projection, Self.names[0], group: .head)
    } else {
      list.append(projection, [Self.names[1]], group: .head)
    }
    return list
  }

  /// The same network with its products packed, those of the encoder in `precision`.
  func packed(_ precision: Precision) -> ColBERTNetwork {
    var result = self
    result.transformer = transformer.packed(precision)
    result.projection = projection.packed(.float32)
    return result
  }

  /// The vector of every token of the batch, [tokens × dimension].
  func forward<Ops: Operators>(_ ops: Ops, _ batch: RaggedBatch) -> Ops.Value {
    let vectors = ops.linear(transformer.forward(ops, batch), projection)
    return normalizes ? ops.normalize(vectors) : vectors
  }
}
