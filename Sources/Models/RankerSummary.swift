import Platform
import Text

/// What was understood of the folder of a model that scores passages: a cross-encoder, a ColBERT or a
/// PreTTR. What a kind does not have is nil.
public struct RankerSummary: Sendable, Codable {
  /// What it is.
  public var kind: ModelKind
  /// The family of its encoder.
  public var architecture: Architecture
  /// Layers applied.
  public var layers: Int
  /// The width of the hidden states.
  public var hiddenSize: Int
  /// Attention heads.
  public var attentionHeads: Int
  /// The width between the two feed-forward products.
  public var intermediateSize: Int
  /// Entries of the word table.
  public var vocabularySize: Int
  /// Entries of the position table.
  public var positions: Int
  /// Tokens of a query with its passage at most (cross-encoder).
  public var pairLength: Int?
  /// Tokens of a query at most (ColBERT, PreTTR).
  public var queryLength: Int?
  /// Tokens of a passage at most (ColBERT, PreTTR).
  public var passageLength: Int?
  /// The position of a passage's first token (PreTTR).
  public var passagePosition: Int?
  /// Numbers of a passage's token that can be stored (ColBERT, PreTTR).
  public var dimension: Int?
  /// How queries and passages are made (ColBERT).
  public var colbert: ColBERTSettings?
  /// Layers that read query and passage apart (PreTTR).
  public var splitLayer: Int?
  /// Numbers of a token between the compressor's two products (PreTTR); nil without one.
  public var compressor: Int?
  /// Numbers in the weights.
  public var parameters: Int
  /// What the encoder computes in, and why.
  public var precision: Decision<EncoderPrecision>
  /// How the weights are stored in the files.
  public var storedPrecision: [String]
  /// The kernels that run on this CPU.
  public var kernels: String
  /// The kind of tokenizer.
  public var tokenizer: String
  /// The identity of everything that decides scores.
  public var fingerprint: String

  init(
    _ kind: ModelKind, _ configuration: ModelConfiguration, _ tokenizer: Tokenizer?,
    _ weights: RankerWeights, _ precision: Decision<EncoderPrecision>, fingerprint: String
  ) {
    self.kind = kind
    architecture = configuration.architecture
    layers = configuration.layers
    hiddenSize = configuration.width
    attentionHeads = configuration.heads
    intermediateSize = configuration.innerWidth
    vocabularySize = configuration.vocabularySize
    positions = configuration.positions
    parameters = weights.parameters
    self.precision = precision
    storedPrecision = weights.formats
    kernels = KernelNames.inUse
    self.tokenizer = tokenizer?.kind ?? "none"
    self.fingerprint = fingerprint
  }
}

extension RankerSummary {
  /// The summary as lines of `name: value` for a terminal.
  public var description: String {
    var lines = [
      "kind:          \(kind.noun)",
      "architecture:  \(architecture.rawValue), \(counted(layers, "layer")), "
        + counted(attentionHeads, "head"),
      "sizes:         hidden \(hiddenSize), intermediate \(intermediateSize), vocabulary "
        + "\(vocabularySize), positions \(positions)",
    ]
    if let pairLength {
      lines.append("max length:    \(pairLength) tokens of a query with its passage")
    }
    if let queryLength, let passageLength {
      let from = passagePosition.map { ", from position \($0)" } ?? ""
      lines.append(
        "max length:    \(queryLength) tokens of a query, \(passageLength) of a passage\(from)")
    }
    if let dimension, let colbert { lines += Self.lines(dimension, colbert) }
    if let dimension, let splitLayer {
      lines.append("split:         \(splitLayer) of \(layers) layers read query and passage apart")
      lines.append(
        "compressor:    "
          + (compressor.map { "\($0) of \(hiddenSize) numbers a token" } ?? "none")
          + ", \(dimension) can be stored")
    }
    return
      (lines + [
        "parameters:    \(parameters)",
        "precision:     \(precision.value.rawValue) (\(precision.reason); stored as "
          + storedPrecision.joined(separator: ", ") + ")",
        "kernels:       \(kernels)", "tokenizer:     \(tokenizer)",
        "fingerprint:   \(fingerprint)",
      ]).joined(separator: "\n")
  }

  private static func lines(_ dimension: Int, _ settings: ColBERTSettings) -> [String] {
    let scale = settings.normalizes ? "scaled to length 1" : "as they are"
    let punctuation = settings.skipsPunctuation ? "left out of passages" : "takes part"
    return [
      "dimension:     \(dimension) numbers a token, \(scale)",
      "query masks:   \(settings.queryMasks)",
      "markers:       \(settings.queryMarker ?? "none") in queries, "
        + "\(settings.passageMarker ?? "none") in passages",
      "punctuation:   \(punctuation)",
    ]
  }
}

/// What is known of a re-ranker's weights beside themselves.
struct RankerWeights: Sendable {
  /// Numbers in the weights.
  var parameters = 0
  /// How they are stored in the files.
  var formats: [String] = []

  init() {}

  init(_ reader: WeightReader) {
    parameters = reader.parameters
    formats = reader.formats.ordered()
  }
}

extension Decision<EncoderPrecision> {
  /// Of a network that is used as it is given.
  static var unpacked: Self { Decision(value: .f32, reason: "as given") }

  /// Its part of a fingerprint: none of f32, whose vectors and scores were there first.
  var identity: [String] { value == .f32 ? [] : ["precision \(value.rawValue)"] }
}
