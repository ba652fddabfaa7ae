import Graph
import Platform
import Testing

/// Vectors around `centres` random directions, like sentence embeddings: clustered, anisotropic.
func clusteredVectors(
  count: Int, dimension: Int, centres: Int, spread: Double = 0.6, normSigma: Double = 0,
  seed: UInt64
) -> [Float] {
  var random = SplitMix64(seed: seed)
  let centre = (0..<centres).map { _ in (0..<dimension).map { _ in random.normal() } }
  var values: [Float] = []
  values.reserveCapacity(count * dimension)
  for _ in 0..<count {
    let middle = centre[Int(random.next() % UInt64(centres))]
    let vector = middle.map { $0 + spread * random.normal() }
    let norm = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
    let length = normSigma == 0 ? 1 : exp(normSigma * random.normal())
    values.append(contentsOf: vector.map { Float($0 / norm * length) })
  }
  return values
}

/// The exact top k by the plainest scan there is.
func exactTop(_ k: Int, query: [Float], values: [Float]) -> [UInt32] {
  let dimension = query.count
  let scored = (0..<(values.count / dimension)).map { id in
    var sum = 0.0
    for i in 0..<dimension { sum += Double(query[i]) * Double(values[id * dimension + i]) }
    return (UInt32(id), sum)
  }
  return scored.sorted { $0.1 > $1.1 || ($0.1 == $1.1 && $0.0 < $1.0) }.prefix(k).map { $0.0 }
}

/// recall@k of a graph over `queries` random members of the same distribution.
func recall(
  _ graph: HNSWGraph, _ vectors: VectorSet, _ values: [Float], queries: [Float], k: Int, ef: Int
) throws -> Double {
  let dimension = vectors.dimension
  let scratch = SearchScratch()
  var hits = 0
  let count = queries.count / dimension
  for q in 0..<count {
    let query = Array(queries[(q * dimension)..<((q + 1) * dimension)])
    let found = try graph.search(query, vectors: vectors, k: k, efSearch: ef, scratch: scratch)
    hits += Set(found.map(\.id)).intersection(exactTop(k, query: query, values: values)).count
  }
  return Double(hits) / Double(count * k)
}

@Suite struct HNSWTests {
  @Test(arguments: [0.0, 0.7])
  func `recall at 10 is at least 0.98 with efSearch 100, also when norms vary`(sigma: Double)
    throws
  {
    let seed: UInt64 = 7
    let values = clusteredVectors(
      count: 5000, dimension: 48, centres: 60, normSigma: sigma, seed: seed)
    let vectors = VectorSet(values, dimension: 48)
    let output = try HNSWBuilder.build(vectors, parameters: HNSWParameters(), threads: 2)
    let queries = clusteredVectors(count: 100, dimension: 48, centres: 60, seed: seed)
    let found = try recall(output.graph(), vectors, values, queries: queries, k: 10, ef: 100)
    #expect(found >= 0.98, "recall \(found), seed \(seed), sigma \(sigma)")
    #expect(output.reachability.reachable == 5000)
    #expect(try output.graph().reachableCount() == 5000)
  }

  @Test func `the same graph comes out at one, two, three and five threads`() throws {
    let values = clusteredVectors(count: 3000, dimension: 24, centres: 20, seed: 11)
    let vectors = VectorSet(values, dimension: 24)
    let outputs = try [1, 2, 3, 5].map {
      try HNSWBuilder.build(vectors, parameters: HNSWParameters(m: 8), threads: $0)
    }
    for output in outputs.dropFirst() {
      #expect(output.entryPoint == outputs[0].entryPoint)
      #expect(output.layers.count == outputs[0].layers.count)
      for (layer, first) in zip(output.layers, outputs[0].layers) {
        #expect(layer.nodes == first.nodes)
        #expect(layer.targets == first.targets)
        #expect(layer.offsets == first.offsets)
      }
    }
  }

  /// The passages of an article follow each other in a corpus and enter the graph together.
  @Test func `recall does not suffer when neighbours are next to each other in the corpus`() throws
  {
    let seed: UInt64 = 13
    var random = SplitMix64(seed: seed)
    var values: [Float] = []
    var queries: [Float] = []
    for _ in 0..<100 {
      let article = (0..<32).map { _ in random.normal() }
      for passage in 0..<51 {
        let vector = article.map { Float($0 + 0.7 * random.normal()) }
        if passage < 50 { values += vector } else { queries += vector }
      }
    }
    let vectors = VectorSet(values, dimension: 32)
    let output = try HNSWBuilder.build(vectors, parameters: HNSWParameters(), threads: 2)
    let found = try recall(output.graph(), vectors, values, queries: queries, k: 10, ef: 50)
    #expect(found >= 0.98, "recall \(found), seed \(seed)")
  }

