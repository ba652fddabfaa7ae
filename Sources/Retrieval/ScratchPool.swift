import Graph
import Synchronization

/// Search scratches that outlive a call: their visited marks take two bytes a passage, too much to
/// allocate and clear for every query.
final class ScratchPool: Sendable {
  /// A scratch is used by one worker at a time.
  private let idle = Mutex<UncheckedScratches>(UncheckedScratches())

  func take(_ count: Int) -> UncheckedScratches {
    idle.withLock { idle in
      let reused = Array(idle.list.suffix(count))
      idle.list.removeLast(reused.count)
      reused.forEach { $0.resetCounters() }
      return UncheckedScratches(
        list: reused + (reused.count..<count).map { _ in SearchScratch() })
    }
  }

  func put(_ scratches: UncheckedScratches) {
    idle.withLock { $0.list += scratches.list }
  }
}

struct UncheckedScratches: @unchecked Sendable {
  var list: [SearchScratch] = []

  subscript(worker: Int) -> SearchScratch { list[worker] }

  func reduce(_ start: Int, _ add: (Int, SearchScratch) -> Int) -> Int { list.reduce(start, add) }
}
