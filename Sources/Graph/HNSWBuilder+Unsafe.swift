import Platform

// How a graph is built in parallel and yet always the same
//
// A node's top level comes from hash(seed, id), not from a shared generator. Nodes enter in the
// order of another such hash, in batches that grow with the graph (about 2% of it). All nodes of a
// batch search the graph as it stood before the batch, in parallel, and write only their own lists,
// which nobody reads yet. Then the reverse links are gathered, sorted by (target, source) and
// merged, in parallel over targets, each of which is pruned by one thread alone. Neither step
// depends on which thread did what, so the graph has the same bytes at any thread count.
//
// The price is that nodes of one batch do not see each other. In a random order that costs a node
// about one in fifty of its neighbours; in the order of the corpus it would cost most of them,
// since the passages before and after are the ones most like it: on 21,090 sentences of articles
// recall@10 at efSearch 100 was 0.975 in corpus order.
//
// A node whose level exceeds the graph's is a batch of its own: it becomes the entry point.
//
// Nothing is linked before the last vector is there. A graph that grows while passages are encoded has
// to take them in the order of the corpus, at least from one window of it to the next, and pays for it
// in every search: on 92,219 vectors of five collections one after the other, recall@10 at efSearch
// 40 was 0.870 in windows (each half as long as all before) and 0.949 in random order. It would hardly
// save time, as encoding keeps all threads busy.

