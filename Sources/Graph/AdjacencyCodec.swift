import Platform

// The bytes of a block of neighbour lists before LZ4
//
// For n nodes with e links in all:
//   2n bytes      degrees: all low bytes, then all high bytes
//   1 byte        base, at most 17
//   ⌈e/2⌉ bytes   a class a gap, 4 bits, the first of two in the low half
//   the rest      the gaps' digits one after the other, from the lowest bit of the first byte up,
//                 filled up with zeros
//
// A list is ascending. Its first gap is the zigzag difference to the node's own slot, each other the
// difference to the neighbour before, less one. A gap of class 0 is `base` bits long; one of class c
// has base + c bits, of which the highest, which is 1, is not written. `base` is as small as the widest
// gap of the block allows. Nodes are numbered so that near ones lie together, which makes most gaps
// short: 11 to 12.5 bits a link, 25 links a node, on 100,000 nodes; an ideal code of the widths would
// save another 2%, byte planes for LZ4 to compress took a quarter more.

/// How neighbour lists are written.
package enum AdjacencyCodec {
  private static let widest = 32
  private static let classes = 15

  /// The bytes of the lists of slots `first...` given as `(offsets, targets)` over all slots.
  package static func encode(
    slots: Range<Int>, offsets: [Int], targets: [UInt32]
  ) -> [UInt8] {
    var degrees: [Int] = []
    var gaps: [UInt32] = []
    for slot in slots {
      let list = targets[offsets[slot]..<offsets[slot + 1]]
      degrees.append(list.count)
      var previous: UInt32?
      for target in list {
        if let previous {
          precondition(target > previous, "lists are ascending")
          gaps.append(target - previous - 1)
        } else {
          let difference = Int64(target) - Int64(slot)
          gaps.append(UInt32(truncatingIfNeeded: (difference << 1) ^ (difference >> 63)))
        }
        previous = target
      }
    }
    let base = max(0, width(gaps.max() ?? 0) - classes)
    var bytes = degrees.map { UInt8(truncatingIfNeeded: $0) }
    bytes += degrees.map { UInt8(truncatingIfNeeded: $0 >> 8) }
    bytes.append(UInt8(base))
    bytes += classNibbles(gaps, base: base)
    var digits = BitWriter()
    for gap in gaps {
      let width = width(gap)
      digits.append(gap, bits: width <= base ? base : width - 1)
    }
    return bytes + digits.bytes
  }

  private static func width(_ gap: UInt32) -> Int { 32 - gap.leadingZeroBitCount }

  private static func classNibbles(_ gaps: [UInt32], base: Int) -> [UInt8] {
    var nibbles = [UInt8](repeating: 0, count: (gaps.count + 1) / 2)
    for (place, gap) in gaps.enumerated() {
      nibbles[place / 2] |= UInt8(max(width(gap) - base, 0)) << UInt8(place % 2 * 4)
    }
    return nibbles
  }

  /// The decoded block, as `AdjacencyBlocks` keeps it, of the lists of `slots` on a layer of
  /// `count` slots; nil when the bytes are no such block (wrong length, a slot out of range).
  package static func decode(_ bytes: [UInt8], slots: Range<Int>, count: Int) -> [UInt32]? {
    let nodes = slots.count
    guard bytes.count > 2 * nodes else { return nil }
    var words = [UInt32](repeating: 0, count: nodes + 1)
    var links = 0
    for node in 0..<nodes {
      words[node] = UInt32(nodes + 1 + links)
      links += Int(bytes[node]) | Int(bytes[nodes + node]) << 8
      // Checked on the way: the degrees of a damaged block can add up to more than 32 bits hold.
      guard bytes.count > 2 * nodes + links / 2 else { return nil }
    }
    words[nodes] = UInt32(nodes + 1 + links)
    let base = Int(bytes[2 * nodes])
    let nibbles = 2 * nodes + 1
    guard base + classes <= widest, bytes.count >= nibbles + (links + 1) / 2 else { return nil }
    words.reserveCapacity(nodes + 1 + links)
    var digits = BitReader(bytes, from: nibbles + (links + 1) / 2)
    var place = 0
    for node in 0..<nodes {
      var previous = Int64(slots.lowerBound + node)
      let degree = Int(words[node + 1] - words[node])
      for first in stride(from: degree, to: 0, by: -1) {
        let size = Int(bytes[nibbles + place / 2] >> UInt8(place % 2 * 4) & 15)
        place += 1
        let low = digits.next(bits: size == 0 ? base : base + size - 1)
        let gap = Int64(size == 0 ? low : low | 1 << UInt64(base + size - 1))
        previous += first == degree ? gap >> 1 ^ -(gap & 1) : gap + 1
        guard previous >= 0, previous < Int64(count) else { return nil }
        words.append(UInt32(previous))
      }
    }
    return digits.isAtEnd ? words : nil
  }
}

/// Appends numbers of any width up to 32 bits.
private struct BitWriter {
  private(set) var bytes: [UInt8] = []
  private var filled = 0

  mutating func append(_ value: UInt32, bits: Int) {
    var rest = UInt64(value) & ((1 << UInt64(bits)) - 1)
    var left = bits
    while left > 0 {
      if filled == 0 { bytes.append(0) }
      bytes[bytes.count - 1] |= UInt8(truncatingIfNeeded: rest << UInt64(filled))
      let taken = min(8 - filled, left)
      rest >>= UInt64(taken)
      left -= taken
      filled = (filled + taken) % 8
    }
  }
}

/// Reads numbers of any width up to 32 bits; zeros follow the last byte.
private struct BitReader {
  private let bytes: [UInt8]
  private var next: Int
  private var window: UInt64 = 0
  private var held = 0

  init(_ bytes: [UInt8], from start: Int) {
    self.bytes = bytes
    next = start
  }

  /// Whether all bytes were read, and not more.
  var isAtEnd: Bool { next == bytes.count && held >= 0 && held < 8 }

  mutating func next(bits: Int) -> UInt64 {
    while held < bits {
      guard next < bytes.count else {
        held = -1 << 40  // never at the end again
        return 0
      }
      window |= UInt64(bytes[next]) << UInt64(held)
      next += 1
      held += 8
    }
    let value = window & ((1 << UInt64(bits)) - 1)
    window >>= UInt64(bits)
    held -= bits
    return value
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
