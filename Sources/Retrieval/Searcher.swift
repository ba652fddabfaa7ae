import DefaultEncoder
import Formats
import Lexical
import Models
import Platform
import Store
import Synchronization
import Tensors
import Terms
import Text

/// An index together with the encoder its vectors came from: questions in, passages out.
public final class Searcher: Sendable {
  /// The index.
  public let index: PassageIndex
  /// What ranks the passages.
  public let ranking: Ranking
  /// The encoder of the queries; nil where words alone rank the passages.
  public let encoder: TextEncoder?

  /// What ranks by term vectors; nil where nothing does.
  public let colbert: ColBERT?
  private let termSets: StoredTermSets?
  /// Passages that a search by term vectors keeps after the first round over centroids, and at least k;
  /// nil derives it from k.
  package let candidates: Int?
  private let termSpaces = Mutex<[TermSearchSpace]>([])

  /// Where the time of a search went, in seconds.
  public struct Timings: Sendable, Codable, Equatable {
    /// Tokenizing and encoding the queries.
    public var encode = 0.0
    /// Finding the passages.
    public var search = 0.0
    /// Re-ranking them, where that was asked for.
    public var rerank = 0.0
    /// Reading ids (and texts).
    public var fetch = 0.0

    /// All zero.
    public init() {}
  }

  /// Opens the index in folder `path`, with the model it was built with unless words alone rank.
  ///
  /// - Parameters:
  ///   - model: where the model's folder is now; nil: where it was at build time. Weights, tokenizer
  ///     and settings must be those of the build.
  ///   - memoryLimit: bytes of memory that the index's data may take, as `PassageIndex` says.
  public init(
    path: String, model: String? = nil, ranking: Ranking = .dense, memoryLimit: Int? = nil
  ) throws(RetortError) {
    index = try PassageIndex(path: path, memoryLimit: memoryLimit)
    self.ranking = ranking
    guard ranking != .terms else {
      throw RetortError(.usage, "term vectors rank by a model; give the ColBERT they came from")
    }
    if ranking != .dense { try index.requireLexical() }
    if case .lexical = ranking {
      encoder = nil
    } else {
      encoder = try Self.encoder(of: index, at: model)
    }
    colbert = nil
    termSets = nil
    candidates = nil
  }

  /// Opens the index in folder `path` for searching by its stored term vectors alone.
  ///
  /// - Parameters:
  ///   - colbert: the model they were made with.
  ///   - candidates: passages that are scored over centroids before the best are scored by their
  ///     vectors; nil derives it from k.
  ///   - memoryLimit: bytes of memory that the index's data may take, as `PassageIndex` says.
  public init(
    path: String, colbert: ColBERT, candidates: Int? = nil, memoryLimit: Int? = nil
  ) throws(RetortError) {
    index = try PassageIndex(path: path, memoryLimit: memoryLimit)
    ranking = .terms
    encoder = nil
    self.colbert = colbert
    self.candidates = candidates
    termSets = try index.requireTerms(of: colbert)
  }

  /// Loads the model that an index was built with.
  ///
  /// - Parameter model: where the model's folder is now; nil: where it was at build time.
  public static func encoder(
    of index: PassageIndex, at model: String? = nil
  ) throws(RetortError) -> TextEncoder {
    guard let built = index.manifest.model else {
      throw RetortError(
        .usage,
        "was built from vectors, not by a model: search it with vectors (--query-vectors)",
        path: index.path)
    }
    var folder = model ?? built.path
    if folder == DefaultEncoder.name { folder = try DefaultEncoder.folder() }
    guard FileSystem.kind(of: folder) == .folder else {
      throw RetortError(
        .missingInput,
        "the model this index was built with is not there any more; say where it is with --model",
        path: folder)
    }
    var options = EncoderOptions()
    options.pooling = Pooling(rawValue: built.pooling)
    options.normalize = built.normalized
    options.maxLength = built.maxLength
    options.precision = built.precision.flatMap(EncoderPrecision.init) ?? .f32
    let encoder = try TextEncoder(directory: folder, options: options)
    guard encoder.dimension == index.dimension else {
      throw RetortError(
        .dimensionMismatch,
        "the model gives vectors of \(encoder.dimension) dimensions, the index \(index.path) has "
          + "\(index.dimension); name the model the index was built with", path: folder)
    }
    guard encoder.fingerprint == built.fingerprint else {
      throw RetortError(
        .dimensionMismatch,
        "is not the model the index \(index.path) was built with (other weights or tokenizer); name "
          + "that one with --model or build the index again", path: folder)
    }
    return encoder
  }

