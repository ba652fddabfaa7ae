import Platform

/// A flat hash table of the pieces of up to eight bytes, each packed into one integer.
///
/// The packed bytes are the key itself, so a hit needs no comparison of strings.
final class ShortPieceTable: @unchecked Sendable {
  /// Longer pieces have no place in a 64-bit key.
  static let longest = 8

  private struct Slot: BitwiseCopyable {
    /// The bytes, the first in the lowest ones; 0 marks a free slot.
    var key: UInt64
    var id: Int32
  }

  private let slots: UnsafeMutableBufferPointer<Slot>
  private let shift: UInt64
  private let mask: Int

  /// `pieces` of at most eight bytes; those with a zero byte are left out.
  init(_ pieces: [Vocabulary.Piece]) {
    var bits: UInt64 = 4
    while 1 << Int(bits) < pieces.count * 2 { bits += 1 }
    shift = 64 - bits
    mask = (1 << Int(bits)) - 1
    slots = .allocate(capacity: mask + 1)
    slots.initialize(repeating: Slot(key: 0, id: ByteTrie.none))
    for (bytes, id) in pieces where bytes.count <= Self.longest && !bytes.contains(0) {
      let key = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      var slot = place(key)
      while slots[slot].key != 0, slots[slot].key != key { slot = (slot + 1) & mask }
      slots[slot] = Slot(key: key, id: id)
    }
  }

  deinit { slots.deallocate() }

  @inline(__always)
  private func place(_ key: UInt64) -> Int { Int((key &* 0x9E37_79B9_7F4A_7C15) >> shift) }

  /// The id of the `count` > 0 bytes at `word`, of which eight must be readable.
  @inline(__always)
  func id(of word: UnsafePointer<UInt8>, count: Int) -> Int32? {
    guard count <= Self.longest else { return nil }
    let bytes = UInt64(
      littleEndian: UnsafeRawPointer(word).loadUnaligned(as: UInt64.self))
    let key = bytes & (UInt64.max >> UInt64((8 - count) * 8))
    // A zero byte in the word could make it look like a shorter one, or like a free slot.
    guard key >> UInt64((count - 1) * 8) != 0, key != 0 else { return nil }
    let base = slots.baseAddress.unsafelyUnwrapped
    var slot = place(key)
    while base[slot].key != key {
      if base[slot].key == 0 { return nil }
      slot = (slot &+ 1) & mask
    }
    return base[slot].id
  }
}
