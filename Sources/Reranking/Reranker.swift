import Models
import Platform
import Store

/// A model that reads candidates again and says how well each answers a query.
public protocol Reranker: Sendable {
  /// What decides its scores: equal fingerprints mean equal scores.
  var fingerprint: String { get }

  /// The number format it computes in.
  var precision: EncoderPrecision { get }

  /// What a user should know about how it works here, if anything.
  var note: String? { get }

  /// The scores of `passages` for `query`, in order; higher is better.
  ///
  /// They depend on nothing but the query and its passages, not on threads or on other queries. A
  /// query without words and an empty passage have scores like any other.
  func rerank(
    query: String, passages: [String], threads: Int
  ) throws(RetortError) -> RerankScores

  /// Why a passage has its score; nil for models that cannot say.
  func explain(
    query: String, passage: String, threads: Int
  ) throws(RetortError) -> RerankExplanation?
}

extension Reranker {
  /// Single precision.
  public var precision: EncoderPrecision { .f32 }

  /// Nothing to know.
  public var note: String? { nil }

  /// Nothing to say.
  public func explain(
    query: String, passage: String, threads: Int
  ) throws(RetortError) -> RerankExplanation? { nil }
}

/// What a re-ranker says about a query's passages.
public struct RerankScores: Sendable, Equatable {
  /// One for each passage.
  public var scores: [Float]
  /// Texts that were longer than the model takes, and of which only the start was read.
  public var truncated: Int

  /// Scores.
  public init(scores: [Float], truncated: Int = 0) {
    self.scores = scores
    self.truncated = truncated
  }
}

/// The kinds of models that re-rank.
public enum RerankerKind: String, Sendable, Codable, CaseIterable {
  /// BERT_CAT: query and passage read together.
  case cat
  /// ColBERT: a vector for every token, the largest inner products summed up.
  case colbert
  /// TK: words in their contexts, kernels over their cosines.
  case tk
  /// PreTTR: a cross-encoder whose first layers read query and passage apart.
  case prettr
  /// BERT_DOT: the inner product of a vector of the query and one of the passage.
  case dot

  /// Reads a kind; `pretr` is prettr, too.
  init?(named name: String) {
    self.init(rawValue: name == "pretr" ? "prettr" : name)
  }
}

/// A re-ranker by kind and folder, as people write it: `cat:models/teacher`.
public struct RerankerName: Sendable, Equatable {
  /// What it is.
  public var kind: RerankerKind
  /// The model's folder, or the name of a fetched model.
  public var model: String

  /// A re-ranker.
  public init(kind: RerankerKind, model: String) {
    self.kind = kind
    self.model = model
  }

  /// Reads `KIND:MODEL`.
  public init(_ text: String) throws(RetortError) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let kinds = RerankerKind.allCases.map { $0.rawValue + ":MODEL" }.joined(separator: ", ")
    guard parts.count == 2, !parts[1].isEmpty, let kind = RerankerKind(named: String(parts[0]))
    else {
      throw RetortError(.usage, "\"\(text)\" is no re-ranker; write \(kinds)")
    }
    self.init(kind: kind, model: String(parts[1]))
  }

  /// Loads the model; its `model` must be a folder. TK computes in f32 whatever `options` say: it has
  /// no encoder whose products would take long.
  public func load(_ options: RerankerOptions = .init()) throws(RetortError) -> any Reranker {
    switch kind {
    case .prettr:
      return try PreTTR(
        directory: model, maxLength: options.maxLength, precision: options.precision,
        stored: options.storedPrecisions)
    case .tk: return try TK(directory: model, maxLength: options.maxLength)
    case .cat:
      return try CrossEncoder(
        directory: model, maxLength: options.maxLength, precision: options.precision)
    case .colbert: return try ColBERT(directory: model, options: options.colbert)
    case .dot:
      var settings = EncoderOptions()
      settings.maxLength = options.maxLength
      settings.precision = options.precision
      return try TextEncoder(directory: model, options: settings)
    }
  }
}

/// What a caller may decide about a re-ranker; nil leaves it to the model's files.
public struct RerankerOptions: Sendable {
  /// Tokens of a query with its passage (cat), or of a passage (colbert, dot, prettr; tk:
  /// words), at most.
  public var maxLength: Int?
  /// colbert: the [MASK] tokens of queries.
  public var queryMasks: QueryMasks?
  /// The number format of the encoder's products (not of tk, which has none); nil is f32, or what a
  /// quantised copy holds.
  public var precision: EncoderPrecision?
  /// What stored term vectors were computed in, by their fingerprints: `auto` is the same.
  public private(set) var storedPrecisions: [String: EncoderPrecision] = [:]

  /// Leaves everything to the model's files.
  public init() {}

  /// The part of it that is ColBERT's.
  package var colbert: ColBERTOptions {
    var settings = ColBERTOptions()
    settings.passageLength = maxLength
    settings.queryMasks = queryMasks
    settings.precision = precision
    settings.storedPrecisions = storedPrecisions
    return settings
  }

  /// Lets `auto` be what the term vectors of an index were computed in, where they are of the model.
  public mutating func follow(_ manifest: Manifest) {
    for terms in manifest.terms ?? [] {
      storedPrecisions[terms.fingerprint] =
        terms.precision.flatMap { EncoderPrecision(rawValue: $0) } ?? .f32
    }
  }
}

extension CrossEncoder: Reranker {
  /// The scores of `passages` for `query`, in order.
  public func rerank(
    query: String, passages: [String], threads: Int
  ) throws(RetortError) -> RerankScores {
    let (scores, truncated) = try score(texts: passages.map { (query, $0) }, threads: threads)
    return RerankScores(scores: scores, truncated: truncated)
  }
}
