import Formats
import Graph
import Platform
import Store
import Synchronization

/// A passage that a search found.
public struct SearchHit: Sendable, Equatable {
  /// The passage's number in the index, from 0: its place in the corpus, as long as the index is what
  /// one build made of it. A merge numbers passages anew, in the same order.
  public var number: Int
  /// What the index's metric makes of query and passage vectors: their inner product, their cosine,
  /// or their squared Euclidean distance, negative. Higher is better.
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
  let opened: OpenedIndex
  private let scratchPool = ScratchPool()
  /// By the number of a segment's first passage, once somebody asked for fields.
  private let metadata = Mutex<[Int: MetadataReader]>([:])

  /// Opens the index in folder `path`.
  ///
  /// - Parameter memoryLimit: bytes of memory that the index's data may take: blocks of its files,
  ///   mapped or decoded, are let go when they are more, and read again when they are wanted. The
  ///   answers are the same. Metadata, deletions and what a search itself needs come on top. nil: as
  ///   much as the system has room for.
  public init(path: String, memoryLimit: Int? = nil) throws(RetortError) {
    self.path = path
    opened = try OpenedIndex(IndexFolder(path), memoryLimit: memoryLimit)
  }

  deinit { opened.budget?.close() }

  /// What is counted against the memory limit now, in bytes, and how often mapped pages were given back
  /// and decoded blocks dropped; nil without a limit.
  package var memoryUse: (mapped: Int, decoded: Int, givenBack: Int, drops: Int)? {
    opened.budget?.use
  }

  /// What the index is and how it was made.
  public var manifest: Manifest { opened.manifest }
  /// The number of passages that searches find.
  public var count: Int { opened.manifest.passages }
  /// Passage numbers lie below this. Without deletions it equals `count`.
  public var capacity: Int { opened.capacity }
  /// Components a vector.
  public var dimension: Int { opened.manifest.dimension }

  /// Whether no passage has this number any more.
  public func isDeleted(_ number: Int) throws(RetortError) -> Bool {
    let segment = try segment(of: number)
    return segment.isDeleted(number - segment.base)
  }

  /// The id of a passage, deleted or not.
  public func id(_ number: Int) throws(RetortError) -> String {
    try reading(number) { segment, place throws(RetortError) in try segment.passages.id(place) }
  }

  /// A passage with its text, deleted or not; `fields(of:)` has its metadata.
  public func passage(_ number: Int) throws(RetortError) -> Passage {
    try reading(number) { segment, place throws(RetortError) in
      Passage(id: try segment.passages.id(place), text: try segment.passages.text(place))
    }
  }

  /// The metadata of a passage, deleted or not.
  ///
  /// The first call for a segment reads the distinct values of all its fields.
  public func fields(of number: Int) throws(RetortError) -> [String: [FieldValue]] {
    try reading(number) { segment, place throws(RetortError) in
      try reader(of: segment)?.fields(of: place) ?? [:]
    }
  }

  /// What reads the fields of a segment's passages; nil where there are none.
  private func reader(of segment: OpenedSegment) throws(RetortError) -> MetadataReader? {
    guard let file = segment.metadata else { return nil }
    return try metadata.withLock { known throws(RetortError) in
      if let reader = known[segment.base] { return reader }
      let reader = try MetadataReader(file)
      known[segment.base] = reader
      return reader
    }
  }

  /// The number of the passage called `id`; nil where there is none, or none any more.
  public func number(of id: String) throws(RetortError) -> Int? {
    try reading { () throws(RetortError) in try opened.number(of: id) }
  }

  /// Whether a passage called `id` was deleted, and none of that name was added afterwards.
  public func isDeleted(id: String) throws(RetortError) -> Bool {
    try reading { () throws(RetortError) in
      guard try opened.number(of: id) == nil else { return false }
      for segment in opened.segments {
        if let place = try segment.passages.number(of: id), segment.isDeleted(place) { return true }
      }
      return false
    }
  }

  /// The vector of a passage: `dimension` floats.
  public func vector(_ number: Int) throws(RetortError) -> [Float] {
    try reading(number) { segment, place throws(RetortError) in
      try segment.vectors.vectors.vector(place)
    }
  }

  /// What `body` reads of the whole index; throws where another program cut a file meanwhile, whatever
  /// `body` made of it.
  package func reading<Result>(
    _ body: () throws(RetortError) -> Result
  ) throws(RetortError) -> Result {
    do throws(RetortError) {
      let result = try body()
      try opened.checkIntact()
      return result
    } catch {
      try opened.checkIntact()
      throw error
    }
  }

  /// What `body` reads of passage `number`, given its segment and its place there.
  private func reading<Result>(
    _ number: Int, _ body: (OpenedSegment, Int) throws(RetortError) -> Result
  ) throws(RetortError) -> Result {
    let segment = try segment(of: number)
    do throws(RetortError) {
      let result = try body(segment, number - segment.base)
      try segment.checkIntact()
      return result
    } catch {
      try segment.checkIntact()
      throw error
    }
  }

  private func segment(of number: Int) throws(RetortError) -> OpenedSegment {
    guard number >= 0, number < capacity else {
      throw RetortError(
        .usage, "there is no passage \(number); the index has \(capacity)", path: path)
    }
    return opened.segment(of: number)
  }

