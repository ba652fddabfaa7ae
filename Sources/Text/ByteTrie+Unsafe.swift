import Platform

/// A prefix tree over bytes whose edges lie in one flat hash table.
///
/// A step is one probe of `(node, byte)`, so walking costs the same whatever the vocabulary's
/// size, and a node has no children list to search. Immutable once built; the memory is owned by
/// the class and freed with it.
final class ByteTrie: @unchecked Sendable {
  /// No such node, or no value at a node.
  static let none: Int32 = -1

  /// `key << 32 | child`, where key = `node << 8 | byte`; `emptySlot` marks a free slot.
  private let slots: UnsafeMutableBufferPointer<UInt64>
  private let values: UnsafeMutableBufferPointer<Int32>
  private let shift: UInt32
  private let mask: Int
  private static let emptySlot = UInt64.max

  /// Collects keys for a `ByteTrie`.
  struct Builder {
    /// More nodes than this would not fit beside a byte in a 32-bit key.
    static let maximumNodes = 1 << 24
    fileprivate var values: [Int32]
    fileprivate var edges: [UInt32: Int32] = [:]

    /// Starts with `roots` separate trees, whose roots are the nodes `0..<roots`.
    init(roots: Int) { values = [Int32](repeating: ByteTrie.none, count: roots) }

    /// Makes room for about `bytes` bytes of keys.
    mutating func reserve(bytes: Int) {
      edges.reserveCapacity(min(bytes, Self.maximumNodes))
      values.reserveCapacity(min(bytes, Self.maximumNodes))
    }

    /// Adds a key; false when there are too many nodes. A key added twice keeps the last value.
    mutating func insert(_ key: some Sequence<UInt8>, value: Int32, root: Int32 = 0) -> Bool {
      var node = root
      for byte in key {
        let edge = UInt32(node) << 8 | UInt32(byte)
        if let child = edges[edge] {
          node = child
        } else {
          guard values.count < Self.maximumNodes else { return false }
          node = Int32(values.count)
          edges[edge] = node
          values.append(ByteTrie.none)
        }
      }
      values[Int(node)] = value
      return true
    }
  }

  init(_ builder: Builder) {
    var bits: UInt32 = 4
    while 1 << Int(bits) < builder.edges.count * 2 { bits += 1 }
    shift = 32 - bits
    mask = (1 << Int(bits)) - 1
    slots = .allocate(capacity: mask + 1)
    slots.initialize(repeating: Self.emptySlot)
    values = .allocate(capacity: builder.values.count)
    _ = values.initialize(from: builder.values)
    for (key, child) in builder.edges {
      var slot = Int((key &* 0x9E37_79B1) >> shift)
      while slots[slot] != Self.emptySlot { slot = (slot + 1) & mask }
      slots[slot] = UInt64(key) << 32 | UInt64(child)
    }
  }

  deinit {
    slots.deallocate()
    values.deallocate()
  }

  /// The node one byte below `node`, or `none`.
  @inline(__always)
  func child(of node: Int32, _ byte: UInt8) -> Int32 {
    let key = UInt32(truncatingIfNeeded: node) << 8 | UInt32(byte)
    var slot = Int((key &* 0x9E37_79B1) >> shift)
    while true {
      // Half of the slots are free, so the probe always ends.
      let entry = slots.baseAddress.unsafelyUnwrapped[slot]
      if UInt32(truncatingIfNeeded: entry >> 32) == key, entry != Self.emptySlot {
        return Int32(truncatingIfNeeded: entry)
      }
      if entry == Self.emptySlot { return Self.none }
      slot = (slot &+ 1) & mask
    }
  }

  /// The value of the key that ends at `node`, or `none`.
  @inline(__always)
  func value(at node: Int32) -> Int32 {
    values.baseAddress.unsafelyUnwrapped[Int(node)]
  }
}
