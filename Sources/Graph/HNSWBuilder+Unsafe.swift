import Platform

// How a graph is built in parallel and yet always the same
//
// A node's top level comes from hash(seed, id), not from a shared generator. Vectors fall into
// windows, each half as long as all before it, so that a graph can grow while later vectors are still
// being made. The nodes of a window enter in the order of another such hash, in batches that grow
// with the graph (about 2% of it). All nodes of a batch search the graph as it stood before the
// batch, in parallel, and write only their own lists, which nobody reads yet. Then the reverse links
// are gathered, sorted by (target, source) and merged, in parallel over targets, each of which is
// pruned by one thread alone. Neither step depends on which thread did what or on when a vector
// arrived, so the graph has the same bytes at any thread count.
//
// The price is that nodes of one batch do not see each other. In a random order that costs a node
// about one in fifty of its neighbours; in the order of the corpus it would cost most of them,
// since the passages before and after are the ones most like it: on 21,090 sentences of articles
// recall@10 at efSearch 100 was 0.975 in corpus order.
//
// A node whose level exceeds the graph's is a batch of its own: it becomes the entry point.
//
// Codes are learnt twice. Once a few thousand vectors are linked, their principal axes give the codes
// that the walks of the build go by; candidates are scored again at full precision, so axes that do
// not suit later vectors cost a little time and nothing else. When the last vector is linked, axes,
// codes and the numbering of the nodes are made anew from the whole collection: these are the ones
// that are kept, and they do not depend on what came first.

