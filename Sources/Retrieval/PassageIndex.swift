import Formats
import Graph
import Platform
import Store
import Synchronization

/// A passage that a search found.
public struct SearchHit: Sendable, Equatable {
  /// The passage's place in the corpus, from 0.
  public var number: Int
  /// The inner product of query and passage vectors; higher is better.
  public var score: Float

  /// A hit.
  public init(number: Int, score: Float) {
    self.number = number
    self.score = score
  }
}

/// How to look for the nearest passages.
public enum SearchMode: Sendable, Equatable {
  /// A walk over the graph that keeps `efSearch` candidates: fast, nearly always right.
  case graph(efSearch: Int)
  /// A scan of every vector: the ground truth.
  case exact
}

/// A finished index, opened for searching: an immutable snapshot that any number of threads share.
///
/// Files are mapped, not read: opening takes milliseconds whatever the size, and damaged data is
/// noticed when it is first touched (or by `verify`).
public final class PassageIndex: Sendable {
  /// The folder.
  public let path: String
  private let opened: OpenedIndex
  private let scratchPool = ScratchPool()

  /// Opens the index in folder `path`.
  public init(path: String) throws(RetortError) {
    self.path = path
    opened = try OpenedIndex(IndexFolder(path))
  }

  /// What the index is and how it was made.
  public var manifest: Manifest { opened.manifest }
  /// The number of passages.
  public var count: Int { opened.manifest.passages }
  /// Components a vector.
  public var dimension: Int { opened.manifest.dimension }

  /// The id of a passage.
  public func id(_ number: Int) throws(RetortError) -> String {
    try check(number)
    return try opened.passages.id(number)
  }

  /// A passage with its text.
  public func passage(_ number: Int) throws(RetortError) -> Passage {
    try check(number)
    return Passage(
      id: try opened.passages.id(number), text: try opened.passages.text(number))
  }

  /// The number of the passage called `id`, or nil.
  public func number(of id: String) throws(RetortError) -> Int? {
    try opened.passages.number(of: id)
  }

  /// The vector of a passage: `dimension` floats.
  public func vector(_ number: Int) throws(RetortError) -> [Float] {
    try check(number)
    return try opened.vectors.vectors.vector(number)
  }

  private func check(_ number: Int) throws(RetortError) {
    guard number >= 0, number < count else {
      throw RetortError(
        .usage, "there is no passage \(number); the index has \(count)", path: path)
    }
  }

  /// The `k` best passages for each of many queries.
  ///
  /// Hits are ordered by score, ties by place in the corpus (the earlier first), and are fewer than
  /// k only if the index has fewer passages. The answers do not depend on `threads`.
  ///
  /// - Parameter queries: row-major [queries × dimension].
  public func search(
    _ queries: [Float], k: Int, mode: SearchMode, threads: Int = 1,
    statistics: SearchStatistics? = nil
  ) throws(RetortError) -> [[SearchHit]] {
    guard queries.count % dimension == 0 else {
      throw RetortError(
        .dimensionMismatch,
        "\(queries.count) query components are no multiple of the index's dimension \(dimension)",
        path: path)
    }
    guard queries.allSatisfy(\.isFinite) else {
      throw RetortError(.badData, "a query vector holds NaN or infinity")
    }
    let found: [[Neighbor]]
    switch mode {
    case .exact:
      let scan = ExactScan(
        vectors: opened.vectors.vectors, largestNorm: opened.vectors.largestNorm)
      found = try scan.search(queries, k: k, threads: threads)
    case .graph(let efSearch):
      found = try walk(queries, k: k, efSearch: efSearch, threads: threads, statistics)
    }
    return found.map { $0.map { SearchHit(number: Int($0.id), score: $0.score) } }
  }

  private func walk(
    _ queries: [Float], k: Int, efSearch: Int, threads: Int, _ statistics: SearchStatistics?
  ) throws(RetortError) -> [[Neighbor]] {
    guard efSearch > 0 else {
      throw RetortError(.usage, "efSearch is \(efSearch) but must be at least 1 (usual: 100)")
    }
    let count = queries.count / dimension
    let results = OrderedResults<[Neighbor]>(count: count)
    let scratches = scratchPool.take(max(1, min(threads, count)))
    defer { scratchPool.put(scratches) }
    try parallelForThrowing(count, threads: threads) { q, worker throws(RetortError) in
      try Interruption.check()
      let query = Array(queries[(q * dimension)..<((q + 1) * dimension)])
      results.set(
        q,
        try opened.graph.graph.search(
          query, vectors: opened.vectors.vectors, k: k, efSearch: efSearch,
          scratch: scratches[worker]))
    }
    statistics?.add(
      queries: count, scratches.reduce(0) { $0 + $1.distanceEvaluations },
      scratches.reduce(0) { $0 + $1.hops })
    return results.values
  }

  /// Reads and checks everything: all checksums, every neighbour list, every id and text, and that
  /// every passage is reachable in the graph.
  public func verify() throws(RetortError) {
    for file in [opened.vectors.file, opened.passages.file, opened.graph.file] {
      try file.verifyAll()
    }
    for number in 0..<count {
      try Interruption.check()
      let id = try opened.passages.id(number)
      guard try opened.passages.number(of: id) == number else {
        throw RetortError(
          .badData, "passage \(number) cannot be found by its id \"\(id)\"; build the index again",
          path: path)
      }
    }
    try opened.passages.verifyTexts()
    try opened.graph.graph.verifyLists()
    let reachable = try opened.graph.graph.reachableCount()
    guard reachable == count else {
      throw RetortError(
        .badData,
        "only \(reachable) of \(count) passages are reachable in the graph; build the index again",
        path: path)
    }
  }
}

/// What searches cost, added up over calls.
public final class SearchStatistics: @unchecked Sendable {
  /// Queries answered by graph walks.
  public private(set) var queries = 0
  /// Inner products those walks computed.
  public private(set) var distanceEvaluations = 0
  /// Nodes those walks expanded.
  public private(set) var hops = 0

  /// Counters at zero. Not for use by several calls at once.
  public init() {}

  func add(queries: Int, _ evaluations: Int, _ hops: Int) {
    self.queries += queries
    distanceEvaluations += evaluations
    self.hops += hops
  }
}

/// Search scratches that outlive a call: their visited marks take two bytes a passage, too much to
/// allocate and clear for every query.
private final class ScratchPool: Sendable {
  /// A scratch is used by one worker at a time.
  private let idle = Mutex<UncheckedScratches>(UncheckedScratches())

  func take(_ count: Int) -> UncheckedScratches {
    idle.withLock { idle in
      let reused = Array(idle.list.suffix(count))
      idle.list.removeLast(reused.count)
      reused.forEach { $0.resetCounters() }
      return UncheckedScratches(
        list: reused + (reused.count..<count).map { _ in SearchScratch() })
    }
  }

  func put(_ scratches: UncheckedScratches) {
    idle.withLock { $0.list += scratches.list }
  }
}

private struct UncheckedScratches: @unchecked Sendable {
  var list: [SearchScratch] = []

  subscript(worker: Int) -> SearchScratch { list[worker] }

  func reduce(_ start: Int, _ add: (Int, SearchScratch) -> Int) -> Int { list.reduce(start, add) }
}
