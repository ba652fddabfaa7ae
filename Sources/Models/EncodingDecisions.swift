import Platform
import Text

/// How token vectors become one vector.
public enum Pooling: String, Sendable, CaseIterable, Codable {
  /// The last layer's vector of the first token, [CLS] (BERT_DOT).
  case cls
  /// The mean of the last layer's vectors of all tokens.
  case mean
}

/// What a caller may decide about a text encoder; nil leaves it to the model's own files.
public struct EncoderOptions: Sendable {
  /// How token vectors become one.
  public var pooling: Pooling?
  /// Whether vectors are scaled to length 1.
  public var normalize: Bool?
  /// The longest sequence in tokens, [CLS] and [SEP] included.
  public var maxLength: Int?
  /// The number format of the weights while encoding; nil is single precision, or what a quantised
  /// copy holds.
  public var precision: EncoderPrecision?

  /// Leaves everything to the model's files.
  public init() {}
}

/// The number format an encoder computes in, be it by itself or below the head of a re-ranker.
public enum EncoderPrecision: String, Sendable, Codable, CaseIterable {
  /// Single precision: the reference.
  case f32
  /// Weights (and inputs, where the CPU multiplies bf16) rounded to eight bits of mantissa.
  case bf16
  /// Eight-bit weights, one scale per output; eight-bit inputs, one scale per token. Attention is f32, or
  /// bf16 where the CPU multiplies it.
  case int8
  /// The fastest of these on this CPU that keeps what f32 makes of built-in texts: vectors with a
  /// cosine of at least 0.995 to those of f32, and of a re-ranker scores with a correlation of at
  /// least 0.999 within questions.
  case auto
}

/// A setting with the reason for it.
public struct Decision<Value: Sendable & Codable>: Sendable, Codable {
  /// What was decided.
  public var value: Value
  /// Where that comes from.
  public var reason: String
}

/// How a model directory's files, which may disagree, are read.
struct EncodingDecisions {
  var pooling: Decision<Pooling>
  var normalize: Decision<Bool>
  var notes: [String] = []

  private struct Module: Decodable {
    var path: String
    var type: String

    var kind: String { type.split(separator: ".").last.map(String.init) ?? type }
  }

  private struct PoolingFile: Decodable {
    var poolingMode: String?
    var poolingModeClsToken: Bool?
    var poolingModeMeanTokens: Bool?
    var poolingModeMaxTokens: Bool?
    var poolingModeMeanSqrtLenTokens: Bool?
    var poolingModeWeightedmeanTokens: Bool?
    var poolingModeLasttoken: Bool?

    var modes: [String] {
      if let poolingMode { return poolingMode.split(separator: "+").map(String.init) }
      let flags = [
        ("cls", poolingModeClsToken), ("mean", poolingModeMeanTokens),
        ("max", poolingModeMaxTokens), ("mean_sqrt_len", poolingModeMeanSqrtLenTokens),
        ("weightedmean", poolingModeWeightedmeanTokens), ("lasttoken", poolingModeLasttoken),
      ]
      return flags.filter { $0.1 == true }.map(\.0)
    }
  }

  private struct PromptsFile: Decodable { var prompts: [String: String]? }

