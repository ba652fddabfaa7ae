import Foundation
import Platform
import Synchronization
import Testing

@Suite struct BoundedQueueTests {
  @Test func `values come out in order and never more than the capacity wait`() {
    let queue = BoundedQueue<Int>(capacity: 3)
    let ahead = Atomic(0)
    let highest = Atomic(0)
    let producer = Thread {
      for value in 0..<1000 {
        guard queue.push(value) else { break }
        highest.max(ahead.wrappingAdd(1, ordering: .relaxed).newValue, ordering: .relaxed)
      }
      queue.close()
    }
    producer.start()
    var taken: [Int] = []
    while let value = queue.pop() {
      ahead.wrappingSubtract(1, ordering: .relaxed)
      taken.append(value)
    }
    #expect(taken == Array(0..<1000))
    #expect(highest.load(ordering: .relaxed) <= 4, "3 in the queue and 1 in the consumer's hand")
  }

  @Test(.timeLimit(.minutes(1)))
  func `closing wakes a producer that waits for room`() {
    let queue = BoundedQueue<Int>(capacity: 1)
    #expect(queue.push(1))
    let refused = DispatchSemaphore(value: 0)
    for _ in 0..<2 {
      Thread { if !queue.push(2) { refused.signal() } }.start()
    }
    usleep(20_000)
    queue.close()
    for _ in 0..<2 { #expect(refused.wait(timeout: .now() + 10) == .success) }
    #expect(queue.pop() == 1)
    #expect(queue.pop() == nil)
    #expect(!queue.push(3))
  }

  @Test(.timeLimit(.minutes(1)))
  func `closing wakes all consumers that wait for a value`() {
    let queue = BoundedQueue<Int>(capacity: 1)
    let ended = DispatchSemaphore(value: 0)
    for _ in 0..<3 { Thread { if queue.pop() == nil { ended.signal() } }.start() }
    usleep(20_000)
    queue.close()
    for _ in 0..<3 { #expect(ended.wait(timeout: .now() + 10) == .success) }
  }

  @Test func `a queue may be dropped with values in it`() {
    weak var dropped: BoundedQueue<Int>?
    do {
      let queue = BoundedQueue<Int>(capacity: 4)
      dropped = queue
      #expect(queue.push(1) && queue.push(2) && queue.push(3))
    }
    #expect(dropped == nil)
  }
}

@Suite struct ParallelTests {
  @Test(arguments: [1, 2, 3, 8])
  func `every item runs once, with a worker number that no other item has meanwhile`(threads: Int) {
    let counts = Mutex([Int](repeating: 0, count: 500))
    let busy = Mutex(Set<Int>())
    let clashes = Atomic(0)
    parallelFor(500, threads: threads) { item, worker in
      if !busy.withLock({ $0.insert(worker).inserted }) || worker >= threads {
        clashes.wrappingAdd(1, ordering: .relaxed)
      }
      counts.withLock { $0[item] += 1 }
      busy.withLock { _ = $0.remove(worker) }
    }
    #expect(counts.withLock { $0 } == [Int](repeating: 1, count: 500))
    #expect(clashes.load(ordering: .relaxed) == 0)
  }

  @Test func `no items, no calls`() {
    parallelFor(0, threads: 4) { _, _ in Issue.record("called") }
  }

  @Test(arguments: [1, 2, 4])
  func `the error of the lowest failing item is thrown, however fast a later one fails`(
    threads: Int
  ) {
    for seed in 0..<40 as Range<UInt64> {
      var random = SplitMix64(seed: seed)
      let first = Int(random.next() % 200)
      let failing = Set([first] + (0..<20).map { _ in first + Int(random.next() % 50) })
      let error = #expect(throws: RetortError.self, "seed \(seed)") {
        try parallelForThrowing(300, threads: threads) { item, _ throws(RetortError) in
          // The first failure is slow: the later ones are known before it.
          if item == first { usleep(500) }
          if failing.contains(item) { throw RetortError(.badData, "item \(item)") }
        }
      }
      #expect(error?.message == "item \(first)", "seed \(seed)")
    }
  }

  @Test func `later items do not start after a failure`() {
    let highest = Atomic(0)
    #expect(throws: RetortError.self) {
      try parallelForThrowing(1_000_000, threads: 2) { item, _ throws(RetortError) in
        highest.max(item, ordering: .relaxed)
        throw RetortError(.io, "stop")
      }
    }
    #expect(highest.load(ordering: .relaxed) < 100)
  }

  @Test func `results keep the order of the items`() {
    let results = OrderedResults<Int>(count: 100)
    parallelFor(100, threads: 4) { item, _ in results.set(99 - item, (99 - item) * 2) }
    #expect(results.values == (0..<100).map { $0 * 2 })
  }
}

@Suite struct InterruptionTests {
  @Test func `a signal makes the next check throw, and the error exits with 130`() async {
    await #expect(processExitsWith: .exitCode(130)) {
      Interruption.install()
      try Interruption.check()
      deliver(SIGINT)
      do throws(RetortError) {
        try Interruption.check()
      } catch {
        exit(error.exitCode)
      }
    }
  }

  @Test func `SIGTERM counts too, and after clear work goes on`() async {
    await #expect(processExitsWith: .exitCode(0)) {
      Interruption.install()
      deliver(SIGTERM)
      guard Interruption.isRequested else { exit(1) }
      Interruption.clear()
      try Interruption.check()
      deliver(SIGTERM)
      exit(Interruption.isRequested ? 0 : 2)
    }
  }

  @Test func `a second signal ends the process at once`() async {
    await #expect(processExitsWith: .signal(SIGINT)) {
      Interruption.install()
      deliver(SIGINT)
      deliver(SIGINT)
    }
  }
}

/// Sends this thread a signal, which worker threads hold back unless told otherwise.
private func deliver(_ signal: Int32) {
  var signals = sigset_t()
  sigemptyset(&signals)
  sigaddset(&signals, signal)
  pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  raise(signal)
}
