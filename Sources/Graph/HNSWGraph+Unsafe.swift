import Platform

/// A node and its score, as a search returns it.
package struct Neighbor: Sendable, Equatable {
  /// The vector's id.
  package var id: UInt32
  /// The inner product with the query; higher is nearer.
  package var score: Float

  /// A neighbour of a query.
  package init(id: UInt32, score: Float) {
    self.id = id
    self.score = score
  }

  /// The order of results: score descending, ties by smaller id (the earlier passage).
  package static func ranksBefore(_ a: Neighbor, _ b: Neighbor) -> Bool {
    a.score > b.score || (a.score == b.score && a.id < b.id)
  }
}

extension [Neighbor] {
  /// Puts results in their order. One compiled sort for all who rank.
  @inline(never)
  package mutating func rank() { sort(by: Neighbor.ranksBefore) }
}

/// How a graph is built.
package struct HNSWParameters: Sendable, Equatable {
  /// Links a node makes on each layer; layer 0 keeps up to 2M.
  package var m: Int
  /// Candidates kept while a node looks for its neighbours.
  package var efConstruction: Int
  /// Decides the nodes' levels.
  package var seed: UInt64
  /// What nearness means.
  package var metric: GraphMetric
  /// Bytes of a vector's code, in blocks of 32; nil: what suits the vectors.
  package var codeBlocks: Int?
  /// Vectors below which codes are not worth learning.
  package static let fewestCodes = 1024
  /// Dimensions that vectors are coded at.
  package static let codedDimensions = 32...4096

  /// Values of the field's usual names; see `validate()` for their ranges.
  package init(
    m: Int = 16, efConstruction: Int = 200, seed: UInt64 = 42, metric: GraphMetric = .innerProduct
  ) {
    self.m = m
    self.efConstruction = efConstruction
    self.seed = seed
    self.metric = metric
  }

  /// Bytes of the code of a vector of `dimension` components, in blocks of 32.
  ///
  /// Unless told otherwise, 96 bytes, which is two bits a component of 384; up to 160 components 64, with
  /// which walks over 500,000 × 128 are 8 % faster at recall@10 0.95.
  package func codeBlocks(dimension: Int) -> Int { codeBlocks ?? (dimension <= 160 ? 2 : 3) }

  /// Links a node keeps at most on `layer`.
  package func maximumDegree(layer: Int) -> Int { layer == 0 ? 2 * m : m }

  /// Throws for values outside 2…256 (M) and 1…100,000 (efConstruction).
  package func validate() throws(RetortError) {
    guard (2...256).contains(m) else {
      throw RetortError(.usage, "M is \(m) but must lie in 2...256 (usual: 8 to 64)")
    }
    guard (1...100_000).contains(efConstruction) else {
      throw RetortError(
        .usage, "efConstruction is \(efConstruction) but must lie in 1...100000 (usual: 100 to 500)"
      )
    }
  }
}

/// What the reachability pass that closes every build found and did.
package struct Reachability: Sendable, Equatable, Codable {
  /// Nodes that the walk over layer 0 could reach before the pass.
  package var reachedBefore: Int
  /// Nodes that the pass linked.
  package var linked: Int
  /// Nodes reachable in the finished graph.
  package var reachable: Int

  /// A result of the pass.
  package init(reachedBefore: Int, linked: Int, reachable: Int) {
    self.reachedBefore = reachedBefore
    self.linked = linked
    self.reachable = reachable
  }
}

