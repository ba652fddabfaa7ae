import Graph
import Platform

// graph.seg, kind GRPH:
//   "shape"      u32 count, u32 number of layers, u32 entry point, u32 block shift
//   "metric"     u32 1: Euclidean distance; absent: the inner product
//   per layer n, from 0 up:
//   "nodes<n>"   u32 nodes by slot, ascending; absent on layer 0, where a slot is the node
//   "index<n>"   per block: u64 offset in "links<n>", u32 compressed length, u32 raw length
//   "links<n>"   LZ4 blocks of `AdjacencyCodec` bytes, 2^shift slots each
//   where the vectors are coded (`CodeBook`), all three or none:
//   "order"      vector by node in as few bits as they need (`NodeMap`), page-aligned
//   "book"       u32 dimension, u32 blocks of 7, 4 and 2 bits; f32 mean, f32 steps, i16 axes
//   "codes"      records by node (retort_codes.h), page-aligned; a checksum block is the smallest
//                power of two of records that fills 64 KiB

/// Writes a built graph.
package enum GraphFileWriter {
  private static let shift = 7

  /// Writes `graph` to `path`, compressing on `threads` threads.
  package static func write(
    _ graph: HNSWBuilder.Output, to path: String, threads: Int
  ) throws(RetortError) {
    let writer = try SegmentFileWriter(path: path, kind: .graph)
    let count = graph.layers.first.map { $0.offsets.count - 1 } ?? 0
    try writer.begin("shape")
    try writer.append(words: [
      UInt32(count), UInt32(graph.layers.count), graph.entryPoint, UInt32(shift),
    ])
    writer.end()
    if graph.metric != .innerProduct {
      try writer.begin("metric")
      try writer.append(words: [graph.metric.rawValue])
      writer.end()
    }
    for (number, layer) in graph.layers.enumerated() {
      try write(layer, number: number, writer, threads: threads)
    }
    if let codes = graph.codes { try write(codes, order: graph.vectorOfNode, writer) }
    try writer.finish()
  }

  private static func write(
    _ codes: CodeSet, order: [UInt32], _ writer: SegmentFileWriter
  ) throws(RetortError) {
    try writer.begin("order", alignment: SegmentLayout.page)
    try writer.append(NodeMap.packed(order))
    writer.end()
    let book = codes.book
    try writer.begin("book")
    try writer.append(words: [
      UInt32(book.dimension), UInt32(book.blocks.wide), UInt32(book.blocks.middle),
      UInt32(book.blocks.narrow),
    ])
    for values in [book.mean, book.steps] {
      try writer.append(words: values.map(\.bitPattern))
    }
    var axes: [UInt8] = []
    for number in book.axes { axes.appendInteger(number) }
    try writer.append(axes)
    writer.end()
    let blockLength = book.stride << CodeSection.blockShift(stride: book.stride)
    try writer.begin("codes", blockLength: blockLength, alignment: SegmentLayout.page)
    let bytes = codes.bytes
    for start in stride(from: 0, to: bytes.count, by: blockLength) {
      try Interruption.check()
      let end = min(bytes.count, start + blockLength)
      try writer.append([UInt8](UnsafeRawBufferPointer(rebasing: bytes[start..<end])))
    }
    writer.end()
  }

  private static func write(
    _ layer: HNSWBuilder.Layer, number: Int, _ writer: SegmentFileWriter, threads: Int
  ) throws(RetortError) {
    if number > 0 {
      try writer.begin("nodes\(number)")
      try writer.append(words: layer.nodes)
      writer.end()
    }
    let count = layer.offsets.count - 1
    guard zip(layer.offsets, layer.offsets.dropFirst()).allSatisfy({ $1 - $0 < Int(UInt16.max) })
    else {
      throw RetortError(
        .limitExceeded,
        "a node of the graph has more than 65534 links; build again with a larger --m")
    }
    let blocks = AdjacencyBlocks.blockCount(of: count, shift: shift)
    var index: [UInt8] = []
    var offset: UInt64 = 0
    try writer.begin("links\(number)")
    // Bounded batches: compressed in parallel, written in order.
    for start in stride(from: 0, to: blocks, by: 1024) {
      try Interruption.check()
      let batch = start..<min(blocks, start + 1024)
      let encoded = OrderedResults<(raw: Int, bytes: [UInt8])>(count: batch.count)
      parallelFor(batch.count, threads: threads) { item, _ in
        let block = batch.lowerBound + item
        let slots = (block << shift)..<min(count, (block + 1) << shift)
        let bytes = AdjacencyCodec.encode(
          slots: slots, offsets: layer.offsets, targets: layer.targets)
        encoded.set(item, (bytes.count, LZ4Block.compress(bytes)))
      }
      for block in encoded.values {
        index.appendInteger(offset)
        index.appendInteger(UInt32(block.bytes.count))
        index.appendInteger(UInt32(block.raw))
        offset += UInt64(block.bytes.count)
        try writer.append(block.bytes)
      }
    }
    writer.end()
    try writer.add("index\(number)", index)
  }
}

