import CKernels
import Platform
import Synchronization

/// The neighbour lists of one layer, as the walk needs them.
///
/// Slots number the nodes of a layer; on layer 0 a slot is the vector's id.
protocol Adjacency {
  /// The slots that `slot` links to.
  func neighbors(of slot: UInt32) throws(RetortError) -> UnsafeBufferPointer<UInt32>
  /// Asks for the list of `slot`, which will soon be read.
  func prefetch(_ slot: UInt32)
  /// The vector ids of slots; nil when slots are ids.
  var vectorIDs: UnsafePointer<UInt32>? { get }
}

/// Neighbour lists in blocks of 2^`shift` nodes, each decoded on first touch and then kept.
///
/// A decoded block is rows of equal length, one a node: the number of neighbours, then their slots.
/// So the address of a list follows from the slot alone, and the walk can ask for it ahead. A block
/// once published is never moved before the table goes, or the pins of the budget that dropped it, so
/// readers hold plain pointers.
package final class AdjacencyBlocks: @unchecked Sendable {
  /// Nodes a block, as a power of two.
  package let shift: Int
  /// The number of nodes.
  package let count: Int
  /// A block's address in the low 48 bits and its row length, in numbers, above; 0 until decoded.
  private let table: UnsafeMutablePointer<Atomic<UInt64>>
  private let load: @Sendable (Int) throws(RetortError) -> [UInt32]
  private let storage: Mutex<Storage>
  private let budget: MemoryBudget?

  private static let addressBits: UInt64 = 48
  private static let addressMask: UInt64 = (1 << 48) - 1
  /// Chunks of memory where it is bounded: huge pages would exceed small limits.
  private static let boundedChunk = 1 << 18

  /// Blocks of `count` nodes; `load` returns a decoded, validated block: n + 1 places from its
  /// start, then the neighbour slots of node after node. With a budget, readers must hold a pin of
  /// it, as blocks are dropped when they are too many.
  package init(
    count: Int, shift: Int, budget: MemoryBudget? = nil,
    load: @escaping @Sendable (Int) throws(RetortError) -> [UInt32]
  ) {
    self.count = count
    self.shift = shift
    self.load = load
    self.budget = budget
    storage = Mutex(Storage(largestChunk: budget == nil ? Arena.hugePage : Self.boundedChunk))
    let blocks = Self.blockCount(of: count, shift: shift)
    table = .allocate(capacity: max(blocks, 1))
    for block in 0..<blocks { (table + block).initialize(to: Atomic(0)) }
    budget?.add(cache: { self.drop() })
  }

  deinit {
    table.deinitialize(count: blockCount)
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
    var entry = table[block].load(ordering: .acquiring)
    if entry == 0 { entry = try decode(block) }
    // The address comes from `decode`, which stores only allocations of UInt32.
    guard let row = row(slot, entry) else { return UnsafeBufferPointer(start: nil, count: 0) }
    return UnsafeBufferPointer(start: row + 1, count: Int(row[0]))
  }

  @inline(__always)
  func prefetch(_ slot: UInt32) {
    let entry = table[Int(slot) >> shift].load(ordering: .acquiring)
    guard let row = row(slot, entry) else { return }
    // A row of M = 16 fills two cache lines and a bit; left out, the bit costs 8 % of a search.
    for word in stride(from: 0, to: Int(entry >> Self.addressBits), by: 16) {
      retort_prefetch(row + word)
    }
  }

  @inline(__always)
  private func row(_ slot: UInt32, _ entry: UInt64) -> UnsafePointer<UInt32>? {
    guard let base = UnsafePointer<UInt32>(bitPattern: UInt(entry & Self.addressMask)) else {
      return nil
    }
    return base + (Int(slot) & ((1 << shift) - 1)) * Int(entry >> Self.addressBits)
  }

  /// The neighbour slots of `slot`, copied.
  package func list(_ slot: Int) throws(RetortError) -> [UInt32] {
    let pin = budget?.pin()
    defer { withExtendedLifetime(pin) {} }
    return Array(try neighbors(of: UInt32(slot)))
  }

  private func decode(_ block: Int) throws(RetortError) -> UInt64 {
    guard let budget else {
      // One thread decodes a block, the others wait for it.
      let result: Result<UInt64, RetortError> = storage.withLock { storage in
        let known = table[block].load(ordering: .acquiring)
        if known != 0 { return .success(known) }
        return Result { () throws(RetortError) in
          publish(try readRows(block), block, in: storage)
        }
      }
      return try result.get()
    }
    // Counting may drop this table's blocks and others', so no lock is held meanwhile.
    let rows = try readRows(block)
    let bytes = rows.nodes * rows.length * MemoryLayout<UInt32>.stride
    budget.count(decoded: bytes)
    return storage.withLock { storage in
      let known = table[block].load(ordering: .acquiring)
      guard known == 0 else {
        budget.uncount(decoded: bytes)
        return known
      }
      return publish(rows, block, in: storage)
    }
  }

  /// A decoded block: places and slots as `load` returns them, and how long the longest row is.
  private struct Rows {
    var words: [UInt32]
    var nodes: Int
    var length: Int
  }

  private func readRows(_ block: Int) throws(RetortError) -> Rows {
    let words = try load(block)
    let nodes = min(count - (block << shift), 1 << shift)
    let longest = (0..<nodes).reduce(0) { max($0, words[$1 + 1] - words[$1]) }
    guard longest < UInt16.max else {
      throw RetortError(
        .badData, "a node of the graph has \(longest) links, which no index has; build it again")
    }
    return Rows(words: words, nodes: nodes, length: Int(longest) + 1)
  }

  /// Lays rows out where readers find them.
  private func publish(_ block: Rows, _ number: Int, in storage: Storage) -> UInt64 {
    let length = block.length
    let rows = storage.arena.allocate(UInt32.self, count: block.nodes * length)
    for node in 0..<block.nodes {
      let list = block.words[Int(block.words[node])..<Int(block.words[node + 1])]
      let row = rows + node * length
      row.initialize(repeating: 0, count: length)
      row[0] = UInt32(list.count)
      for (place, slot) in list.enumerated() { row[place + 1] = slot }
    }
    let entry = UInt64(UInt(bitPattern: rows)) | UInt64(length) << Self.addressBits
    table[number].store(entry, ordering: .releasing)
    return entry
  }

  /// Forgets all decoded blocks; what is returned holds them for readers that still look.
  private func drop() -> AnyObject {
    storage.withLock { storage in
      let dropped = storage
      for block in 0..<blockCount { table[block].store(0, ordering: .releasing) }
      storage = Storage(largestChunk: Self.boundedChunk)
      return dropped
    }
  }

  /// The memory of decoded blocks.
  private final class Storage: @unchecked Sendable {
    // Only touched under the lock; what it gave out is only read.
    var arena: Arena

    init(largestChunk: Int) { arena = Arena(largestChunk: largestChunk) }
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

  @inline(__always)
  func prefetch(_ slot: UInt32) { blocks.prefetch(slot) }
}
