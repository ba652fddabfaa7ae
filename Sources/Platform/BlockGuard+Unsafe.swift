import Synchronization

/// Verifies blocks of mapped data once, on first touch, and remembers which were good.
///
/// The fast path is one byte load; concurrent first touches may verify a block twice, which is
/// harmless. A block that fails stays unverified, so every later touch fails again. Where memory is
/// bounded, a block is counted when it is touched, and again after its pages were given back.
package final class BlockGuard: @unchecked Sendable {
  /// 0: never verified; 1: good; 2: good, but not mapped so far, or its pages were given back.
  @usableFromInline let flags: UnsafeMutablePointer<Atomic<UInt8>>
  /// The number of blocks.
  package let count: Int
  private let budget: MemoryBudget?
  private let blockLength: Int
  private let verify: @Sendable (Int) throws(RetortError) -> Void

  /// Guards `count` blocks of `blockLength` bytes; `verify` throws for a damaged one.
  package init(
    count: Int, blockLength: Int = 0, budget: MemoryBudget? = nil,
    verify: @escaping @Sendable (Int) throws(RetortError) -> Void
  ) {
    self.count = count
    self.blockLength = blockLength
    self.budget = budget
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
    if flags[block].load(ordering: .acquiring) != 1 { try check(block) }
  }

  /// The same for a reader that does not go through the mapping, of a block whose `verify` does not
  /// either: nothing is counted.
  @inlinable
  package func ensureVerified(_ block: Int) throws(RetortError) {
    if !isVerified(block) { try checkUnmapped(block) }
  }

  /// Whether block `block` is known to be good.
  @inlinable
  package func isVerified(_ block: Int) -> Bool { flags[block].load(ordering: .acquiring) != 0 }

  /// Has every block counted again when it is next touched.
  package func recount() {
    for block in 0..<count {
      _ = flags[block].compareExchange(expected: 1, desired: 2, ordering: .acquiringAndReleasing)
    }
  }

  @usableFromInline
  func checkUnmapped(_ block: Int) throws(RetortError) {
    try verify(block)
    _ = flags[block].compareExchange(expected: 0, desired: 2, ordering: .acquiringAndReleasing)
  }

  @usableFromInline
  func check(_ block: Int) throws(RetortError) {
    if flags[block].load(ordering: .acquiring) == 0 { try verify(block) }
    guard let budget else { return flags[block].store(1, ordering: .releasing) }
    budget.count(mapped: blockLength) { flags[block].store(1, ordering: .releasing) }
  }
}