/// A mapped graph whose neighbour lists are decoded as they are touched.
package struct GraphFile: Sendable {
  /// The graph.
  package let graph: HNSWGraph
  /// The file.
  package let file: SegmentFile

  /// Maps the file at `path`.
  package init(path: String, budget: MemoryBudget? = nil) throws(RetortError) {
    file = try SegmentFile(path: path, kind: .graph, budget: budget)
    let section = try file.section("shape")
    let shape = try section.words()
    guard shape.count == 4, shape[1] <= 31, shape[3] <= 7, shape[0] < 1 << 31,
      (shape[0] == 0) == (shape[1] == 0), shape[0] == 0 || shape[2] < shape[0]
    else { throw section.damaged("shape \(shape)") }
    let metric = try Self.metric(file)
    let count = Int(shape[0])
    var layers: [GraphLayer] = []
    for number in 0..<Int(shape[1]) {
      layers.append(
        try Self.layer(number, in: file, count: count, shift: Int(shape[3]), budget))
    }
    if let top = layers.last, !top.nodes.isEmpty, !top.nodes.contains(shape[2]) {
      throw section.damaged("the entry point is not on the top layer")
    }
    let coded = try CodeSection.read(file, count: count, metric: metric)
    graph = HNSWGraph(
      count: count, layers: layers, entryPoint: shape[2], codes: coded?.codes, metric: metric,
      vectorOfNode: coded?.order, budget: budget)
  }

  private static func metric(_ file: SegmentFile) throws(RetortError) -> GraphMetric {
    guard let section = file.sections["metric"] else { return .innerProduct }
    let words = try section.words()
    guard words.count == 1, let metric = GraphMetric(rawValue: words[0]) else {
      throw section.damaged("metric \(words)")
    }
    return metric
  }

  private static func layer(
    _ number: Int, in file: SegmentFile, count: Int, shift: Int, _ budget: MemoryBudget?
  ) throws(RetortError) -> GraphLayer {
    var nodes: [UInt32] = []
    if number > 0 {
      let section = try file.section("nodes\(number)")
      nodes = try section.words()
      var previous = -1
      for node in nodes {
        guard Int(node) > previous, Int(node) < count else {
          throw section.damaged("node ids are not ascending below \(count)")
        }
        previous = Int(node)
      }
      guard !nodes.isEmpty else { throw section.damaged("an empty layer") }
    }
    let slots = number == 0 ? count : nodes.count
    let blocks = AdjacencyBlocks.blockCount(of: slots, shift: shift)
    let links = try file.section("links\(number)")
    let index = try file.section("index\(number)")
    guard index.count == blocks * 16 else { throw index.damaged("wrong length") }
    let adjacency = AdjacencyBlocks(count: slots, shift: shift, budget: budget) {
      block throws(RetortError) in
      let entry = try index.bytes((block * 16)..<(block * 16 + 16))
      let offset = UInt64(littleEndian: entry.loadUnaligned(as: UInt64.self))
      let length = Int(
        UInt32(littleEndian: entry.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
      let raw = Int(
        UInt32(littleEndian: entry.loadUnaligned(fromByteOffset: 12, as: UInt32.self)))
      guard offset <= UInt64(links.count), length <= links.count - Int(offset) else {
        throw links.damaged("block \(block) lies outside")
      }
      let range = (block << shift)..<min(slots, (block + 1) << shift)
      let packed = try links.bytes(Int(offset)..<(Int(offset) + length))
      guard let bytes = LZ4Block.decompress(packed, length: raw),
        let words = AdjacencyCodec.decode(bytes, slots: range, count: slots)
      else { throw links.damaged("block \(block) does not decode") }
      return words
    }
    return GraphLayer(blocks: adjacency, nodes: nodes)
  }
}
