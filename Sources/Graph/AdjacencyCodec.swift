import Platform

/// The bytes of a block of neighbour lists before LZ4, laid out so that LZ4 finds something.
///
/// For n nodes with e links in all: n degrees, then e gaps, all as 32-bit numbers split into byte
/// planes (all lowest bytes first, all highest last): degrees in 2 planes of n bytes, gaps in 4
/// planes of e bytes. A list is ascending; its first gap is the zigzag difference to the node's own
/// slot, the others the difference to the neighbour before. Near slots make small gaps, small gaps
/// make planes of zeros.
package enum AdjacencyCodec {
  /// The bytes of the lists of slots `first...` given as `(offsets, targets)` over all slots.
  package static func encode(
    slots: Range<Int>, offsets: [Int], targets: [UInt32]
  ) -> [UInt8] {
    var degrees: [UInt32] = []
    var gaps: [UInt32] = []
    for slot in slots {
      let list = targets[offsets[slot]..<offsets[slot + 1]]
      degrees.append(UInt32(list.count))
      var previous: UInt32?
      for target in list {
        if let previous {
          gaps.append(target &- previous)
        } else {
          let difference = Int64(target) - Int64(slot)
          gaps.append(UInt32(truncatingIfNeeded: (difference << 1) ^ (difference >> 63)))
        }
        previous = target
      }
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(degrees.count * 2 + gaps.count * 4)
    for plane in 0..<2 {
      for degree in degrees { bytes.append(UInt8(truncatingIfNeeded: degree >> (8 * plane))) }
    }
    for plane in 0..<4 {
      for gap in gaps { bytes.append(UInt8(truncatingIfNeeded: gap >> (8 * plane))) }
    }
    return bytes
  }

  /// The decoded block, as `AdjacencyBlocks` keeps it, of the lists of `slots` on a layer of
  /// `count` slots; nil when the bytes are no such block (wrong length, a slot out of range).
  package static func decode(_ bytes: [UInt8], slots: Range<Int>, count: Int) -> [UInt32]? {
    let nodes = slots.count
    guard bytes.count >= 2 * nodes else { return nil }
    var words = [UInt32](repeating: 0, count: nodes + 1)
    var links = 0
    for node in 0..<nodes {
      words[node] = UInt32(nodes + 1 + links)
      links += Int(bytes[node]) | Int(bytes[nodes + node]) << 8
      // Checked on the way: the degrees of a damaged block can add up to more than 32 bits hold.
      guard bytes.count >= 2 * nodes + 4 * links else { return nil }
    }
    words[nodes] = UInt32(nodes + 1 + links)
    guard bytes.count == 2 * nodes + 4 * links else { return nil }
    words.reserveCapacity(nodes + 1 + links)
    var plane = 2 * nodes
    for node in 0..<nodes {
      var previous = Int64(slots.lowerBound + node)
      let degree = Int(words[node + 1] - words[node])
      for place in 0..<degree {
        let gap =
          UInt32(bytes[plane]) | UInt32(bytes[plane + links]) << 8
          | UInt32(bytes[plane + 2 * links]) << 16 | UInt32(bytes[plane + 3 * links]) << 24
        plane += 1
        let step = place == 0 ? Int64(gap >> 1) ^ -Int64(gap & 1) : Int64(gap)
        previous += step
        guard previous >= 0, previous < Int64(count) else { return nil }
        words.append(UInt32(previous))
      }
    }
    return words
  }
}

extension HNSWBuilder.Output {
  /// The graph in memory, through the same blocks as one read from disk.
  package func graph() -> HNSWGraph {
    let built = layers.enumerated().map { _, layer in
      let count = layer.offsets.count - 1
      let shift = 7
      return GraphLayer(
        blocks: AdjacencyBlocks(count: count, shift: shift) { block throws(RetortError) in
          let slots = (block << shift)..<min(count, (block + 1) << shift)
          let bytes = AdjacencyCodec.encode(
            slots: slots, offsets: layer.offsets, targets: layer.targets)
          guard let words = AdjacencyCodec.decode(bytes, slots: slots, count: count) else {
            throw RetortError(.badData, "a neighbour list in memory is out of range")
          }
          return words
        }, nodes: layer.nodes)
    }
    return HNSWGraph(
      count: layers.first.map { $0.offsets.count - 1 } ?? 0, layers: built, entryPoint: entryPoint,
      codes: codes, metric: metric, vectorOfNode: vectorOfNode.isEmpty ? nil : NodeMap(vectorOfNode)
    )
  }
}
