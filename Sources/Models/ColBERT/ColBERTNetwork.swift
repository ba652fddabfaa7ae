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

  /// The same network with its products packed.
  var packed: ColBERTNetwork {
    var result = self
    result.transformer = transformer.packed(.float32)
    result.projection = projection.packed(.float32)
    return result
  }

  /// The vector of every token of the batch, [tokens × dimension].
  func forward<Ops: Operators>(_ ops: Ops, _ batch: RaggedBatch) -> Ops.Value {
    let vectors = ops.linear(transformer.forward(ops, batch), projection)
    return normalizes ? ops.normalize(vectors) : vectors
  }
}
