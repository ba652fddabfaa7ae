import CKernels
import Graph
import Platform
import Testing

@Suite struct CodeTests {
  @Test(arguments: [RETORT_LEVEL_NEON, RETORT_LEVEL_AVX2, RETORT_LEVEL_AVX512])
  func `every kernel of codes this CPU has gives the bits of the scalar one`(level: retort_level) {
    guard let score = retort_codes_score_at(level) else { return }
    let seed: UInt64 = 23
    var random = SplitMix64(seed: seed)
    for (wide, middle, narrow) in [
      (1, 0, 0), (0, 1, 0), (0, 0, 1), (3, 0, 0), (2, 1, 0), (1, 1, 1), (0, 0, 3), (5, 2, 4),
    ] {
      // The extremes of every field, and what lies between.
      let bare = Int(RETORT_CODES_HEADER) + (wide + middle + narrow) * 32
      // With and without a bias at the end.
      let stride = bare + (wide % 2 == 0 ? 4 : 0)
      var records = [UInt8](repeating: 0, count: 40 * stride)
      for record in 0..<40 {
        for i in 0..<stride {
          records[record * stride + i] = UInt8.random(in: 0...255, using: &random)
        }
        for i in 0..<(wide * 32) { records[record * stride + 4 + i] &= 127 }
        for offset in stride > bare ? [0, bare] : [0] {
          let bits = Float(random.normal()).bitPattern
          for i in 0..<4 {
            records[record * stride + offset + i] = UInt8(
              truncatingIfNeeded: bits >> UInt32(8 * i))
          }
        }
      }
      for i in 4..<bare { records[i] = i < 4 + wide * 32 ? 127 : 255 }
      let weights = (0..<(wide * 32 + middle * 64 + narrow * 128)).map { place in
        place % 3 == 0 ? 127 : place % 3 == 1 ? -127 : Int8.random(in: -127...127, using: &random)
      }
      var query = retort_codes_query(
        weights: nil, factor7: 0.013, factor4: 0.17, factor2: 1.9, offset: -3.7,
        blocks7: UInt32(wide), blocks4: UInt32(middle), blocks2: UInt32(narrow),
        stride: UInt32(stride), bias_at: stride > bare ? UInt32(bare) : 0)
      for count in [0, 1, 2, 7, 8, 9, 40] {
        let ids = (0..<count).map { UInt32(($0 * 7) % 40) }
        var expected = [Float](repeating: 0, count: count)
        var found = expected
        weights.withUnsafeBufferPointer {
          query.weights = $0.baseAddress
          retort_codes_score_scalar(&query, records, ids, count, &expected)
          score(&query, records, ids, count, &found)
        }
        #expect(found.map(\.bitPattern) == expected.map(\.bitPattern), "seed \(seed)")
      }
    }
  }

  @Test(arguments: [RETORT_LEVEL_NEON, RETORT_LEVEL_AVX2, RETORT_LEVEL_AVX512])
  func `every kernel that turns vectors gives the sums of the scalar one`(level: retort_level) {
    guard let project = retort_codes_project_at(level) else { return }
    var random = SplitMix64(seed: 29)
    for length in [16, 32, 48, 96, 384, 400, 1040] {
      let rows = (0..<(5 * length)).map { _ in Int16.random(in: -1024...1024, using: &random) }
      let vector = (0..<length).map { _ in Int16.random(in: -1024...1024, using: &random) }
      for rows in [rows, rows.map { $0 < 0 ? -1024 : 1024 }] {
        var expected = [Int32](repeating: 0, count: 5)
        var found = expected
        retort_codes_project_scalar(rows, 5, vector, length, &expected)
        project(rows, 5, vector, length, &found)
        #expect(found == expected, "length \(length)")
      }
    }
  }

  @Test func `short vectors get shorter codes unless told otherwise`() {
    var parameters = HNSWParameters()
    #expect([32, 160, 161, 4096].map { parameters.codeBlocks(dimension: $0) } == [2, 2, 3, 3])
    parameters.codeBlocks = 4
    #expect(parameters.codeBlocks(dimension: 32) == 4)
    #expect(CodeBook.stride(blocks: 2, metric: .innerProduct) == 68)
    #expect(CodeBook.stride(blocks: 3, metric: .euclidean) == 104)
  }

