import Platform
import Tensors

/// The families of encoders that are understood.
public enum Architecture: String, Sendable, Codable {
  /// BERT and its like (MiniLM).
  case bert
  /// DistilBERT: no token types, no pooler.
  case distilbert
  /// ALBERT: factorised embeddings, one layer repeated.
  case albert
}

/// What `config.json` says, in one vocabulary for all families.
package struct ModelConfiguration: Sendable {
  /// The family.
  package var architecture: Architecture
  /// Entries of the word table.
  package var vocabularySize: Int
  /// Entries of the position table: the longest sequence.
  package var positions: Int
  /// Entries of the type table, 0 without one.
  package var types: Int
  /// The width of the embedding tables; differs from `width` in ALBERT.
  package var embeddingWidth: Int
  /// The width of the hidden states.
  package var width: Int
  /// Layers applied (ALBERT applies the same one every time).
  package var layers: Int
  /// Attention heads.
  package var heads: Int
  /// The width between the two feed-forward products.
  package var innerWidth: Int
  /// The feed-forward activation.
  package var activation: Activation
  /// ε of every layer normalisation.
  package var epsilon: Float
}

/// The fields of `config.json` that matter, under all the names the families give them.
struct ConfigurationFile: Decodable {
  var modelType: String?
  var vocabSize: Int?
  var maxPositionEmbeddings: Int?
  var typeVocabSize: Int?
  var embeddingSize: Int?
  var hiddenSize: Int?
  var numHiddenLayers: Int?
  var numAttentionHeads: Int?
  var intermediateSize: Int?
  var hiddenAct: String?
  var layerNormEps: Double?
  var positionEmbeddingType: String?
  var isDecoder: Bool?
  // DistilBERT
  var dim: Int?
  var nLayers: Int?
  var nHeads: Int?
  var hiddenDim: Int?
  var activation: String?
  // ALBERT
  var numHiddenGroups: Int?
  var innerGroupNum: Int?
}

extension ModelConfiguration {
  /// Reads `config.json`; `wanted` is what the folder is opened as.
  init(_ model: ModelFiles, for wanted: ModelKind? = nil) throws(RetortError) {
    let path = model.path("config.json")
    guard let file = try model.json("config.json", as: ConfigurationFile.self) else {
      throw RetortError(
        .missingInput, "has no config.json; name the folder of a Hugging Face model",
        path: model.directory)
    }
    guard file.modelType != TKConfiguration.type else {
      throw ModelKind.tk.refusal(model.directory, wanted: wanted)
    }
    guard let type = file.modelType, let architecture = Architecture(rawValue: type) else {
      throw RetortError(
        .badData,
        "has the model_type '\(file.modelType ?? "")'; supported are bert, distilbert and albert",
        path: path)
    }
    self.architecture = architecture
    let distil = architecture == .distilbert
    func size(
      _ value: Int?, _ name: String, limit: Int = Self.largestSize
    ) throws(RetortError) -> Int {
      guard let value else {
        throw RetortError(.badData, "has no \(name); download it again", path: path)
      }
      guard (1...limit).contains(value) else {
        throw RetortError(
          .badData, "has \(name) = \(value), outside 1...\(limit); correct it",
          path: path)
      }
      return value
    }
    vocabularySize = try size(file.vocabSize, "vocab_size")
    positions = try size(file.maxPositionEmbeddings ?? 512, "max_position_embeddings")
    types = distil ? 0 : try size(file.typeVocabSize ?? 2, "type_vocab_size")
    width = try distil ? size(file.dim, "dim") : size(file.hiddenSize, "hidden_size")
    embeddingWidth =
      architecture == .albert ? try size(file.embeddingSize ?? 128, "embedding_size") : width
    layers =
      try distil
      ? size(file.nLayers, "n_layers", limit: Self.mostLayers)
      : size(file.numHiddenLayers, "num_hidden_layers", limit: Self.mostLayers)
    heads =
      try distil
      ? size(file.nHeads, "n_heads") : size(file.numAttentionHeads, "num_attention_heads")
    innerWidth =
      try distil
      ? size(file.hiddenDim, "hidden_dim") : size(file.intermediateSize, "intermediate_size")
    guard width % heads == 0 else {
      throw RetortError(
        .badData,
        "has \(heads) attention heads, which do not divide the width \(width); correct it",
        path: path)
    }
    activation = try Self.activation(file, architecture, path: path)
    let epsilon = distil ? 1e-12 : file.layerNormEps ?? 1e-12
    guard epsilon >= 0, epsilon < 1 else {
      throw RetortError(.badData, "has layer_norm_eps = \(epsilon); correct it", path: path)
    }
    self.epsilon = Float(epsilon)
    try Self.refuse(file, path: path)
  }

  /// A bound on every size, so that products of two of them cannot overflow.
  private static let largestSize = 1 << 28
  private static let mostLayers = 1024

  private static func activation(
    _ file: ConfigurationFile, _ architecture: Architecture, path: String
  ) throws(RetortError) -> Activation {
    let name =
      switch architecture {
      case .bert: file.hiddenAct ?? "gelu"
      case .distilbert: file.activation ?? "gelu"
      case .albert: file.hiddenAct ?? "gelu_new"
      }
    switch name {
    case "gelu": return .geluErf
    case "gelu_new", "gelu_pytorch_tanh", "gelu_fast": return .geluTanh
    default:
      throw RetortError(
        .badData,
        "has the \(architecture == .distilbert ? "activation" : "hidden_act") '\(name)'; supported "
          + "are gelu, gelu_new, gelu_fast and gelu_pytorch_tanh", path: path)
    }
  }

  /// Throws for what would silently give other numbers than the model's authors meant.
  private static func refuse(_ file: ConfigurationFile, path: String) throws(RetortError) {
    if let kind = file.positionEmbeddingType, kind != "absolute" {
      throw RetortError(
        .badData, "has the position_embedding_type '\(kind)'; only absolute is supported",
        path: path)
    }
    if file.isDecoder == true {
      throw RetortError(.badData, "describes a decoder; only encoders are supported", path: path)
    }
    for (count, name) in [
      (file.numHiddenGroups, "num_hidden_groups"), (file.innerGroupNum, "inner_group_num"),
    ] where (count ?? 1) != 1 {
      throw RetortError(
        .badData, "has \(name) = \(count ?? 1); only 1 is supported", path: path)
    }
  }
}
