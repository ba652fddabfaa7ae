import Dispatch
import Synchronization

/// A queue of at most `capacity` values between two stages of a pipeline, each on its own thread:
/// the producer waits while it is full, the consumer while it is empty.
package final class BoundedQueue<Value: Sendable>: Sendable {
  private struct State {
    var values: [Value] = []
    var isClosed = false
  }

  private let state = Mutex(State())
  private let free = DispatchSemaphore(value: 0)
  private let filled = DispatchSemaphore(value: 0)

  /// A queue that holds up to `capacity` values.
  package init(capacity: Int) {
    // Counted up from zero: a semaphore that goes below its initial value traps when it is freed,
    // and a queue may be dropped with values in it.
    for _ in 0..<capacity { free.signal() }
  }

  /// Adds a value, waiting for room; false once the queue is closed (the value is dropped).
  package func push(_ value: Value) -> Bool {
    free.wait()
    let accepted = state.withLock { state in
      if !state.isClosed { state.values.append(value) }
      return !state.isClosed
    }
    if accepted { filled.signal() } else { free.signal() }
    return accepted
  }

  /// Takes the oldest value, waiting for one; nil once the queue is closed and empty.
  package func pop() -> Value? {
    filled.wait()
    let value = state.withLock { $0.values.isEmpty ? nil : $0.values.removeFirst() }
    if value == nil { filled.signal() } else { free.signal() }
    return value
  }

  /// Ends the stream: waiting and later `push`es return false, `pop` drains what is left.
  package func close() {
    state.withLock { $0.isClosed = true }
    free.signal()
    filled.signal()
  }
}
