import Platform

/// The vector of each node, in memory or in a mapped file: numbers of as few bits as the largest
/// needs, one after the other from the lowest bit of the first byte up, and 8 bytes of zeros.
package struct NodeMap: @unchecked Sendable {
  private let base: UnsafeRawPointer
  /// The number of nodes.
  package let count: Int
  private let bits: Int
  private let guardian: BlockGuard?
  private let blockShift: Int
  private let owner: AnyObject

  /// Zeros at the end, so that every number can be read as part of 8 bytes.
  private static let padding = 8

  /// A view of packed numbers that `owner` keeps alive, `length(count:)` bytes; a block of the guardian
  /// holds 2^`blockShift` bytes.
  package init(
    base: UnsafeRawPointer, count: Int, guardian: BlockGuard, blockShift: Int, owner: AnyObject
  ) {
    self.base = base
    self.count = count
    bits = Self.bits(count: count)
    self.guardian = guardian
    self.blockShift = blockShift
    self.owner = owner
  }

  /// The numbers of an array, each below its length.
  package init(_ ids: [UInt32]) {
    let storage = Storage(Self.packed(ids))
    base = UnsafeRawPointer(storage.base)
    count = ids.count
    bits = Self.bits(count: ids.count)
    guardian = nil
    blockShift = 0
    owner = storage
  }

  private static func bits(count: Int) -> Int {
    max(1, Int.bitWidth - max(count - 1, 0).leadingZeroBitCount)
  }

  /// Bytes that `count` numbers take.
  package static func length(count: Int) -> Int { (count * bits(count: count) + 7) / 8 + padding }

  /// `ids` as bytes; bits beyond what numbers below their count need are lost.
  package static func packed(_ ids: [UInt32]) -> [UInt8] {
    let bits = bits(count: ids.count)
    let mask: UInt64 = (1 << UInt64(bits)) - 1
    var bytes = [UInt8](repeating: 0, count: length(count: ids.count))
    bytes.withUnsafeMutableBytes { bytes in
      for (node, id) in ids.enumerated() {
        let (byte, shift) = (node * bits / 8, UInt64(node * bits % 8))
        let old = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: byte, as: UInt64.self))
        bytes.storeBytes(
          of: (old | (UInt64(id) & mask) << shift).littleEndian, toByteOffset: byte,
          as: UInt64.self)
      }
    }
    return bytes
  }

  /// The vector of `node`, which must be below `count`.
  @inline(__always)
  package func vector(_ node: UInt32) throws(RetortError) -> UInt32 {
    let place = Int(node) * bits
    let byte = place / 8
    if let guardian {
      try guardian.ensure(byte >> blockShift)
      try guardian.ensure((byte + 7) >> blockShift)
    }
    let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: byte, as: UInt64.self))
    let mask: UInt64 = (1 << UInt64(bits)) - 1
    let id = UInt32((word >> UInt64(place % 8)) & mask)
    guard id < count else {
      throw RetortError(
        .badData,
        "the graph says that node \(node) is vector \(id) of \(count); build the index again")
    }
    return id
  }

  private final class Storage {
    let base: UnsafeMutablePointer<UInt8>

    init(_ bytes: [UInt8]) {
      base = .allocate(capacity: bytes.count)
      base.initialize(repeating: 0, count: bytes.count)
      for (place, byte) in bytes.enumerated() { base[place] = byte }
    }

    deinit { base.deallocate() }
  }
}