/// Builds an HNSW graph over `vectors`; see the essay above.
///
/// Shared by the threads of one phase: each writes lists of its own in `links` and uses the scratch
/// of its worker number.
package struct HNSWBuilder: @unchecked Sendable {
  private let space: PassageSpace
  private let codes: CodeSet?
  private let parameters: HNSWParameters
  private let threads: Int
  private let links: LinkTable
  private var entryPoint: UInt32 = 0
  private var topLevel = -1
  private let scratches: [SearchScratch]

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
    try parameters.validate()
    guard vectors.count < Int(SearchScratch.expanded) else {
      throw RetortError(
        .limitExceeded,
        "a segment holds at most 2147483647 passages; split the corpus into shards")
    }
    let biases = try PassageSpace.check(vectors, metric: parameters.metric, threads: threads)
    let (nodes, codes) = try makeCodes(vectors, parameters, threads: threads)
    let space = PassageSpace(vectors, ids: nodes, metric: parameters.metric, biases: biases)
    var builder = HNSWBuilder(
      space: space, codes: codes, parameters: parameters, threads: threads)
    try builder.insertAll(progress)
    try builder.pruneAll()
    let reachability = try builder.connectUnreachable()
    return Output(
      layers: try builder.links.layers(), entryPoint: builder.entryPoint,
      reachability: reachability,
      codes: codes, metric: parameters.metric, vectorOfNode: codes == nil ? [] : nodes)
  }

  /// The numbering of the nodes, and codes for the walks where there are enough vectors to learn
  /// them from and to gain by them.
  private static func makeCodes(
    _ vectors: VectorSet, _ parameters: HNSWParameters, threads: Int
  ) throws(RetortError) -> (nodes: [UInt32], codes: CodeSet?) {
    let plain = (0..<UInt32(vectors.count)).map { $0 }
    guard vectors.count >= HNSWParameters.fewestCodes,
      HNSWParameters.codedDimensions.contains(vectors.dimension)
    else { return (plain, nil) }
    let blocks = parameters.codeBlocks(dimension: vectors.dimension)
    let axes = try PrincipalAxes(
      vectors, count: min(vectors.dimension, blocks * 128), seed: parameters.seed,
      threads: threads)
    guard
      let book = try CodeBook.train(
        vectors, axes, metric: parameters.metric, blocks: blocks, seed: parameters.seed)
    else { return (plain, nil) }
    let nodes = try LocalityOrder.order(vectors, along: axes, threads: threads)
    return (
      nodes,
      try CodeSet(
        vectors, nodes: nodes, book: book, threads: threads)
    )
  }

  private init(space: PassageSpace, codes: CodeSet?, parameters: HNSWParameters, threads: Int) {
    self.space = space
    self.codes = codes
    self.parameters = parameters
    self.threads = max(threads, 1)
    links = LinkTable(
      levels: (0..<space.vectors.count).map {
        Self.level(of: $0, seed: parameters.seed, m: parameters.m)
      }, m: parameters.m)
    scratches = (0..<max(threads, 1)).map { _ in SearchScratch() }
  }

  /// The top level of a node: geometric with ratio 1/M, from hash(seed, id).
  package static func level(of id: Int, seed: UInt64, m: Int) -> Int {
    let bits = Hashing.mix(Hashing.mix(seed &+ 0x9E37_79B9_7F4A_7C15) ^ UInt64(id))
    let uniform = (Double(bits >> 11) + 0.5) * 0x1p-53
    return min(Int(-log(uniform) / log(Double(m))), LinkTable.maximumLevel)
  }

  private mutating func insertAll(_ progress: (Int) -> Void) throws(RetortError) {
    let order = Self.insertionOrder(count: space.vectors.count, seed: parameters.seed)
    var next = 0
    while next < order.count {
      try Interruption.check()
      var end = min(order.count, next + max(1, min(next / 50, 8192)))
      if let higher = (next..<end).first(where: { links.level(Int(order[$0])) > topLevel }) {
        end = higher == next ? next + 1 : higher
      }
      // Near nodes one after the other: what one walk has read is still in the caches for the next.
      try insert(order[next..<end].ordered())
      let first = order[next]
      if links.level(Int(first)) > topLevel {
        topLevel = links.level(Int(first))
        entryPoint = first
      }
      next = end
      progress(next)
    }
  }

  /// All ids in the order of the upper half of hash(seed, id), equal ones by id.
  static func insertionOrder(count: Int, seed: UInt64) -> [UInt32] {
    let salt = Hashing.mix(seed &+ 0xD1B5_4A32_D192_ED03)
    var keys = (0..<UInt64(count)).map { id in
      Hashing.mix(salt ^ id) & 0xFFFF_FFFF_0000_0000 | id
    }
    keys.order()
    return keys.map { UInt32(truncatingIfNeeded: $0) }
  }

  private func insert(_ batch: [UInt32]) throws(RetortError) {
    guard topLevel >= 0 else { return }
    try parallelForThrowing(batch.count, threads: threads) { item, worker throws(RetortError) in
      // A batch of a large graph takes seconds; an interruption must not.
      try Interruption.check()
      try findNeighbors(of: batch[item], scratch: scratches[worker])
    }
    for layer in 0...topLevel { try linkBack(batch, layer: layer) }
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
      scratch.begin(slots: space.vectors.count, ef: 1)
      try scratch.start(at: current, view, scorer)
      try scratch.walk(view, scorer)
      current = scratch.poolSlots[0] & ~SearchScratch.expanded
    }
    for layer in stride(from: min(level, topLevel), through: 0, by: -1) {
      let view = links.view(layer)
      scratch.begin(slots: space.vectors.count, ef: parameters.efConstruction)
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
  private func linkBack(_ batch: [UInt32], layer: Int) throws(RetortError) {
    var pairs: [UInt64] = []
    for id in batch where links.level(Int(id)) >= layer {
      for target in links.view(layer).list(id) {
        pairs.append(UInt64(target) << 32 | UInt64(id))
      }
    }
    pairs.order()
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
      try Interruption.check()
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
    candidates.rank()
    links.set(target, layer: layer, select(candidates, for: target, limit: limit))
  }
}

// MARK: - Last pruning

extension HNSWBuilder {
  /// Prunes the lists that the build left longer than a finished graph may have them.
  private func pruneAll() throws(RetortError) {
    let limit = parameters.maximumDegree(layer: 0)
    let chunk = 64
    let count = space.vectors.count
    try parallelForThrowing((count + chunk - 1) / chunk, threads: threads) {
      item, _ throws(RetortError) in
      try Interruption.check()
      for id in UInt32(item * chunk)..<UInt32(min(count, (item + 1) * chunk))
      where links.degree(id) > limit {
        var candidates = links.view(0).list(id).map {
          Neighbor(id: $0, score: space.similarity(id, $0))
        }
        candidates.rank()
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
  private mutating func connectUnreachable() throws(RetortError) -> Reachability {
    let count = space.vectors.count
    guard count > 0 else { return Reachability(reachedBefore: 0, linked: 0, reachable: 0) }
    var seen = [Bool](repeating: false, count: count)
    var reached = spread(from: entryPoint, &seen)
    let reachedBefore = reached
    var linked = 0
    let scratch = scratches[0]
    for id in 0..<UInt32(count) where !seen[Int(id)] {
      try Interruption.check()
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
