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

  @Test(arguments: [0, 1, 129, 3000])
  func `a graph read back walks as the one in memory, at any thread count`(count: Int) throws {
    let vectors = VectorSet(randomVectors(count: count, dimension: 8, seed: 2), dimension: 8)
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
    let queries = randomVectors(count: 20, dimension: 8, seed: 3)
    for q in 0..<20 {
      let query = Array(queries[(q * 8)..<(q * 8 + 8)])
      #expect(
        try file.graph.search(
          query, vectors: vectors, k: 10, efSearch: 40, scratch: SearchScratch())
          == graph.search(query, vectors: vectors, k: 10, efSearch: 40, scratch: SearchScratch()))
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
