import Platform
import Tensors

extension Transformer {
  /// Reads the encoder's weights under the names its family gives them.
  init(_ configuration: ModelConfiguration, _ reader: inout WeightReader) throws(RetortError) {
    self.configuration = configuration
    let names = TensorNames(configuration.architecture)
    let (width, inner) = (configuration.width, configuration.innerWidth)
    let (narrow, epsilon) = (configuration.embeddingWidth, configuration.epsilon)
    words = try reader.embedding(
      "embeddings.word_embeddings", rows: configuration.vocabularySize, width: narrow)
    positions = try reader.embedding(
      "embeddings.position_embeddings", rows: configuration.positions, width: narrow)
    if configuration.types > 0 {
      types = try reader.embedding(
        "embeddings.token_type_embeddings", rows: configuration.types, width: narrow)
    }
    embeddingNorm = try reader.layerNorm(
      "embeddings.LayerNorm", width: narrow, epsilon: epsilon)
    if configuration.architecture == .albert {
      embeddingProjection = try reader.linear(
        "encoder.embedding_hidden_mapping_in", outputs: width, inputs: narrow)
    }
    layers = []
    let distinct = configuration.architecture == .albert ? 1 : configuration.layers
    for index in 0..<distinct {
      let base = names.layer(index)
      layers.append(
        TransformerLayer(
          attention: try reader.stacked(
            names.queryKeyValue.map { base + $0 }, outputs: width, inputs: width),
          attentionOutput: try reader.linear(
            base + names.attentionOutput, outputs: width, inputs: width),
          attentionNorm: try reader.layerNorm(
            base + names.attentionNorm, width: width, epsilon: epsilon),
          inner: try reader.linear(base + names.inner, outputs: inner, inputs: width),
          output: try reader.linear(base + names.output, outputs: width, inputs: inner),
          outputNorm: try reader.layerNorm(
            base + names.outputNorm, width: width, epsilon: epsilon)))
    }
    if distinct < configuration.layers, let shared = layers.first {
      layers = Array(repeating: shared, count: configuration.layers)
    }
  }
}

/// What the families call the same tensors of a layer.
struct TensorNames {
  var layerStem: String
  var queryKeyValue: [String]
  var attentionOutput: String
  var attentionNorm: String
  var inner: String
  var output: String
  var outputNorm: String
  /// The pooler's linear layer; DistilBERT has none.
  var pooler: String?
  private let numbered: Bool

  init(_ architecture: Architecture) {
    switch architecture {
    case .bert:
      layerStem = "encoder.layer."
      numbered = true
      queryKeyValue = ["query", "key", "value"].map { "attention.self." + $0 }
      attentionOutput = "attention.output.dense"
      attentionNorm = "attention.output.LayerNorm"
      inner = "intermediate.dense"
      output = "output.dense"
      outputNorm = "output.LayerNorm"
      pooler = "pooler.dense"
    case .distilbert:
      layerStem = "transformer.layer."
      numbered = true
      queryKeyValue = ["q", "k", "v"].map { "attention.\($0)_lin" }
      attentionOutput = "attention.out_lin"
      attentionNorm = "sa_layer_norm"
      inner = "ffn.lin1"
      output = "ffn.lin2"
      outputNorm = "output_layer_norm"
    case .albert:
      layerStem = "encoder.albert_layer_groups.0.albert_layers.0."
      numbered = false
      queryKeyValue = ["query", "key", "value"].map { "attention." + $0 }
      attentionOutput = "attention.dense"
      attentionNorm = "attention.LayerNorm"
      inner = "ffn"
      output = "ffn_output"
      outputNorm = "full_layer_layer_norm"
      pooler = "pooler"
    }
  }

  /// Whether one layer serves all (ALBERT).
  var isShared: Bool { !numbered }

  func layer(_ index: Int) -> String { numbered ? layerStem + "\(index)." : layerStem }
}
