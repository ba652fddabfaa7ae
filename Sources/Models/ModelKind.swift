import Platform

/// The kinds of models that folders hold.
public enum ModelKind: String, Sendable, Codable, CaseIterable {
  /// A vector for every text.
  case encoder
  /// BERT_CAT: a score for a query and a passage read together.
  case crossEncoder = "cross-encoder"
  /// A vector for every token.
  case colbert
  /// A cross-encoder whose first layers read query and passage apart.
  case prettr
  /// Words in their contexts, and kernels over their cosines.
  case tk

  /// Finds out by the configuration and the names of the tensors; no weights are read.
  ///
  /// - Throws: what every loader throws of a folder that holds no model that is understood.
  public init(directory: String) throws(RetortError) {
    let files = try ModelFiles(directory)
    guard !TKConfiguration.describes(files) else {
      self = .tk
      return
    }
    self = try OpenedModel(directory).kind
  }

  /// The kind of a folder that is no TK.
  init(_ files: ModelFiles, _ tensors: TensorFiles) throws(RetortError) {
    if try PreTTRSettings.read(files) != nil {
      self = .prettr
    } else if ColBERTNetwork.hasProjection(tensors) {
      self = .colbert
    } else if tensors["classifier.weight"]?.tensor.shape.first == 1 {
      // A classifier of several outputs makes no score; its encoder is one like any other's.
      self = .crossEncoder
    } else {
      self = .encoder
    }
  }

  /// The kind as a noun.
  var noun: String {
    switch self {
    case .encoder: "a text encoder"
    case .crossEncoder: "a cross-encoder (BERT_CAT)"
    case .colbert: "a ColBERT"
    case .prettr: "a PreTTR"
    case .tk: "a TK"
    }
  }

  /// The options that take a folder of this kind.
  func options(_ directory: String) -> String {
    switch self {
    case .encoder: "--model \(directory)"
    case .crossEncoder: "--rerank cat:\(directory)"
    case .colbert: "--rerank colbert:\(directory) or --terms colbert:\(directory)"
    case .prettr: "--rerank prettr:\(directory) or --terms prettr:\(directory)"
    case .tk: "--rerank tk:\(directory) or --terms tk:\(directory)"
    }
  }

  /// What to say of a folder of this kind where another was wanted.
  func refusal(_ directory: String, wanted: ModelKind?) -> RetortError {
    let other = wanted.map { ", not \($0.noun)" } ?? ", which has no encoder of the BERT family"
    return RetortError(
      .badData, "is \(noun)\(other); it belongs to \(options(directory))", path: directory)
  }
}