  @Test func `another seed gives other levels`() {
    let one = (0..<1000).map { HNSWBuilder.level(of: $0, seed: 1, m: 16) }
    let two = (0..<1000).map { HNSWBuilder.level(of: $0, seed: 2, m: 16) }
    #expect(one != two)
    let above = Double(one.count { $0 > 0 }) / 1000
    #expect(abs(above - 1.0 / 16) < 0.03, "share above layer 0: \(above)")
  }

  @Test func `efSearch as large as the graph gives the exact answer`() throws {
    let values = clusteredVectors(
      count: 800, dimension: 16, centres: 400, normSigma: 1, seed: 3)
    let vectors = VectorSet(values, dimension: 16)
    let graph = try HNSWBuilder.build(
      vectors, parameters: HNSWParameters(m: 2, efConstruction: 4), threads: 2
    ).graph()
    let queries = clusteredVectors(count: 50, dimension: 16, centres: 400, seed: 4)
    #expect(try recall(graph, vectors, values, queries: queries, k: 10, ef: 800) == 1)
  }

  @Test func `a thousand copies of one vector stay reachable and do not cut off the rest`() throws {
    var values = clusteredVectors(count: 2000, dimension: 16, centres: 30, seed: 5)
    let copy = Array(values[0..<16])
    for _ in 0..<1000 { values.append(contentsOf: copy) }
    let vectors = VectorSet(values, dimension: 16)
    let output = try HNSWBuilder.build(vectors, parameters: HNSWParameters(), threads: 2)
    #expect(output.reachability.reachable == 3000)
    let queries = Array(values[(16 * 1000)..<(16 * 1100)])
    let found = try recall(
      output.graph(), vectors, Array(values[0..<(16 * 2000)]), queries: queries, k: 1, ef: 100)
    #expect(found >= 0.99, "recall \(found)")
  }

  @Test(arguments: [0, 1, 2, 17])
  func `tiny graphs answer with everything they have`(count: Int) throws {
    let values = clusteredVectors(count: count, dimension: 8, centres: 3, seed: 9)
    let vectors = VectorSet(values, dimension: 8)
    let output = try HNSWBuilder.build(vectors, parameters: HNSWParameters(), threads: 2)
    let found = try output.graph().search(
      [Float](repeating: 0.5, count: 8), vectors: vectors, k: 100, efSearch: 10,
      scratch: SearchScratch())
    #expect(Set(found.map(\.id)) == Set((0..<count).map { UInt32($0) }))
    #expect(found == found.sorted(by: Neighbor.ranksBefore))
  }

  @Test func `degrees stay within their bounds except for links of the reachability pass`() throws {
    let values = clusteredVectors(
      count: 3000, dimension: 8, centres: 5, normSigma: 1.2, seed: 21)
    let output = try HNSWBuilder.build(
      VectorSet(values, dimension: 8), parameters: HNSWParameters(m: 4, efConstruction: 20),
      threads: 2)
    var beyond = 0
    for (level, layer) in output.layers.enumerated() {
      let limit = HNSWParameters(m: 4).maximumDegree(layer: level)
      for slot in 0..<(layer.offsets.count - 1) {
        let list = layer.targets[layer.offsets[slot]..<layer.offsets[slot + 1]]
        #expect(!list.contains(UInt32(slot)))
        #expect(Set(list).count == list.count)
        beyond += max(0, list.count - limit)
      }
    }
    #expect(beyond <= output.reachability.linked)
  }

  @Test func `a vector that is not finite is refused by number`() {
    var values = clusteredVectors(count: 10, dimension: 8, centres: 2, seed: 1)
    values[8 * 6 + 3] = .nan
    #expect(throws: RetortError.self) {
      try HNSWBuilder.build(
        VectorSet(values, dimension: 8), parameters: HNSWParameters(), threads: 1)
    }
  }

  @Test func `a query of another dimension is refused`() throws {
    let vectors = VectorSet([1, 0, 0, 1], dimension: 2)
    let graph = try HNSWBuilder.build(vectors, parameters: HNSWParameters(), threads: 1).graph()
    let error = #expect(throws: RetortError.self) {
      try graph.search([1], vectors: vectors, k: 1, efSearch: 1, scratch: SearchScratch())
    }
    #expect(error?.code == .dimensionMismatch)
  }
}
