import Dispatch
import Synchronization

/// Runs `body(item, worker)` for every item of `0..<count` on at most `threads` threads.
///
/// Items are handed out one at a time, so their order of execution is unspecified: for results
/// that do not depend on the thread count, an item must write only what it alone owns. `worker` is
/// in `0..<threads` and unique among concurrent calls, for per-worker scratch.
package func parallelFor(
  _ count: Int, threads: Int, _ body: @Sendable (_ item: Int, _ worker: Int) -> Void
) {
  let workers = min(max(threads, 1), count)
  guard workers > 1 else {
    for item in 0..<count { body(item, 0) }
    return
  }
  let next = Atomic(0)
  DispatchQueue.concurrentPerform(iterations: workers) { worker in
    while true {
      let item = next.wrappingAdd(1, ordering: .relaxed).oldValue
      if item >= count { return }
      body(item, worker)
    }
  }
}

/// Like `parallelFor`, for bodies that fail: the error of the lowest failing item is thrown.
///
/// After a failure no later items start; earlier ones are still run, so that the error does not
/// depend on which thread was faster.
package func parallelForThrowing(
  _ count: Int, threads: Int,
  _ body: @Sendable (_ item: Int, _ worker: Int) throws(RetortError) -> Void
) throws(RetortError) {
  let failure = Mutex<(item: Int, error: RetortError)?>(nil)
  let lowestFailed = Atomic(Int.max)
  parallelFor(count, threads: threads) { item, worker in
    if item > lowestFailed.load(ordering: .relaxed) { return }
    do throws(RetortError) {
      try body(item, worker)
    } catch {
      lowestFailed.min(item, ordering: .relaxed)
      failure.withLock { stored in
        if let known = stored, known.item <= item { return }
        stored = (item, error)
      }
    }
  }
  if let stored = failure.withLock({ $0 }) { throw stored.error }
}