  /// Flat, steep and ragged spectra; 384 independent components are the hardest there is.
  @Test(arguments: [
    (33, 0.0, 0.97), (100, 0, 0.97), (384, 0, 0.9), (384, 1, 0.97), (130, 0.7, 0.97),
    (160, 0, 0.97),
  ])
  func `the exact ten best are among the forty best by codes`(
    dimension: Int, decay: Double, least: Double
  ) throws {
    let seed: UInt64 = 31
    let count = 3000
    var random = SplitMix64(seed: seed)
    func vector() -> [Float] {
      (0..<dimension).map { Float(random.normal() * pow(Double($0 + 1), -decay)) }
    }
    let values = (0..<count).flatMap { _ in vector() }
    let vectors = VectorSet(values, dimension: dimension)
    let axes = try PrincipalAxes(vectors, count: min(dimension, 384), seed: 1, threads: 2)
    let book = try #require(
      try CodeBook.train(
        vectors, axes, metric: .innerProduct,
        blocks: HNSWParameters().codeBlocks(dimension: dimension), seed: 1))
    let nodes = (0..<UInt32(count)).map { $0 }
    let codes = try CodeSet(
      vectors, nodes: nodes, book: book, threads: 2)
    let scratch = SearchScratch()
    var hits = 0
    for _ in 0..<50 {
      let query = vector()
      var scores = [Float](repeating: 0, count: count)
      try query.withUnsafeBufferPointer { buffer in
        let base = try #require(buffer.baseAddress)
        try CodeScorer(codes: codes, query: scratch.prepare(base, book))
          .scores(nodes, count: count, into: &scores)
      }
      let best = Set(nodes.sorted { scores[Int($0)] > scores[Int($1)] }.prefix(40))
      hits += exactTop(10, query: query, values: values).count { best.contains($0) }
    }
    #expect(Double(hits) / 500 >= least, "\(hits) of 500, widths \(book.blocks), seed \(seed)")
  }

  @Test func `a spectrum decides how many bits an axis gets`() throws {
    func blocks(decay: Double) throws -> (wide: Int, middle: Int, narrow: Int) {
      var random = SplitMix64(seed: 3)
      let values = (0..<(2000 * 384)).map { index -> Float in
        let axis = Double(index % 384 + 1)
        return Float(random.normal() * pow(axis, -decay))
      }
      let vectors = VectorSet(values, dimension: 384)
      let axes = try PrincipalAxes(vectors, count: 384, seed: 1, threads: 2)
      return try #require(
        try CodeBook.train(
          vectors, axes, metric: .innerProduct, blocks: 3, seed: 1)
      ).blocks
    }
    #expect(try blocks(decay: 0).wide == 0)
    #expect(try blocks(decay: 2).wide == 3)
  }

  @Test func `principal axes are orthonormal and found`() throws {
    var random = SplitMix64(seed: 8)
    let dimension = 40
    let direction = (0..<dimension).map { _ in random.normal() }
    let length = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
    let values = (0..<2000).flatMap { _ -> [Float] in
      let along = 9 * random.normal()
      return direction.map { Float(3 + along * $0 / length + random.normal()) }
    }
    let axes = try PrincipalAxes(
      VectorSet(values, dimension: dimension), count: 40, seed: 5, threads: 2)
    for a in 0..<40 {
      for b in 0...a {
        let product = (0..<dimension).reduce(0.0) {
          $0 + Double(axes.rows[a * dimension + $1] * axes.rows[b * dimension + $1])
        }
        #expect(abs(product - (a == b ? 1 : 0)) < 1e-4)
      }
    }
    let overlap = (0..<dimension).reduce(0.0) {
      $0 + Double(axes.rows[$1]) * direction[$1] / length
    }
    #expect(abs(overlap) > 0.99)
    #expect(abs(axes.variances[0] - 82) < 10 && axes.variances[1] < 2)
  }

  @Test(arguments: [-30, 30])
  func `axes do not depend on the length of vectors`(exponent: Int) throws {
    var random = SplitMix64(seed: 21)
    let dimension = 24
    let values = (0..<1500 * dimension).map { place in
      Float(random.normal() / Double(1 + place % dimension))
    }
    let factor = Float(sign: .plus, exponent: exponent, significand: 1)
    func axes(_ values: [Float]) throws -> PrincipalAxes {
      try PrincipalAxes(
        VectorSet(values, dimension: dimension), count: dimension, seed: 5, threads: 1)
    }
    #expect(try axes(values.map { $0 * factor }).rows == axes(values).rows)
  }

  @Test func `the locality order holds every vector once and keeps clusters together`() throws {
    let values = clusteredVectors(count: 4000, dimension: 32, centres: 40, spread: 0.1, seed: 6)
    let vectors = VectorSet(values, dimension: 32)
    let axes = try PrincipalAxes(vectors, count: 32, seed: 1, threads: 2)
    let order = try LocalityOrder.order(vectors, along: axes, threads: 2)
    #expect(order.sorted() == Array(0..<UInt32(4000)))
    let near = zip(order, order.dropFirst()).count { a, b in
      let score = (0..<32).reduce(Float(0)) {
        $0 + values[Int(a) * 32 + $1] * values[Int(b) * 32 + $1]
      }
      return score > 0.9
    }
    #expect(near > 3000, "\(near) of 3999 neighbours in the order are of one cluster")
  }

  @Test func `copies of one vector can be coded and ordered`() throws {
    let values = [Float](repeating: 0.25, count: 2000 * 32)
    let output = try HNSWBuilder.build(
      VectorSet(values, dimension: 32), parameters: HNSWParameters(), threads: 2)
    #expect(output.reachability.reachable == 2000)
    let found = try output.graph().search(
      [Float](repeating: 1, count: 32), vectors: VectorSet(values, dimension: 32), k: 5,
      efSearch: 2000, scratch: SearchScratch())
    #expect(found.map(\.id) == [0, 1, 2, 3, 4])
    #expect(found.allSatisfy { $0.score == 8 })
  }

  @Test func `Euclidean distance is searched, too`() throws {
    let seed: UInt64 = 41
    let values = clusteredVectors(
      count: 4000, dimension: 40, centres: 50, normSigma: 0.5, seed: seed)
    let queries = clusteredVectors(
      count: 60, dimension: 40, centres: 50, normSigma: 0.5, seed: seed)
    let vectors = VectorSet(values, dimension: 40)
    let graph = try HNSWBuilder.build(
      vectors, parameters: HNSWParameters(metric: .euclidean), threads: 2
    ).graph()
    var hits = 0
    for q in 0..<60 {
      let query = Array(queries[(q * 40)..<(q * 40 + 40)])
      var distances = [Float](repeating: 0, count: 4000)
      for id in 0..<4000 {
        for i in 0..<40 {
          let difference: Float = query[i] - values[id * 40 + i]
          distances[id] += difference * difference
        }
      }
      let exact = Set((0..<4000).sorted { distances[$0] < distances[$1] }.prefix(10))
      let found = try graph.search(
        query, vectors: vectors, k: 10, efSearch: 80, scratch: SearchScratch())
      hits += found.count { exact.contains(Int($0.id)) }
    }
    #expect(Double(hits) / 600 >= 0.98, "\(hits) of 600, seed \(seed)")
  }

  @Test func `codes, their numbering and their links are the same at any number of threads`() throws
  {
    let values = clusteredVectors(count: 4000, dimension: 32, centres: 40, seed: 64)
    let outputs = try [1, 2, 4].map {
      try HNSWBuilder.build(
        VectorSet(values, dimension: 32), parameters: HNSWParameters(m: 6, efConstruction: 40),
        threads: $0)
    }
    let first = outputs[0]
    let codes = try #require(first.codes)
    #expect(first.vectorOfNode.sorted() == Array(0..<UInt32(4000)))
    for other in outputs.dropFirst() {
      #expect(other.entryPoint == first.entryPoint && other.reachability == first.reachability)
      #expect(other.layers.map(\.nodes) == first.layers.map(\.nodes))
      #expect(other.layers.map(\.offsets) == first.layers.map(\.offsets))
      #expect(other.layers.map(\.targets) == first.layers.map(\.targets))
      #expect(other.vectorOfNode == first.vectorOfNode)
      #expect(other.codes?.book.axes == codes.book.axes)
      #expect(other.codes?.book.steps == codes.book.steps)
      #expect(other.codes.map { Array($0.bytes) } == Array(codes.bytes))
    }
  }

  @Test func `a walk under a filter scores at full precision only what the filter allows`() throws {
    let seed: UInt64 = 43
    let values = clusteredVectors(count: 6000, dimension: 40, centres: 60, seed: seed)
    let queries = clusteredVectors(count: 40, dimension: 40, centres: 60, seed: seed)
    let vectors = VectorSet(values, dimension: 40)
    let graph = try HNSWBuilder.build(vectors, parameters: HNSWParameters(), threads: 2).graph()
    #expect(graph.codes != nil)
    for share in [2, 5] {
      var allowed = NodeSet(count: 6000)
      for id in stride(from: 0, to: 6000, by: share) { allowed.insert(id) }
      let scratch = SearchScratch()
      var hits = 0
      for q in 0..<40 {
        let query = Array(queries[(q * 40)..<(q * 40 + 40)])
        let found = try graph.search(
          query, vectors: vectors, k: 10, efSearch: 60, allowed: allowed, scratch: scratch)
        #expect(found.count == 10 && found.allSatisfy { allowed.contains(Int($0.id)) })
        let exact = exactTop(6000, query: query, values: values)
          .filter { allowed.contains(Int($0)) }.prefix(10)
        hits += found.count { exact.contains($0.id) }
      }
      #expect(Double(hits) / 400 >= 0.95, "\(hits) of 400, every \(share)th, seed \(seed)")
      // The walk keeps share × 75 candidates, of which one in `share` may be found.
      #expect(scratch.rescored <= 40 * 75 * 5 / 4, "\(scratch.rescored)")
    }
  }

  /// The regression gate: seconds depend on the machine, these counts only on the algorithm.
  @Test func `a query reaches recall 0.97 within 760 scored codes and 30 exact products`() throws {
    let seed: UInt64 = 71
    let values = clusteredVectors(count: 20_000, dimension: 48, centres: 300, seed: seed)
    let queries = clusteredVectors(count: 100, dimension: 48, centres: 300, seed: seed)
    let vectors = VectorSet(values, dimension: 48)
    let graph = try HNSWBuilder.build(vectors, parameters: HNSWParameters(), threads: 2).graph()
    let scratch = SearchScratch()
    var hits = 0
    for q in 0..<100 {
      let query = Array(queries[(q * 48)..<(q * 48 + 48)])
      let found = try graph.search(
        query, vectors: vectors, k: 10, efSearch: 40, scratch: scratch)
      hits += Set(found.map(\.id)).intersection(exactTop(10, query: query, values: values)).count
    }
    #expect(Double(hits) / 1000 >= 0.97, "recall \(Double(hits) / 1000), seed \(seed)")
    #expect(scratch.scored / 100 <= 760, "\(scratch.scored / 100)")
    #expect(scratch.rescored / 100 <= 30, "\(scratch.rescored / 100)")
  }

  @Test
  func `few candidates of a long walk are scored at full precision, and all where asked for all`()
    throws
  {
    let seed: UInt64 = 72
    let values = clusteredVectors(count: 3000, dimension: 48, centres: 40, seed: seed)
    let vectors = VectorSet(values, dimension: 48)
    let graph = try HNSWBuilder.build(vectors, parameters: HNSWParameters(), threads: 2).graph()
    try #require(graph.codes != nil)
    let query = Array(values[480..<528])
    for (k, efSearch, most) in [
      (10, 10, 13), (10, 100, 45), (10, 1000, 270), (100, 50, 125), (100, 400, 300),
      (10, 3000, 3000), (3000, 10, 3000), (Int.max, 10, 3000),
    ] {
      let scratch = SearchScratch()
      let found = try graph.search(
        query, vectors: vectors, k: k, efSearch: efSearch, scratch: scratch)
      #expect(scratch.rescored <= most && scratch.rescored >= min(k, 3000), "k \(k), \(efSearch)")
      #expect(found.count == min(k, 3000))
      if max(k, efSearch) >= 3000 {
        let scores = try vectors.scores(
          of: (0..<3000).map { UInt32($0) }, for: query, metric: .innerProduct)
        var all = scores.enumerated().map { Neighbor(id: UInt32($0.offset), score: $0.element) }
        all.rank()
        #expect(found == Array(all.prefix(found.count)), "k \(k)")
      }
    }
  }

  @Test func `numbers above one are counted as one by one`() {
    let seed: UInt64 = 73
    var random = SplitMix64(seed: seed)
    for count in [0, 1, 3, 7, 8, 9, 16, 31, 250, 256] {
      let numbers = (0..<count).map { _ in Float(Int(6 * random.unit()) - 3) }
      for value: Float in [-3, -0.5, 0, 1, 2, 3, .infinity, -.infinity] {
        let found = retort_count_greater(numbers, count, value)
        #expect(found == numbers.count { $0 > value }, "\(count) numbers, \(value), seed \(seed)")
      }
    }
  }
}