/// Builds an HNSW graph over `vectors`; see the essay above.
///
/// Shared by the threads of one phase: each writes lists of its own in `links` and uses the scratch
/// of its worker number.
package struct HNSWBuilder: @unchecked Sendable {
  private var space: PassageSpace
  /// What the walks of the build go by; nil while there are few vectors.
  private var codes: CodeSet?
  private var axes: PrincipalAxes?
  private let parameters: HNSWParameters
  private var threads = 1
  private let links: LinkTable
  private var entryPoint: UInt32 = 0
  private var topLevel = -1
  private var scratches: [SearchScratch] = []
  /// The nodes of the current window, in the order in which they enter, and how many have.
  private var window: [UInt32] = []
  private var entered = 0
  /// Nodes linked so far.
  private var linked: Int { links.count - window.count + entered }

  /// The finished lists of one layer in memory: `offsets[s]..<offsets[s + 1]` are the places in
  /// `targets` of the slots that slot s links to, ascending.
  package struct Layer: Sendable {
    /// Vector ids by slot; empty on layer 0.
    package var nodes: [UInt32]
    /// count + 1 places in `targets`.
    package var offsets: [Int]
    /// Neighbour slots.
    package var targets: [UInt32]
  }

  /// A built graph, in memory.
  package struct Output: Sendable {
    /// The layers from 0 up.
    package var layers: [Layer]
    /// The node where searches start.
    package var entryPoint: UInt32
    /// What the reachability pass found.
    package var reachability: Reachability
    /// The codes the graph was built over, by node; nil for small collections.
    package var codes: CodeSet?
    /// What nearness means.
    package var metric: GraphMetric
    /// The vector of each node; empty where nodes are numbered like vectors.
    package var vectorOfNode: [UInt32]
  }

  /// Builds the graph.
  ///
  /// - Parameters:
  ///   - vectors: at most 2^31 − 1 finite vectors.
  ///   - progress: told how many nodes are linked, from the calling thread.
  /// - Throws: `.badData` for a vector that is not finite, `.cancelled` on interruption.
  package static func build(
    _ vectors: VectorSet, parameters: HNSWParameters, threads: Int,
    progress: @escaping (Int) -> Void = { _ in }
  ) throws(RetortError) -> Output {
    try build(
      from: CompleteVectors(vectors: vectors, threads: max(threads, 1), progress: progress),
      parameters: parameters)
  }

  /// Builds the graph of vectors that may still be arriving; the bytes are those of `build(_:)` over
  /// all of them.
  package static func build(
    from source: some VectorSource, parameters: HNSWParameters
  ) throws(RetortError) -> Output {
    try parameters.validate()
    var builder = HNSWBuilder(parameters)
    while try builder.linkNextBatch(source) {}
    return try builder.finished(source)
  }

  private init(_ parameters: HNSWParameters) {
    self.parameters = parameters
    space = PassageSpace(VectorSet([], dimension: 0), metric: parameters.metric)
    links = LinkTable(m: parameters.m)
  }

  /// The top level of a node: geometric with ratio 1/M, from hash(seed, id).
  package static func level(of id: Int, seed: UInt64, m: Int) -> Int {
    let bits = Hashing.mix(Hashing.mix(seed &+ 0x9E37_79B9_7F4A_7C15) ^ UInt64(id))
    let uniform = (Double(bits >> 11) + 0.5) * 0x1p-53
    return min(Int(-log(uniform) / log(Double(m))), LinkTable.maximumLevel)
  }

  /// Where the window of vectors ends that begins at `id`.
  static func windowEnd(after id: Int) -> Int { max(1024, id + id / 2) }

  /// Ids in the order of hash(seed, id).
  static func insertionOrder(of ids: Range<Int>, seed: UInt64) -> [UInt32] {
    let salt = Hashing.mix(seed &+ 0xD1B5_4A32_D192_ED03)
    var keys = ids.map { id in
      (hash: Hashing.mix(salt ^ UInt64(id)), id: UInt32(truncatingIfNeeded: id))
    }
    keys.sort { $0.hash < $1.hash || ($0.hash == $1.hash && $0.id < $1.id) }
    return keys.map(\.id)
  }

  /// Links the next batch, once its window has arrived; false where there are no more vectors.
  private mutating func linkNextBatch(_ source: some VectorSource) throws(RetortError) -> Bool {
    let isNew = entered == window.count
    let end = isNew ? Self.windowEnd(after: links.count) : links.count
    try take(upTo: end, source)
    // Given back before it is known whether linking succeeded: an error ends the build anyway.
    defer { source.finished(next: linked) }
    guard linked < space.vectors.count else { return false }
    if isNew {
      let added = links.count..<min(space.vectors.count, end)
      try addNodes(added, source)
      window = Self.insertionOrder(of: added, seed: parameters.seed)
      entered = 0
    }
    var last = min(window.count, entered + max(1, min(linked / 50, 8192)))
    if let higher = (entered..<last).first(where: { links.level(Int(window[$0])) > topLevel }) {
      last = higher == entered ? entered + 1 : higher
    }
    // Near nodes one after the other: what one walk has read is still in the caches for the next.
    try insert(window[entered..<last].sorted(), source)
    let first = window[entered]
    if links.level(Int(first)) > topLevel {
      topLevel = links.level(Int(first))
      entryPoint = first
    }
    entered = last
    return true
  }

  /// Waits for vectors and works on them from now on; their beginning are those of before.
  private mutating func take(
    upTo count: Int, _ source: some VectorSource
  ) throws(RetortError) {
    let taken = try source.take(upTo: count)
    guard taken.vectors.count < Int(SearchScratch.expanded) else {
      throw RetortError(
        .limitExceeded,
        "a segment holds at most 2147483647 passages; split the corpus into shards")
    }
    space.vectors = taken.vectors
    threads = max(taken.threads, 1)
    while scratches.count < threads { scratches.append(SearchScratch()) }
  }

  /// Makes nodes, not linked yet, of the vectors `window`: near ones get near numbers, within the
  /// window.
  private mutating func addNodes(
    _ window: Range<Int>, _ source: some VectorSource
  ) throws(RetortError) {
    let vectors = space.vectors
    let biases = try PassageSpace.check(
      vectors, window, metric: parameters.metric, threads: threads)
    if axes == nil, window.lowerBound >= HNSWParameters.vectorsToLearnFrom,
      HNSWParameters.codedDimensions.contains(vectors.dimension)
    {
      axes = try learnAxes(vectors.first(window.lowerBound), source)
    }
    var ids = window.map { UInt32($0) }
    if let axes {
      ids = try LocalityOrder.order(
        vectors, window, along: axes, threads: threads, check: source.check)
    }
    space.append(ids, biases: biases)
    links.grow(
      by: ids.map { Self.level(of: Int($0), seed: parameters.seed, m: parameters.m) },
      expecting: vectors.count)
    guard let axes else { return }
    var book = codes?.book
    if book == nil { book = try learnBook(vectors.first(window.lowerBound), axes) }
    guard let book else { return }
    codes = try CodeSet(
      vectors, nodes: space.ids, book: book, metric: parameters.metric, threads: threads,
      extending: codes, check: source.check)
  }

  private func learnAxes(
    _ vectors: VectorSet, _ source: some VectorSource
  ) throws(RetortError) -> PrincipalAxes {
    try PrincipalAxes(
      vectors, count: min(vectors.dimension, parameters.codeBlocks * 128), seed: parameters.seed,
      threads: threads, check: source.check)
  }

  private func learnBook(
    _ vectors: VectorSet, _ axes: PrincipalAxes
  ) throws(RetortError) -> CodeBook? {
    try CodeBook.train(vectors, axes, blocks: parameters.codeBlocks, seed: parameters.seed)
  }

  private func insert(
    _ batch: [UInt32], _ source: some VectorSource
  ) throws(RetortError) {
    guard topLevel >= 0 else { return }
    try parallelForThrowing(batch.count, threads: threads) { item, worker throws(RetortError) in
      // A batch of a large graph takes seconds; being stopped must not.
      try source.check()
      try findNeighbors(of: batch[item], scratch: scratches[worker])
    }
    for layer in 0...topLevel { try linkBack(batch, layer: layer, source) }
  }

  /// Writes the lists of a node that nobody links to yet.
  private func findNeighbors(of id: UInt32, scratch: SearchScratch) throws(RetortError) {
    if let codes {
      let scorer = CodeScorer(
        codes: codes, query: scratch.prepare(space.pointer(id), codes.book))
      try findNeighbors(of: id, scorer, rescore: true, scratch)
    } else {
      try findNeighbors(of: id, space.scorer(id), rescore: false, scratch)
    }
  }

  private func findNeighbors<Score: Scorer>(
    of id: UInt32, _ scorer: Score, rescore: Bool, _ scratch: SearchScratch
  ) throws(RetortError) {
    let level = links.level(Int(id))
    var current = entryPoint
    for layer in stride(from: topLevel, to: level, by: -1) {
      let view = links.view(layer)
      scratch.begin(slots: links.count, ef: 1)
      try scratch.start(at: current, view, scorer)
      try scratch.walk(view, scorer)
      current = scratch.poolSlots[0] & ~SearchScratch.expanded
    }
    for layer in stride(from: min(level, topLevel), through: 0, by: -1) {
      let view = links.view(layer)
      scratch.begin(slots: links.count, ef: parameters.efConstruction)
      try scratch.start(at: current, view, scorer)
      try scratch.walk(view, scorer)
      current = scratch.poolSlots[0] & ~SearchScratch.expanded
      if rescore { try scratch.rescore(space.scorer(id)) }
      let offset = space.offset(id)
      let candidates = (0..<scratch.poolCount).map {
        Neighbor(
          id: scratch.poolSlots[$0] & ~SearchScratch.expanded,
          score: scratch.poolScores[$0] + offset)
      }
      links.set(id, layer: layer, select(candidates, for: id, limit: parameters.m))
    }
  }

  /// The neighbour-selection heuristic (Malkov and Yashunin 2018, algorithm 4): from the nearest
  /// on, a candidate is kept unless it is nearer to one already kept than to the node itself. Room
  /// that is left goes to the nearest of those passed over ("keepPrunedConnections"): on 3,633
  /// abstracts that raises recall@10 at efSearch 100 from 0.986 to 0.993 for 14% more distances.
  ///
  /// Exact copies of the node would fill the list with each other and cut it off from the rest;
  /// at most two are kept.
  ///
  /// - Parameter candidates: sorted by `Neighbor.ranksBefore`.
  private func select(_ candidates: [Neighbor], for id: UInt32, limit: Int) -> [UInt32] {
    var kept: [UInt32] = []
    var pruned: [UInt32] = []
    kept.reserveCapacity(limit)
    let own = space.similarity(id, id)
    var copies = 0
    for candidate in candidates {
      if kept.count == limit { break }
      if candidate.score >= own, isCopy(candidate.id, id) {
        copies += 1
        if copies > 2 { continue }
      }
      let isDominated = kept.contains { space.similarity(candidate.id, $0) > candidate.score }
      if isDominated { pruned.append(candidate.id) } else { kept.append(candidate.id) }
    }
    return kept + pruned.prefix(limit - kept.count)
  }

  private func isCopy(_ a: UInt32, _ b: UInt32) -> Bool {
    memcmp(space.pointer(a), space.pointer(b), space.vectors.dimension * 4) == 0
  }

  /// Adds the reverse links of a batch on one layer and prunes the lists that overflow.
  private func linkBack(
    _ batch: [UInt32], layer: Int, _ source: some VectorSource
  ) throws(RetortError) {
    var pairs: [UInt64] = []
    for id in batch where links.level(Int(id)) >= layer {
      for target in links.view(layer).list(id) {
        pairs.append(UInt64(target) << 32 | UInt64(id))
      }
    }
    pairs.sort()
    var groups: [Range<Int>] = []
    var start = 0
    for i in pairs.indices where i + 1 == pairs.count || pairs[i] >> 32 != pairs[i + 1] >> 32 {
      groups.append(start..<(i + 1))
      start = i + 1
    }
    let (sorted, ranges) = (pairs, groups)
    let chunk = 16
    try parallelForThrowing((ranges.count + chunk - 1) / chunk, threads: threads) {
      item, _ throws(RetortError) in
      try source.check()
      for group in ranges[(item * chunk)..<min(ranges.count, (item + 1) * chunk)] {
        let target = UInt32(sorted[group.lowerBound] >> 32)
        link(target, to: sorted[group].map { UInt32(truncatingIfNeeded: $0) }, layer: layer)
      }
    }
  }

  private func link(_ target: UInt32, to sources: [UInt32], layer: Int) {
    let limit = parameters.maximumDegree(layer: layer)
    let merged = Array(links.view(layer).list(target)) + sources
    guard merged.count > links.capacity(layer: layer) else {
      links.set(target, layer: layer, merged)
      return
    }
    var candidates = merged.map { Neighbor(id: $0, score: space.similarity(target, $0)) }
    candidates.sort(by: Neighbor.ranksBefore)
    links.set(target, layer: layer, select(candidates, for: target, limit: limit))
  }
}