  init(_ model: ModelFiles, _ options: EncoderOptions) throws(RetortError) {
    var found: Decision<Pooling>?
    var normalizes: Decision<Bool>?
    if let modules = try model.json("modules.json", as: [Module].self) {
      for module in modules {
        switch module.kind {
        case "Transformer", "Normalize": break
        case "Pooling":
          let name = module.path.isEmpty ? "config.json" : module.path + "/config.json"
          found = try Self.pooling(model, file: name, overridden: options.pooling != nil)
          guard found != nil || options.pooling != nil else {
            throw RetortError(
              .missingInput,
              "is missing though modules.json names it, so how token vectors become one is unknown; "
                + "download the model again or say --pooling", path: model.path(name))
          }
        default: throw Self.unsupported(module.kind, at: module.path, model)
        }
      }
      let normal = modules.contains { $0.kind == "Normalize" }
      normalizes = Decision(
        value: normal, reason: "modules.json has \(normal ? "a" : "no") Normalize module")
    } else {
      if model.hasFolder("2_Dense") { throw Self.unsupported("Dense", at: "2_Dense", model) }
      found = try Self.pooling(
        model, file: "1_Pooling/config.json", overridden: options.pooling != nil)
      if found != nil {
        let normal = model.hasFolder("2_Normalize")
        normalizes = Decision(
          value: normal, reason: "there is \(normal ? "a" : "no") 2_Normalize folder")
      }
    }
    pooling =
      options.pooling.map { Decision(value: $0, reason: "asked for") } ?? found
      ?? Decision(
        value: .cls, reason: "no file of the directory says; [CLS] is the custom of BERT_DOT")
    normalize =
      options.normalize.map { Decision(value: $0, reason: "asked for") } ?? normalizes
      ?? Decision(
        value: false, reason: "no file of the directory says; BERT_DOT does not normalise")
    let prompts = try model.json("config_sentence_transformers.json", as: PromptsFile.self)?.prompts
    let named = (prompts ?? [:]).filter { !$0.value.isEmpty }.ordered { $0.key < $1.key }
    if !named.isEmpty {
      notes.append(
        "config_sentence_transformers.json names prompts that are not added to texts: "
          + named.map { "\($0.key) = '\($0.value)'" }.joined(separator: ", "))
    }
  }

  private static func pooling(
    _ model: ModelFiles, file: String, overridden: Bool
  ) throws(RetortError) -> Decision<Pooling>? {
    guard let content = try model.json(file, as: PoolingFile.self) else { return nil }
    if let mode = content.modes.first, content.modes.count == 1, let known = Pooling(rawValue: mode)
    {
      return Decision(value: known, reason: file)
    }
    if overridden { return nil }
    throw RetortError(
      .badData,
      "asks for \(content.modes.isEmpty ? "no" : content.modes.joined(separator: " + ")) pooling; "
        + "supported are cls and mean: choose one explicitly", path: model.path(file))
  }

  private static func unsupported(
    _ kind: String, at path: String, _ model: ModelFiles
  ) -> RetortError {
    RetortError(
      .badData,
      "has a \(kind) module (\(path)), which is not supported; only Transformer, Pooling and "
        + "Normalize are: use a model without it", path: model.directory)
  }
}

/// How long sequences may get.
enum MaxLength {
  private struct SentenceBert: Decodable { var maxSeqLength: Int? }
  /// [CLS], one token and [SEP].
  static let shortest = 3

  /// The first source that says, limited by the position table; the reason names those that differ.
  static func decide(
    _ model: ModelFiles, positions: Int, declared: Tokenizer.DeclaredLengths, asked: Int?
  ) throws(RetortError) -> Decision<Int> {
    if let asked {
      guard asked >= shortest, asked <= positions else {
        throw RetortError(
          .usage,
          "a maximal length of \(asked) tokens is outside \(shortest)...\(positions), what this "
            + "model can take; choose one inside", path: model.directory)
      }
      return Decision(value: asked, reason: "asked for")
    }
    var sources: [(name: String, length: Int)] = []
    let sentence = "sentence_bert_config.json"
    if let length = try model.json(sentence, as: SentenceBert.self)?.maxSeqLength {
      sources.append((sentence, length))
    }
    if let length = declared.truncation {
      sources.append(("the truncation of tokenizer.json", length))
    }
    if let length = declared.modelMaximum {
      sources.append(("model_max_length of tokenizer_config.json", length))
    }
    guard let first = sources.first else {
      return Decision(value: positions, reason: "max_position_embeddings; no other file says")
    }
    guard first.length >= shortest else {
      throw RetortError(
        .badData,
        "\(first.name) allows \(first.length) tokens, fewer than the \(shortest) any text needs; "
          + "correct it or give a length explicitly", path: model.directory)
    }
    var reason = first.name
    if first.length > positions {
      reason += " says \(first.length), limited by max_position_embeddings"
    }
    let others = sources.dropFirst().filter { $0.length != first.length }
    for other in others { reason += "; \(other.name) says \(other.length)" }
    return Decision(value: min(first.length, positions), reason: reason)
  }
}