  /// The `k` best passages for each query, and where the time went.
  ///
  /// Queries longer than the encoder takes are cut; `truncated` says how many. Hybrid rankings fuse
  /// the best max(k, 100) of each.
  public func search(
    _ queries: [String], k: Int, mode: SearchMode, among selection: PassageSelection? = nil,
    threads: Int, statistics: SearchStatistics? = nil
  ) throws(RetortError) -> (hits: [[SearchHit]], truncated: Int, timings: Timings) {
    if let colbert, let termSets {
      return try searchTerms(
        queries, k: k, mode: mode, colbert, termSets, among: selection, threads: threads)
    }
    guard let encoder else {
      return try searchWords(queries, k: k, among: selection, threads: threads)
    }
    var depth = k
    if case .hybrid = ranking { depth = Fusion.depth(k) }
    var timings = Timings()
    let start = monotonicSeconds()
    let tokens = OrderedResults<TokenizedText>(count: queries.count)
    parallelFor(queries.count, threads: threads) { item, _ in
      tokens.set(item, encoder.tokenize(queries[item]))
    }
    let tokenized = tokens.values
    let vectors = try encoder.encode(tokenized.map(\.ids), threads: threads)
    let encoded = monotonicSeconds()
    timings.encode = encoded - start
    var hits = try index.search(
      vectors, k: depth, mode: mode, among: selection, threads: threads, statistics: statistics)
    if case .hybrid(let fusion, let parameters) = ranking {
      let words = try index.searchWords(
        queries, k: depth, parameters: parameters, among: selection, threads: threads)
      hits = zip(hits, words).map { fusion.fuse(dense: $0, lexical: $1, k: k) }
    }
    timings.search = monotonicSeconds() - encoded
    return (hits, tokenized.count { $0.isTruncated }, timings)
  }

  private func searchTerms(
    _ queries: [String], k: Int, mode: SearchMode, _ colbert: ColBERT, _ sets: StoredTermSets,
    among selection: PassageSelection?, threads: Int
  ) throws(RetortError) -> (hits: [[SearchHit]], truncated: Int, timings: Timings) {
    var timings = Timings()
    let start = monotonicSeconds()
    let encoded = OrderedResults<(vectors: Matrix, isTruncated: Bool)>(count: queries.count)
    try parallelForThrowing(queries.count, threads: threads) { item, _ throws(RetortError) in
      encoded.set(item, try colbert.queryTerms(queries[item]))
    }
    let questions = encoded.values
    let ready = monotonicSeconds()
    timings.encode = ready - start
    // Kept from one search to the next: the products with all centroids are megabytes.
    let space = termSpaces.withLock { $0.popLast() } ?? TermSearchSpace()
    defer { termSpaces.withLock { $0.append(space) } }
    let hits = try index.searchTerms(
      questions.map(\.vectors), in: sets, k: k, candidates: candidates,
      isExhaustive: mode == .exact, among: selection, threads: threads, space: space)
    timings.search = monotonicSeconds() - ready
    return (hits, questions.count { $0.isTruncated }, timings)
  }

  private func searchWords(
    _ queries: [String], k: Int, among selection: PassageSelection?, threads: Int
  ) throws(RetortError) -> (hits: [[SearchHit]], truncated: Int, timings: Timings) {
    var parameters = BM25()
    if case .lexical(let chosen) = ranking { parameters = chosen }
    var timings = Timings()
    let start = monotonicSeconds()
    let hits = try index.searchWords(
      queries, k: k, parameters: parameters, among: selection, threads: threads)
    timings.search = monotonicSeconds() - start
    return (hits, 0, timings)
  }
}
