import Platform
import Synchronization

/// The neighbour lists of one layer, as the walk needs them.
///
/// Slots number the nodes of a layer; on layer 0 a slot is the vector's id.
protocol Adjacency {
  /// The slots that `slot` links to.
  func neighbors(of slot: UInt32) throws(RetortError) -> UnsafeBufferPointer<UInt32>
  /// The vector ids of slots; nil when slots are ids.
  var vectorIDs: UnsafePointer<UInt32>? { get }
}

/// Neighbour lists in blocks of 2^`shift` nodes, each decoded on first touch and then kept.
///
/// A decoded block of n nodes is one array: n + 1 offsets from its start, then the neighbour slots
/// of node after node. A block once published is never moved before the table goes, so readers hold
/// plain pointers.
package final class AdjacencyBlocks: @unchecked Sendable {
  /// Nodes a block, as a power of two.
  package let shift: Int
  /// The number of nodes.
  package let count: Int
  private let table: UnsafeMutablePointer<Atomic<UInt>>
  private let load: @Sendable (Int) throws(RetortError) -> [UInt32]
  private let loading = Mutex(())

  /// Blocks of `count` nodes; `load` returns a decoded, validated block.
  package init(
    count: Int, shift: Int, load: @escaping @Sendable (Int) throws(RetortError) -> [UInt32]
  ) {
    self.count = count
    self.shift = shift
    self.load = load
    let blocks = Self.blockCount(of: count, shift: shift)
    table = .allocate(capacity: max(blocks, 1))
    for block in 0..<blocks { (table + block).initialize(to: Atomic(0)) }
  }

  deinit {
    let blocks = blockCount
    for block in 0..<blocks {
      UnsafeMutableRawPointer(bitPattern: table[block].load(ordering: .acquiring))?.deallocate()
    }
    table.deinitialize(count: blocks)
    table.deallocate()
  }

  /// The number of blocks that `count` nodes fill.
  package static func blockCount(of count: Int, shift: Int) -> Int {
    (count + (1 << shift) - 1) >> shift
  }

  /// The number of blocks.
  package var blockCount: Int { Self.blockCount(of: count, shift: shift) }

  /// The number of blocks decoded so far.
  package var decodedBlocks: Int {
    (0..<blockCount).count { table[$0].load(ordering: .relaxed) != 0 }
  }

  @inline(__always)
  func neighbors(of slot: UInt32) throws(RetortError) -> UnsafeBufferPointer<UInt32> {
    let block = Int(slot) >> shift
    var address = table[block].load(ordering: .acquiring)
    if address == 0 { address = try decode(block) }
    // The address comes from `decode`, which stores only allocations of UInt32.
    guard let words = UnsafePointer<UInt32>(bitPattern: address) else {
      return UnsafeBufferPointer(start: nil, count: 0)
    }
    let inBlock = Int(slot) & ((1 << shift) - 1)
    let start = Int(words[inBlock])
    let end = Int(words[inBlock + 1])
    return UnsafeBufferPointer(start: words + start, count: end - start)
  }

  /// The neighbour slots of `slot`, copied.
  package func list(_ slot: Int) throws(RetortError) -> [UInt32] {
    Array(try neighbors(of: UInt32(slot)))
  }

  private func decode(_ block: Int) throws(RetortError) -> UInt {
    let result: Result<UInt, RetortError> = loading.withLock { _ in
      let known = table[block].load(ordering: .acquiring)
      if known != 0 { return .success(known) }
      do throws(RetortError) {
        let words = try load(block)
        let copy = UnsafeMutablePointer<UInt32>.allocate(capacity: words.count)
        words.withUnsafeBufferPointer { source in
          if let start = source.baseAddress { copy.initialize(from: start, count: words.count) }
        }
        let address = UInt(bitPattern: copy)
        table[block].store(address, ordering: .releasing)
        return .success(address)
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }
}

/// One finished layer: its blocks and, above layer 0, which vector each slot stands for.
package struct GraphLayer: Sendable {
  /// The neighbour lists, in slots of this layer.
  package let blocks: AdjacencyBlocks
  /// Vector ids by slot, ascending; empty on layer 0, where a slot is the id.
  package let nodes: [UInt32]

  /// A layer of a graph; `nodes` is empty for layer 0.
  package init(blocks: AdjacencyBlocks, nodes: [UInt32]) {
    self.blocks = blocks
    self.nodes = nodes
  }

  /// The slot of vector `id` on this layer, or nil where it is not on it.
  func slot(of id: UInt32) -> UInt32? {
    if nodes.isEmpty { return id }
    var low = 0
    var high = nodes.count
    while low < high {
      let middle = (low + high) / 2
      if nodes[middle] < id { low = middle + 1 } else { high = middle }
    }
    return low < nodes.count && nodes[low] == id ? UInt32(low) : nil
  }
}

/// A finished layer as the walk sees it.
struct LayerView: Adjacency {
  let blocks: AdjacencyBlocks
  let vectorIDs: UnsafePointer<UInt32>?

  @inline(__always)
  func neighbors(of slot: UInt32) throws(RetortError) -> UnsafeBufferPointer<UInt32> {
    try blocks.neighbors(of: slot)
  }
}
