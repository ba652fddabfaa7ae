import Platform

/// A prefix tree over bytes whose edges lie in one flat hash table.
///
/// A step is one probe of `(node, byte)`, and the slot it finds also holds the value of the node
/// it leads to, so a step touches one cache line whatever the vocabulary's size. Immutable once
/// built; the memory is owned by the class and freed with it.
final class ByteTrie: @unchecked Sendable {
  /// No such node, or no value at a node.
  static let none: Int32 = -1

  /// Where an edge leads.
  struct Step: BitwiseCopyable {
    /// The node one byte below, or `none`.
    var node: Int32
    /// The value of the key that ends there, or `none`.
    var value: Int32
  }

  /// `node << 8 | byte` of an edge, and its step; a key of all ones marks a free slot.
  struct Slot: BitwiseCopyable {
    var key: UInt32
    var step: Step
  }

  private static let freeKey = UInt32.max
  private let slots: UnsafeMutableBufferPointer<Slot>
  private let shift: UInt32
  private let mask: Int

  /// Collects keys for a `ByteTrie`.
  struct Builder {
    /// More nodes than this would not fit beside a byte in a 32-bit key.
    static let maximumNodes = (1 << 24) - 1
    fileprivate var slots: [Slot]
    fileprivate var shift: UInt32
    private var edges = 0
    private var nodes: Int

    /// Starts with `roots` separate trees, whose roots are the nodes `0..<roots`, and with room
    /// for about `edges` edges.
    init(roots: Int, edges: Int) {
      nodes = roots
      var bits: UInt32 = 4
      while bits < 25, 1 << Int(bits) < edges * 2 { bits += 1 }
      shift = 32 - bits
      slots = Self.free(bits)
    }

    private static func free(_ bits: UInt32) -> [Slot] {
      [Slot](
        repeating: Slot(
          key: ByteTrie.freeKey, step: Step(node: ByteTrie.none, value: ByteTrie.none)),
        count: 1 << Int(bits))
    }

    /// The slot of an edge, or the free one where it belongs.
    private func slot(_ key: UInt32) -> Int {
      var slot = Int((key &* 0x9E37_79B1) >> shift)
      while slots[slot].key != key, slots[slot].key != ByteTrie.freeKey {
        slot = (slot + 1) & (slots.count - 1)
      }
      return slot
    }

    /// Adds a key of at least one byte; false when there are too many nodes. A key added twice
    /// keeps the last value.
    mutating func insert(_ key: some Sequence<UInt8>, value: Int32, root: Int32 = 0) -> Bool {
      var node = root
      var last: Int?
      for byte in key {
        let edge = UInt32(node) << 8 | UInt32(byte)
        var place = slot(edge)
        if slots[place].key == ByteTrie.freeKey {
          guard nodes < Self.maximumNodes else { return false }
          if edges * 2 >= slots.count {
            grow()
            place = slot(edge)
          }
          slots[place] = Slot(key: edge, step: Step(node: Int32(nodes), value: ByteTrie.none))
          nodes += 1
          edges += 1
        }
        node = slots[place].step.node
        last = place
      }
      if let last { slots[last].step.value = value }
      return true
    }

    private mutating func grow() {
      let old = slots
      shift -= 1
      slots = Self.free(32 - shift)
      for entry in old where entry.key != ByteTrie.freeKey { slots[slot(entry.key)] = entry }
    }
  }

  init(_ builder: Builder) {
    shift = builder.shift
    mask = builder.slots.count - 1
    slots = .allocate(capacity: builder.slots.count)
    _ = slots.initialize(from: builder.slots)
  }

  deinit { slots.deallocate() }

  /// The edge `byte` below `node`.
  @inline(__always)
  func step(from node: Int32, _ byte: UInt8) -> Step {
    let key = UInt32(truncatingIfNeeded: node) << 8 | UInt32(byte)
    let base = slots.baseAddress.unsafelyUnwrapped
    var slot = Int((key &* 0x9E37_79B1) >> shift)
    // Half of the slots are free, so the probe always ends.
    while base[slot].key != key {
      if base[slot].key == Self.freeKey { return Step(node: Self.none, value: Self.none) }
      slot = (slot &+ 1) & mask
    }
    return base[slot].step
  }
}
