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
        guard try RerankerName(name).kind != .cat else {
          throw RetortError(
            .usage, "\"\(name)\" reads query and passage together and has no term vectors to store")
        }
      }
    } catch {
      throw ValidationError(error.message)
    }
  }

  static func load(_ list: String?) throws -> [TermSource] {
    try names(list).map { try TermSource(reranker: rerankerNamed($0)) }
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

  package init() {}

  /// Whether terms are to be stored.
  package var isGiven: Bool { terms != nil }

  package func validate() throws {
    if termCodec != nil, terms == nil { throw ValidationError("--term-codec needs --terms") }
    try TermModels.check(terms)
  }

  /// The models, loaded.
  package func sources() throws -> [TermSource] { try TermModels.load(terms) }

  /// What is to be stored.
  package func requests() throws -> [TermRequest] {
    try sources().map { TermRequest($0, codec: termCodec) }
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

  /// The models that were named.
  package func named() throws -> [TermSource] { try TermModels.load(terms) }

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
    let source = try TermSource(reranker: RerankerName("\(stored.kind):\(stored.path)"))
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
