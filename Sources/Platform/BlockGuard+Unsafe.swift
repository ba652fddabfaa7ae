import Synchronization

/// Verifies blocks of mapped data once, on first touch, and remembers which were good.
///
/// The fast path is one byte load; concurrent first touches may verify a block twice, which is
/// harmless. A block that fails stays unverified, so every later touch fails again.
package final class BlockGuard: @unchecked Sendable {
  @usableFromInline let flags: UnsafeMutablePointer<Atomic<UInt8>>
  /// The number of blocks.
  package let count: Int
  private let verify: @Sendable (Int) throws(RetortError) -> Void

  /// Guards `count` blocks; `verify` throws for a damaged one.
  package init(count: Int, verify: @escaping @Sendable (Int) throws(RetortError) -> Void) {
    self.count = count
    self.verify = verify
    flags = .allocate(capacity: max(count, 1))
    for block in 0..<count { (flags + block).initialize(to: Atomic(0)) }
  }

  deinit {
    flags.deinitialize(count: count)
    flags.deallocate()
  }

  /// Returns once block `block` is known to be good, or throws.
  @inlinable
  package func ensure(_ block: Int) throws(RetortError) {
    if flags[block].load(ordering: .acquiring) == 0 { try check(block) }
  }

  @usableFromInline
  func check(_ block: Int) throws(RetortError) {
    try verify(block)
    flags[block].store(1, ordering: .releasing)
  }
}
