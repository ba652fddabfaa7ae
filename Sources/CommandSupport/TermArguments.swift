import ArgumentParser
import Retort

extension TermCodec: ExpressibleByArgument {}

/// The values of `--terms`: re-rankers by kind and model, separated by commas.
private enum TermModels {
  static func names(_ list: String?) -> [String] {
    list?.split(separator: ",", omittingEmptySubsequences: false).map(String.init) ?? []
  }

  /// Refuses what is no re-ranker with term vectors, before anything is loaded.
  static func check(_ list: String?) throws {
    do throws(RetortError) {
      for name in names(list) {
        let reason: String? =
          switch try RerankerName(name).kind {
          case .cat: "reads query and passage together"
          case .dot: "has one vector for a whole passage"
          case .colbert, .tk, .prettr: nil
          }
        if let reason {
          throw RetortError(.usage, "\"\(name)\" \(reason) and has no term vectors to store")
        }
      }
    } catch {
      throw ValidationError(error.message)
    }
  }

  /// Loads them; where `manifest` stores terms of a model, `auto` is what those were computed in.
  static func load(
    _ list: String?, _ precision: EncoderPrecision?, storedIn manifest: Manifest?
  ) throws -> [TermSource] {
    var options = RerankerOptions()
    options.precision = precision ?? .auto
    if let manifest { options.follow(manifest) }
    return try names(list).map { try TermSource(reranker: rerankerNamed($0), options: options) }
  }
}

/// Which re-rankers' term vectors an index stores, and how.
package struct TermArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Store what re-rankers keep of passages, separated by commas: colbert:, tk: or prettr:MODEL.",
      valueName: "kind:model"))
  package var terms: String?

  @Option(
    help: """
      How term vectors are stored: f32, f16, int8, or residual-1, residual-2 or residual-4, a centroid and \
      so many bits a component (default: residual-2 for colbert, f16 for tk and prettr).
      """)
  package var termCodec: TermCodec?

  @Option(
    help: """
      Number format that term vectors are computed in: f32, bf16, int8, or auto, the fastest that keeps \
      the scores of built-in passages (default: auto; what is stored of the same model, where there is; \
      tk: always f32).
      """)
  package var termPrecision: EncoderPrecision?

  package init() {}

  /// Whether terms are to be stored.
  package var isGiven: Bool { terms != nil }

  package func validate() throws {
    if termCodec != nil, terms == nil { throw ValidationError("--term-codec needs --terms") }
    if termPrecision != nil, terms == nil {
      throw ValidationError("--term-precision needs --terms")
    }
    try TermModels.check(terms)
    try checkPrecision(termPrecision, of: TermModels.names(terms), option: "--term-precision")
  }

  /// What is to be stored, the models loaded; in an index that has a `manifest` already.
  package func requests(in manifest: Manifest? = nil) throws -> [TermRequest] {
    try TermModels.load(terms, termPrecision, storedIn: manifest)
      .map { TermRequest($0, codec: termCodec) }
  }
}

/// Where the models of stored term vectors are now.
package struct TermModelArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Where the models of stored term vectors are now, if they were moved: colbert:, tk: or \
      prettr:MODEL, separated by commas.
      """, valueName: "kind:model"))
  package var terms: String?

  package init() {}

  package func validate() throws { try TermModels.check(terms) }

  /// The models that were named, to compute in what the terms of `manifest` were computed in.
  package func named(in manifest: Manifest) throws -> [TermSource] {
    try TermModels.load(terms, nil, storedIn: manifest)
  }

  /// The model of stored terms: among those that were named, else where it was.
  package static func source(
    of stored: Manifest.Terms, among named: [TermSource]
  ) throws(RetortError) -> TermSource {
    if let source = named.first(where: { $0.fingerprint == stored.fingerprint }) { return source }
    guard FileSystem.kind(of: stored.path) == .folder else {
      throw RetortError(
        .missingInput,
        "the model of the stored term vectors is not there any more; say where it is with --terms "
          + "\(stored.kind):MODEL", path: stored.path)
    }
    var options = RerankerOptions()
    options.precision = stored.precision.flatMap { EncoderPrecision(rawValue: $0) }
    let source = try TermSource(
      reranker: RerankerName("\(stored.kind):\(stored.path)"), options: options)
    guard source.fingerprint == stored.fingerprint else {
      throw RetortError(
        .dimensionMismatch,
        "is not the model of the stored term vectors any more (dimension \(source.dimension) now, "
          + "\(stored.dimension) stored, or other weights); say where that one is with --terms "
          + "\(stored.kind):MODEL", path: stored.path)
    }
    return source
  }
}
