import Synchronization

// How an index keeps within a limit of memory
//
// Two kinds of memory are counted. Blocks of mapped files, as their checksums are laid out, from
// when they are touched: `BlockGuard` tells. And what was decoded from compressed blocks: the caches
// tell. When the sum would exceed the limit, all mapped pages are given back to the system at once,
// which costs little, as pages that are still in the system's own cache come back without a read;
// what is decoded is dropped only when it alone exceeds three quarters of the limit, as decoding is
// dear. Dropping everything needs no bookkeeping for each block, and leaves nothing behind that
// somebody touched without being counted.
//
// Readers hold plain pointers into decoded blocks. They pin an epoch before they take the first;
// what is dropped belongs to the epoch of that moment, and epochs hold on to their successors: it is
// freed when the last reader that may have seen it lets go.

/// Bounds the memory that the data of one index takes; shared by all its files.
package final class MemoryBudget: Sendable {
  /// Bytes.
  package let limit: Int

  /// A moment between two drops; see above.
  package final class Epoch: @unchecked Sendable {
    // Written once, under the budget's lock, before any reader can ask for it.
    fileprivate var next: Epoch?
    fileprivate var dropped: [AnyObject] = []

    // A long chain is let go in a loop: each epoch within the one before would fill the stack.
    deinit {
      var following = next
      next = nil
      while isKnownUniquelyReferenced(&following) {
        let after = following?.next
        following?.next = nil
        following = after
      }
    }
  }

  private struct State {
    var mapped = 0
    var decoded = 0
    var epoch = Epoch()
    var mappings: [@Sendable () -> Void] = []
    var caches: [@Sendable () -> AnyObject?] = []
    var givenBack = 0
    var drops = 0
  }

  private let state = Mutex(State())

  /// A budget of `limit` bytes.
  package init(limit: Int) { self.limit = limit }

  /// Bytes that are counted now, and how often mapped pages were given back and caches dropped.
  package var use: (mapped: Int, decoded: Int, givenBack: Int, drops: Int) {
    state.withLock { ($0.mapped, $0.decoded, $0.givenBack, $0.drops) }
  }

  /// Adds a mapped file: `giveBack` lets its pages go and has all its blocks counted anew when they
  /// are touched again. It is called under the budget's lock.
  package func add(mapping giveBack: @escaping @Sendable () -> Void) {
    state.withLock { $0.mappings.append(giveBack) }
  }

  /// Adds a cache: `drop` empties it and returns what readers may still look at.
  package func add(cache drop: @escaping @Sendable () -> AnyObject?) {
    state.withLock { $0.caches.append(drop) }
  }

  /// Counts a block of a mapped file; `publish` makes readers pass it by from now on.
  func count(mapped bytes: Int, _ publish: () -> Void) {
    state.withLock { state in
      if state.mapped + state.decoded + bytes > limit, state.mapped > 0 { giveBack(&state) }
      state.mapped += bytes
      publish()
    }
  }

  /// Counts a block that is about to be decoded into a cache, dropping all caches first where it would
  /// be too much. Call it without a lock that a cache's drop takes.
  package func count(decoded bytes: Int) {
    let drops: [@Sendable () -> AnyObject?] = state.withLock { state in
      if state.mapped + state.decoded + bytes > limit, state.mapped > 0 { giveBack(&state) }
      let isTooMuch = state.decoded > 0 && state.decoded + bytes > limit / 4 * 3
      state.decoded = isTooMuch ? bytes : state.decoded + bytes
      if isTooMuch { state.drops += 1 }
      return isTooMuch ? state.caches : []
    }
    guard !drops.isEmpty else { return }
    // First out of the tables, then into the epoch: who pins after this cannot find them any more.
    let dropped = drops.compactMap { $0() }
    state.withLock { state in
      let next = Epoch()
      state.epoch.dropped += dropped
      state.epoch.next = next
      state.epoch = next
    }
  }

  /// Takes back `count(decoded:)` of a block that another thread had decoded meanwhile.
  package func uncount(decoded bytes: Int) {
    state.withLock { $0.decoded = max(0, $0.decoded - bytes) }
  }

  /// What readers hold while they look at decoded blocks.
  package func pin() -> Epoch { state.withLock { $0.epoch } }

  /// Forgets all files and caches, which hold on to the budget as it does to them.
  package func close() {
    state.withLock { state in
      state.mappings = []
      state.caches = []
    }
  }

  private func giveBack(_ state: inout State) {
    for giveBack in state.mappings { giveBack() }
    state.mapped = 0
    state.givenBack += 1
  }
}