/// A finished HNSW graph (Malkov and Yashunin 2018) over inner products. Immutable; any number of
/// threads search it at once, each with a scratch of its own.
package struct HNSWGraph: Sendable {
  /// The nodes; all of them are on layer 0.
  package let count: Int
  /// The layers from 0 up; at least one unless the graph is empty.
  package let layers: [GraphLayer]
  /// The node where every search starts, on the top layer.
  package let entryPoint: UInt32
  /// The vectors' codes, which walks go by; without them they go by the vectors themselves.
  package let codes: CodeSet?
  /// What nearness means.
  package let metric: GraphMetric
  /// The vector of each node; nil where nodes are numbered like vectors.
  package let vectorOfNode: NodeMap?
  /// What bounds the memory of the neighbour lists; nil: nothing does.
  private let budget: MemoryBudget?

  /// A graph of finished layers.
  package init(
    count: Int, layers: [GraphLayer], entryPoint: UInt32, codes: CodeSet? = nil,
    metric: GraphMetric = .innerProduct, vectorOfNode: NodeMap? = nil,
    budget: MemoryBudget? = nil
  ) {
    self.budget = budget
    self.count = count
    self.layers = layers
    self.entryPoint = entryPoint
    self.codes = codes
    self.metric = metric
    self.vectorOfNode = vectorOfNode
  }

  /// The `k` nearest vectors found by a walk that keeps `efSearch` (at least k) candidates, and a quarter
  /// more where it goes by codes: they blur the order, and on 3,204 short texts it takes about so many
  /// for the recall of a walk over the vectors themselves.
  ///
  /// Results are ordered by score, ties by id, and are fewer than k only if the graph has fewer
  /// nodes. With efSearch ≥ count the result is exact, because every node is reachable from the
  /// entry point on layer 0 and the entry point always takes part.
  ///
  /// With `allowed`, only its vectors are returned; the walk leads through all, and keeps as many more
  /// candidates as the allowed are rarer. Where it meets fewer than k allowed ones, it returns
  /// those: the others are far from the query, and finding them is a scan's work.
  ///
  /// - Parameter query: `vectors.dimension` finite floats.
  package func search(
    _ query: [Float], vectors: VectorSet, k: Int, efSearch: Int, allowed: NodeSet? = nil,
    scratch: SearchScratch
  ) throws(RetortError) -> [Neighbor] {
    guard query.count == vectors.dimension else {
      throw RetortError(
        .dimensionMismatch,
        "the query has \(query.count) dimensions but the index \(vectors.dimension); use the model "
          + "the index was built with")
    }
    guard codes.map({ $0.book.dimension == vectors.dimension }) ?? true else {
      throw RetortError(
        .badData, "the graph's codes are of other vectors; build the index again")
    }
    guard count > 0, k > 0, allowed?.population != 0 else { return [] }
    let pin = budget?.pin()
    defer { withExtendedLifetime(pin) {} }
    let result: Result<[Neighbor], RetortError> = query.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return .success([]) }
      do throws(RetortError) {
        return .success(
          try search(
            base, vectors: vectors, k: k, efSearch: efSearch, allowed: allowed, scratch: scratch))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  private func search(
    _ query: UnsafePointer<Float>, vectors: VectorSet, k: Int, efSearch: Int, allowed: NodeSet?,
    scratch: SearchScratch
  ) throws(RetortError) -> [Neighbor] {
    let exact = ExactScorer(vectors: vectors, metric: metric, query: query)
    let ef = candidates(max(efSearch, k), allowed: allowed)
    if let codes {
      let scorer = CodeScorer(codes: codes, query: scratch.prepare(query, codes.book))
      try walk(scorer, ef: min(count, ef + (ef + 3) / 4), scratch)
      try scratch.keepVectors(vectorOfNode, allowed, most: rescored(efSearch: efSearch, k: k))
      try scratch.rescore(exact)
    } else {
      try walk(exact, ef: ef, scratch)
      try scratch.keepVectors(vectorOfNode, allowed, most: ef)
    }
    return (0..<min(k, scratch.poolCount)).map {
      Neighbor(id: scratch.poolSlots[$0], score: scratch.poolScores[$0])
    }
  }

  /// How many of a walk's candidates are scored at full precision: the walk needs many to go by, the result
  /// only those that the codes place near the k best. For ten best at efSearch 112 that is 48 instead of
  /// 140, which changes no recall@10 by 0.0001 on 100,000 clustered vectors, 92,219 latent-semantic ones and
  /// 500,000 of 128 dimensions, and makes searches a sixth faster. At efSearch 50, two of three collections
  /// of short texts keep theirs, and one goes from .9850 to .9836.
  private func rescored(efSearch: Int, k: Int) -> Int {
    max(efSearch, k) >= count ? count : 2 * k + max(efSearch, k) / 4
  }

  /// The candidates a walk keeps so that about `ef` of them are allowed.
  package func candidates(_ ef: Int, allowed: NodeSet?) -> Int {
    guard let allowed, allowed.population > 0 else { return min(ef, count) }
    let scaled = Double(ef) * Double(count) / Double(allowed.population)
    return scaled >= Double(count) ? count : Int(scaled.rounded(.up))
  }

  /// Leaves the `ef` best nodes that a walk finds in the pool.
  private func walk<Score: Scorer>(
    _ scorer: Score, ef: Int, _ scratch: SearchScratch
  ) throws(RetortError) {
    var current = entryPoint
    for layer in layers.dropFirst().reversed() {
      current = try descend(layer, from: current, scorer, scratch)
    }
    guard let bottom = layers.first else { return }
    let view = LayerView(blocks: bottom.blocks, vectorIDs: nil)
    scratch.begin(slots: count, ef: ef)
    try scratch.start(at: current, view, scorer)
    try scratch.start(at: entryPoint, view, scorer)
    try scratch.walk(view, scorer)
  }

  /// The best node of an upper layer by a greedy walk from node `id`.
  private func descend<Score: Scorer>(
    _ layer: GraphLayer, from id: UInt32, _ scorer: Score, _ scratch: SearchScratch
  ) throws(RetortError) -> UInt32 {
    guard let start = layer.slot(of: id) else { return id }
    let result: Result<UInt32, RetortError> = layer.nodes.withUnsafeBufferPointer { nodes in
      let view = LayerView(blocks: layer.blocks, vectorIDs: nodes.baseAddress)
      do throws(RetortError) {
        scratch.begin(slots: nodes.count, ef: 1)
        try scratch.start(at: start, view, scorer)
        try scratch.walk(view, scorer)
        return .success(nodes[Int(scratch.poolSlots[0] & ~SearchScratch.expanded)])
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  /// The node of each vector; throws where a vector has none.
  package func nodesOfVectors() throws(RetortError) -> [UInt32] {
    guard let vectorOfNode else { return (0..<UInt32(count)).map { $0 } }
    var nodes = [UInt32](repeating: .max, count: count)
    for node in 0..<UInt32(count) {
      if node % 65536 == 0 { try Interruption.check() }
      let vector = try vectorOfNode.vector(node)
      guard nodes[Int(vector)] == .max else {
        throw RetortError(
          .badData,
          "the graph says that nodes \(nodes[Int(vector)]) and \(node) are vector \(vector); build "
            + "the index again")
      }
      nodes[Int(vector)] = node
    }
    return nodes
  }

  /// The vectors that a node links to on layer 0, ascending.
  package func linkedVectors(ofNode node: UInt32) throws(RetortError) -> [UInt32] {
    guard let bottom = layers.first else { return [] }
    var vectors: [UInt32] = []
    for neighbor in try bottom.blocks.list(Int(node)) {
      if let vectorOfNode {
        vectors.append(try vectorOfNode.vector(neighbor))
      } else {
        vectors.append(neighbor)
      }
    }
    return vectors.ordered()
  }

  /// Decodes and checks the neighbour lists of all layers and the numbering of the nodes.
  package func verifyLists() throws(RetortError) {
    _ = try nodesOfVectors()
    for layer in layers {
      for slot in stride(from: 0, to: layer.blocks.count, by: 1 << layer.blocks.shift) {
        try Interruption.check()
        _ = try layer.blocks.list(slot)
      }
    }
  }

  /// The number of nodes that a walk over layer 0 reaches from the entry point.
  package func reachableCount() throws(RetortError) -> Int {
    guard count > 0, let bottom = layers.first else { return 0 }
    var seen = [Bool](repeating: false, count: count)
    var stack = [entryPoint]
    seen[Int(entryPoint)] = true
    var reached = 1
    while let node = stack.popLast() {
      for next in try bottom.blocks.list(Int(node)) where !seen[Int(next)] {
        seen[Int(next)] = true
        reached += 1
        stack.append(next)
      }
    }
    return reached
  }
}