// MARK: - Finishing

extension HNSWBuilder {
  /// The graph of all vectors, once all are linked.
  private mutating func finished(_ source: some VectorSource) throws(RetortError) -> Output {
    try take(upTo: links.count, source)
    defer { source.finished(next: links.count) }
    try pruneAll(source)
    let reachability = try connectUnreachable(source)
    let (vectorOfNode, coded) = try finalCodes(source)
    let renumbering = Renumbering(from: space.ids, to: vectorOfNode)
    return Output(
      layers: try links.layers(renumbering, check: source.check),
      entryPoint: links.count > 0 ? renumbering.newOf[Int(entryPoint)] : 0,
      reachability: reachability, codes: coded, metric: parameters.metric,
      vectorOfNode: vectorOfNode)
  }

  /// Numbers of nodes while they are linked (old) and in the finished graph (new).
  struct Renumbering {
    /// The new number of an old one.
    let newOf: [UInt32]
    /// The old number of a new one.
    let oldOf: [UInt32]

    /// From nodes that stand for the vectors `old` to nodes for the vectors `new`; where that is empty,
    /// nodes are numbered like vectors.
    init(from old: [UInt32], to new: [UInt32]) {
      var nodeOf = [UInt32](repeating: 0, count: old.count)
      for (node, vector) in new.enumerated() { nodeOf[Int(vector)] = UInt32(node) }
      newOf = new.isEmpty ? old : old.map { nodeOf[Int($0)] }
      var before = [UInt32](repeating: 0, count: old.count)
      for (node, renumbered) in newOf.enumerated() { before[Int(renumbered)] = UInt32(node) }
      oldOf = before
    }
  }

