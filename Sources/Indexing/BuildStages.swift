import Foundation
import Platform
import Synchronization

/// How much work each stage of a build was: seconds of its threads, waiting not counted.
public struct BuildStageSeconds: Sendable, Codable, Equatable {
  /// Reading and parsing the corpus, on a thread of its own.
  public var read = 0.0
  /// Texts to token ids.
  public var tokenize = 0.0
  /// Token ids to vectors.
  public var encode = 0.0
  /// Linking vectors into the graph, and writing it.
  public var graph = 0.0
  /// Making blocks durable, and writing vectors and passages.
  public var write = 0.0

  /// The sum of all stages.
  public var total: Double { read + tokenize + encode + graph + write }
}

/// Adds up the stages' seconds from all threads.
final class StageClock: Sendable {
  private let state = Mutex(BuildStageSeconds())

  var seconds: BuildStageSeconds { state.withLock { $0 } }

  /// Counts the time of `body`, which runs on `threads` threads.
  func measure<Result, Failure: Error>(
    _ stage: WritableKeyPath<BuildStageSeconds, Double> & Sendable, threads: Int = 1,
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let start = monotonicSeconds()
    defer { add(stage, (monotonicSeconds() - start) * Double(threads)) }
    return try body()
  }

  func add(_ stage: WritableKeyPath<BuildStageSeconds, Double> & Sendable, _ seconds: Double) {
    state.withLock { $0[keyPath: stage] += seconds }
  }
}

/// Permits to compute: as many as `--threads`, handed out in the order they were asked for, so that
/// no stage of a build starves another.
final class ThreadBudget: Sendable {
  private struct State {
    var free: Int
    var waiting: [DispatchSemaphore] = []
  }

  private let state: Mutex<State>

  init(threads: Int) { state = Mutex(State(free: threads)) }

  func acquire() {
    let turn: DispatchSemaphore? = state.withLock { state in
      if state.free > 0 {
        state.free -= 1
        return nil
      }
      let turn = DispatchSemaphore(value: 0)
      state.waiting.append(turn)
      return turn
    }
    turn?.wait()
  }

  func release() {
    state.withLock { state in
      if state.waiting.isEmpty { state.free += 1 } else { state.waiting.removeFirst().signal() }
    }
  }

  /// Runs `body` with a permit.
  func compute<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    acquire()
    defer { release() }
    return try body()
  }
}

/// Work on a thread of its own, with a stack for deep recursion, that can be waited for.
final class StageTask: Sendable {
  private let ended = DispatchSemaphore(value: 0)

  /// Starts `body`.
  init(_ body: @escaping @Sendable () -> Void) {
    let thread = Thread { [self] in
      body()
      ended.signal()
    }
    thread.stackSize = 8 << 20
    thread.start()
  }

  /// Waits for the end, though no longer than `seconds`.
  func wait(atMost seconds: Double) {
    if ended.wait(timeout: .now() + seconds) == .success { ended.signal() }
  }
}
