import Platform

/// The vector of each node, in memory or in a mapped file.
package struct NodeMap: @unchecked Sendable {
  private let base: UnsafePointer<UInt32>
  /// The number of nodes.
  package let count: Int
  private let guardian: BlockGuard?
  private let blockShift: Int
  private let owner: AnyObject

  /// A view of little-endian numbers that `owner` keeps alive; a block of the guardian holds
  /// 2^`blockShift` of them.
  package init(
    base: UnsafePointer<UInt32>, count: Int, guardian: BlockGuard, blockShift: Int,
    owner: AnyObject
  ) {
    self.base = base
    self.count = count
    self.guardian = guardian
    self.blockShift = blockShift
    self.owner = owner
  }

  /// The numbers of an array.
  package init(_ ids: [UInt32]) {
    let storage = Storage(ids)
    base = UnsafePointer(storage.base)
    count = ids.count
    guardian = nil
    blockShift = 0
    owner = storage
  }

  /// The vector of `node`, which must be below `count`.
  @inline(__always)
  package func vector(_ node: UInt32) throws(RetortError) -> UInt32 {
    guard let guardian else { return base[Int(node)] }
    try guardian.ensure(Int(node) >> blockShift)
    let id = UInt32(littleEndian: base[Int(node)])
    guard id < count else {
      throw RetortError(
        .badData,
        "the graph says that node \(node) is vector \(id) of \(count); build the index again")
    }
    return id
  }

  private final class Storage {
    let base: UnsafeMutablePointer<UInt32>

    init(_ ids: [UInt32]) {
      base = .allocate(capacity: max(ids.count, 1))
      for (i, id) in ids.enumerated() { base[i] = id }
    }

    deinit { base.deallocate() }
  }
}