  /// The vector of each node of the finished graph and the codes its searches go by, both learnt from
  /// all vectors; nothing where there are too few vectors to learn from or to gain by codes.
  private mutating func finalCodes(
    _ source: some VectorSource
  ) throws(RetortError) -> (vectorOfNode: [UInt32], codes: CodeSet?) {
    let vectors = space.vectors
    codes = nil
    guard vectors.count >= HNSWParameters.fewestCodes,
      HNSWParameters.codedDimensions.contains(vectors.dimension)
    else { return ([], nil) }
    let axes = try learnAxes(vectors, source)
    guard let book = try learnBook(vectors, axes) else { return ([], nil) }
    let nodes = try LocalityOrder.order(
      vectors, 0..<vectors.count, along: axes, threads: threads, check: source.check)
    let codes = try CodeSet(
      vectors, nodes: nodes, book: book, metric: parameters.metric, threads: threads,
      check: source.check)
    return (nodes, codes)
  }

  /// Prunes the lists that the build left longer than a finished graph may have them.
  private func pruneAll(_ source: some VectorSource) throws(RetortError) {
    let limit = parameters.maximumDegree(layer: 0)
    let chunk = 64
    let count = space.vectors.count
    try parallelForThrowing((count + chunk - 1) / chunk, threads: threads) {
      item, _ throws(RetortError) in
      try source.check()
      for id in UInt32(item * chunk)..<UInt32(min(count, (item + 1) * chunk))
      where links.degree(id) > limit {
        var candidates = links.view(0).list(id).map {
          Neighbor(id: $0, score: space.similarity(id, $0))
        }
        candidates.sort(by: Neighbor.ranksBefore)
        links.set(id, layer: 0, select(candidates, for: id, limit: limit))
      }
    }
  }
}

