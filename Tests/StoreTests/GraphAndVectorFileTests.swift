import Graph
import Platform
import Store
import TestSupport
import Testing

@Suite struct GraphAndVectorFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder("graph") }

  private func randomVectors(count: Int, dimension: Int, seed: UInt64) -> [Float] {
    var random = SplitMix64(seed: seed)
    return (0..<(count * dimension)).map { _ in Float(random.normal()) }
  }

  @Test(arguments: [(0, 8), (1, 8), (17, 3), (2000, 12), (40, 5000)])
  func `vectors come back and are searchable from the file`(count: Int, dimension: Int) throws {
    let values = randomVectors(count: count, dimension: dimension, seed: 1)
    let path = folder.path + "/vectors.seg"
    let writer = try VectorFileWriter(path: path, dimension: dimension)
    let half = count / 2 * dimension
    for part in [values[..<half], values[half...]] {
      try writer.append(bytes: part.withUnsafeBytes { Array($0) })
    }
    try writer.finish()
    let file = try VectorFile(path: path)
    #expect(file.vectors.count == count && file.vectors.dimension == dimension)
    for id in 0..<count {
      #expect(
        try file.vectors.vector(id) == Array(values[(id * dimension)..<((id + 1) * dimension)]))
    }
    let norms = (0..<count).map { id in
      values[(id * dimension)..<((id + 1) * dimension)].reduce(0) {
        $0 + Double($1) * Double($1)
      }.squareRoot()
    }
    #expect(abs(Double(file.largestNorm) - (norms.max() ?? 0)) < 1e-4)
  }

  /// From 1024 vectors of 32 dimensions on there are codes.
  @Test(arguments: [(0, 8), (1, 8), (129, 8), (3000, 8), (3000, 37)])
  func `a graph read back walks as the one in memory, at any thread count`(
    count: Int, dimension: Int
  ) throws {
    let vectors = VectorSet(
      randomVectors(count: count, dimension: dimension, seed: 2), dimension: dimension)
    let output = try HNSWBuilder.build(
      vectors, parameters: HNSWParameters(m: 4, efConstruction: 30), threads: 2)
    try GraphFileWriter.write(output, to: folder.path + "/two.seg", threads: 2)
    try GraphFileWriter.write(output, to: folder.path + "/one.seg", threads: 1)
    #expect(
      try FileSystem.read(folder.path + "/one.seg") == FileSystem.read(folder.path + "/two.seg"))
    let file = try GraphFile(path: folder.path + "/one.seg")
    let graph = output.graph()
    #expect(file.graph.count == count)
    #expect(file.graph.layers.map(\.nodes) == graph.layers.map(\.nodes))
    for (read, built) in zip(file.graph.layers, graph.layers) {
      for slot in 0..<read.blocks.count {
        #expect(try read.blocks.list(slot) == built.blocks.list(slot))
      }
    }
    try file.graph.verifyLists()
    #expect((file.graph.codes == nil) == (dimension == 8))
    let queries = randomVectors(count: 20, dimension: dimension, seed: 3)
    for q in 0..<20 {
      let query = Array(queries[(q * dimension)..<((q + 1) * dimension)])
      #expect(
        try file.graph.search(
          query, vectors: vectors, k: 10, efSearch: 40, scratch: SearchScratch())
          == graph.search(query, vectors: vectors, k: 10, efSearch: 40, scratch: SearchScratch()))
    }
  }

  /// Checksums stop accidents; whoever writes a file with good ones may put anything into it.
  @Test func `forged codes, books and orders give answers or errors`() throws {
    let vectors = VectorSet(randomVectors(count: 1500, dimension: 32, seed: 5), dimension: 32)
    var output = try HNSWBuilder.build(vectors, parameters: HNSWParameters(m: 4), threads: 2)
    let codes = try #require(output.codes)
    let query = randomVectors(count: 1, dimension: 32, seed: 6)
    let path = folder.path + "/graph.seg"
    func search() throws -> [Neighbor] {
      try GraphFileWriter.write(output, to: path, threads: 1)
      return try GraphFile(path: path).graph.search(
        query, vectors: vectors, k: 10, efSearch: 40, scratch: SearchScratch())
    }
    #expect(try search().count == 10)
    for value in [0, 1, -1, .nan, .infinity, 3e38, .leastNonzeroMagnitude] as [Float] {
      let book = try #require(
        CodeBook(
          dimension: 32, metric: .innerProduct, blocks: codes.book.blocks, mean: codes.book.mean,
          axes: codes.book.axes.map { _ in value > 1 ? 2047 : 0 },
          steps: codes.book.steps.map { _ in value }))
      output.codes = try CodeSet(
        vectors, nodes: output.vectorOfNode, book: book, threads: 1)
      do {
        let found = try search()
        #expect(found.count == 10 && found.allSatisfy { $0.id < 1500 })
      } catch {
        #expect((error as? RetortError)?.code == .badData)
      }
    }
    output.codes = codes
    output.vectorOfNode[700..<900] = ArraySlice(repeating: UInt32.max, count: 200)
    output.vectorOfNode[0..<100] = ArraySlice(repeating: 1500, count: 100)
    do {
      let found = try search()
      #expect(found.allSatisfy { $0.id < 1500 })
    } catch {
      #expect((error as? RetortError)?.code == .badData)
    }
  }

  @Test func `blocks are decoded when they are touched, each once`() throws {
    let vectors = VectorSet(randomVectors(count: 2000, dimension: 8, seed: 4), dimension: 8)
    let output = try HNSWBuilder.build(vectors, parameters: HNSWParameters(m: 4), threads: 2)
    try GraphFileWriter.write(output, to: folder.path + "/graph.seg", threads: 1)
    let bottom = try #require(
      try GraphFile(path: folder.path + "/graph.seg").graph.layers.first?.blocks)
    #expect(bottom.decodedBlocks == 0)
    parallelFor(400, threads: 4) { _, _ in _ = try? bottom.list(300) }
    #expect(bottom.decodedBlocks == 1)
  }

  @Test func `degrees that add up beyond 32 bits are no block`() {
    let bytes = [UInt8](repeating: 0xFF, count: 2 << 16)
    #expect(AdjacencyCodec.decode(bytes, slots: 0..<(1 << 16), count: 1 << 20) == nil)
  }
}