  /// The `k` best passages for each of many queries.
  ///
  /// Hits are ordered by score, ties by number (what was added earlier first), and are fewer than k
  /// only if the index has fewer passages. The answers do not depend on `threads`. Segments are
  /// searched one after the other and their answers merged by the same order, so an exact search
  /// over several finds what it would find in one.
  ///
  /// With a selection only its passages are found, k of them wherever there are as many. A segment
  /// few of whose passages are selected is not walked: its selected passages are scanned, which is
  /// exact. The same is done where a walk meets too few of them.
  ///
  /// - Parameters:
  ///   - queries: row-major [queries × dimension].
  ///   - selection: what may be found, from `select`; nil: everything.
  ///   - statistics: told what the search cost and how it was done.
  public func search(
    _ queries: [Float], k: Int, mode: SearchMode, among selection: PassageSelection? = nil,
    threads: Int = 1, statistics: SearchStatistics? = nil
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
    var queries = queries
    if manifest.metric == .cosine { queries.normalizeRows(of: dimension) }
    let checked = queries
    return try reading { () throws(RetortError) in
      let hits =
        switch mode {
        case .exact: try scan(checked, k: k, among: selection, threads: threads)
        case .graph(let efSearch):
          try walk(
            checked, k: k, efSearch: efSearch, among: selection, threads: threads, statistics)
        }
      return manifest.metric == .euclidean ? try distances(hits, from: checked) : hits
    }
  }

  /// The same hits with squared Euclidean distances, negative, as their scores.
  ///
  /// Searches rank by q·x − ‖x‖²/2, which orders alike but loses digits where vectors are long.
  private func distances(
    _ hits: [[SearchHit]], from queries: [Float]
  ) throws(RetortError) -> [[SearchHit]] {
    var scored = hits
    for q in hits.indices {
      let query = queries[(q * dimension)..<((q + 1) * dimension)]
      for place in hits[q].indices {
        var square: Float = 0
        for (x, y) in zip(query, try vector(hits[q][place].number)) { square += (x - y) * (x - y) }
        scored[q][place].score = -square
      }
      scored[q] = scored[q].ordered { ($0.score, $1.number) > ($1.score, $0.number) }
    }
    return scored
  }

  private func scan(
    _ queries: [Float], k: Int, among selection: PassageSelection?, threads: Int
  ) throws(RetortError) -> [[SearchHit]] {
    var merged = [[SearchHit]](repeating: [], count: queries.count / dimension)
    for (place, segment) in opened.segments.enumerated() {
      let scan = ExactScan(
        vectors: segment.vectors.vectors, largestNorm: segment.vectors.largestNorm,
        metric: manifest.metric.graphMetric,
        allowed: selection?.segments[place] ?? segment.live)
      for (q, found) in try scan.search(queries, k: k, threads: threads).enumerated() {
        merged[q].merge(found, base: segment.base, k: k)
      }
    }
    return merged
  }

  private func walk(
    _ queries: [Float], k: Int, efSearch: Int, among selection: PassageSelection?, threads: Int,
    _ statistics: SearchStatistics?
  ) throws(RetortError) -> [[SearchHit]] {
    guard efSearch > 0 else {
      throw RetortError(.usage, "efSearch is \(efSearch) but must be at least 1 (usual: 100)")
    }
    let count = queries.count / dimension
    let plans = opened.segments.enumerated().map {
      SegmentPlan($0.element, selected: selection?.segments[$0.offset], k: k, efSearch: efSearch)
    }
    let scanned = Atomic(0)
    let results = OrderedResults<[SearchHit]>(count: count)
    let scratches = scratchPool.take(max(1, min(threads, count)))
    defer { scratchPool.put(scratches) }
    try parallelForThrowing(count, threads: threads) { q, worker throws(RetortError) in
      try Interruption.check()
      let query = Array(queries[(q * dimension)..<((q + 1) * dimension)])
      var merged: [SearchHit] = []
      for plan in plans {
        let answer = try plan.search(query, scratch: scratches[worker])
        merged.merge(answer.found, base: plan.segment.base, k: k)
        scanned.add(answer.scanned, ordering: .relaxed)
      }
      results.set(q, merged)
    }
    statistics?.add(
      queries: count, scratches, scanned: scanned.load(ordering: .relaxed))
    return results.values
  }
}

extension [SearchHit] {
  /// Adds what a segment found, keeping the `k` best: by score, equal ones by number.
  ///
  /// Segments come in the order of their numbers, so an equal score comes after those that are there.
  fileprivate mutating func merge(_ found: [Neighbor], base: Int, k: Int) {
    if isEmpty {
      self = found.map { SearchHit(number: base + Int($0.id), score: $0.score) }
      return
    }
    var merged: [SearchHit] = []
    merged.reserveCapacity(Swift.min(k, count + found.count))
    var (own, other) = (0, 0)
    while merged.count < k, own < count || other < found.count {
      if other == found.count || (own < count && self[own].score >= found[other].score) {
        merged.append(self[own])
        own += 1
      } else {
        merged.append(
          SearchHit(number: base + Int(found[other].id), score: found[other].score))
        other += 1
      }
    }
    self = merged
  }
}