// MARK: - Reachability

extension HNSWBuilder {
  /// Links every node that a walk over layer 0 cannot reach from the entry point.
  ///
  /// Pruning keeps lists short by dropping links, and a node whose every incoming link was dropped
  /// is lost to all searches. Each such node gets a link from the nearest reachable node with room,
  /// or from the nearest one beyond its limit, so that nothing else is unlinked.
  private mutating func connectUnreachable(
    _ source: some VectorSource
  ) throws(RetortError) -> Reachability {
    let count = space.vectors.count
    guard count > 0 else { return Reachability(reachedBefore: 0, linked: 0, reachable: 0) }
    var seen = [Bool](repeating: false, count: count)
    var reached = spread(from: entryPoint, &seen)
    let reachedBefore = reached
    var linked = 0
    let scratch = scratches[0]
    for id in 0..<UInt32(count) where !seen[Int(id)] {
      try source.check()
      let scorer = space.scorer(id)
      let view = links.view(0)
      scratch.begin(slots: count, ef: parameters.efConstruction)
      try scratch.start(at: entryPoint, view, scorer)
      try scratch.walk(view, scorer)
      let near = (0..<scratch.poolCount).map { scratch.poolSlots[$0] & ~SearchScratch.expanded }
      let limit = parameters.maximumDegree(layer: 0)
      // Where no list has room, the one with the fewest links beyond its limit: with widely varying
      // norms many lost nodes are near the same few, whose lists would grow without bound.
      let source =
        near.first { links.degree($0) < limit }
        ?? near.min { links.allTargets($0).count < links.allTargets($1).count } ?? entryPoint
      links.addExtra(from: source, to: id)
      linked += 1
      reached += spread(from: id, &seen)
    }
    return Reachability(reachedBefore: reachedBefore, linked: linked, reachable: reached)
  }

  /// Marks everything reachable from `start` over layer 0; returns how many nodes were new.
  private func spread(from start: UInt32, _ seen: inout [Bool]) -> Int {
    guard !seen[Int(start)] else { return 0 }
    seen[Int(start)] = true
    var stack = [start]
    var reached = 1
    while let node = stack.popLast() {
      for next in links.allTargets(node) where !seen[Int(next)] {
        seen[Int(next)] = true
        reached += 1
        stack.append(next)
      }
    }
    return reached
  }
}
