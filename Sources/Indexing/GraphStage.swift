import Foundation
import Graph
import Platform
import Store

/// Builds the graph on a thread of its own, over vectors that are still being written.
///
/// While passages are being encoded it computes on one thread, with a permit of the budget; once all
/// vectors are there, on all.
final class GraphStage: Sendable {
  private let supply: VectorSupply
  private let task: StageTask<HNSWBuilder.Output>

  /// Starts building; `progress` is told how many nodes are linked once all vectors are there.
  init(
    _ vectors: GrowingVectors, parameters: HNSWParameters, threads: Int, budget: ThreadBudget,
    clock: StageClock, progress: @escaping @Sendable (Int) -> Void
  ) {
    let supply = VectorSupply(
      vectors, threads: threads, budget: budget, clock: clock, progress: progress)
    self.supply = supply
    task = StageTask { () throws(RetortError) in
      try HNSWBuilder.build(from: supply, parameters: parameters)
    }
  }

  /// Says that `count` vectors are written and flushed; throws where building has failed.
  func add(upTo count: Int) throws(RetortError) {
    if let failure = task.failure { throw failure }
    supply.set(count, isComplete: false)
  }

  /// Says that these are all, and waits for the graph.
  func finish(count: Int) throws(RetortError) -> HNSWBuilder.Output {
    supply.set(count, isComplete: true)
    return try task.value()
  }

  /// Ends building without a graph. A batch that was begun is linked first, unless the user asked to
  /// stop: the vectors' file must not be written anew while somebody reads it.
  func stop() {
    supply.cancel()
    task.wait(atMost: 60)
  }
}

/// Vectors as they become available, for the builder's thread.
private final class VectorSupply: VectorSource, @unchecked Sendable {
  /// Guards what follows it.
  private let condition = NSCondition()
  private var available = 0
  private var isComplete = false
  private var isCancelled = false

  // Used by the builder's thread alone.
  private let vectors: GrowingVectors
  private let threads: Int
  private let budget: ThreadBudget
  private let clock: StageClock
  private let progress: @Sendable (Int) -> Void
  private var started = 0.0
  private var lent = 0
  private var holdsPermit = false

  init(
    _ vectors: GrowingVectors, threads: Int, budget: ThreadBudget, clock: StageClock,
    progress: @escaping @Sendable (Int) -> Void
  ) {
    self.vectors = vectors
    self.threads = threads
    self.budget = budget
    self.clock = clock
    self.progress = progress
  }

  func set(_ count: Int, isComplete: Bool) {
    condition.lock()
    available = count
    self.isComplete = isComplete
    condition.broadcast()
    condition.unlock()
  }

  func cancel() {
    condition.lock()
    isCancelled = true
    condition.broadcast()
    condition.unlock()
  }

  func take(upTo count: Int) throws(RetortError) -> (vectors: VectorSet, threads: Int) {
    condition.lock()
    while available < count, !isComplete, !isCancelled { condition.wait() }
    let (there, all, cancelled) = (available, isComplete, isCancelled)
    condition.unlock()
    if cancelled { throw RetortError(.cancelled, "the build was stopped") }
    let set = try vectors.first(there)
    holdsPermit = !all
    if holdsPermit { budget.acquire() }
    lent = all ? threads : 1
    started = monotonicSeconds()
    return (set, lent)
  }

  func finished(next: Int) {
    clock.add(\.graph, (monotonicSeconds() - started) * Double(lent))
    if holdsPermit { budget.release() } else { progress(next) }
    holdsPermit = false
  }
}
