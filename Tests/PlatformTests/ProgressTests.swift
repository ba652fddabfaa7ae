import Platform
import Synchronization
import Testing

/// A reporter whose time is set by hand and whose lines are kept.
private final class Stage: Sendable {
  private let now = Mutex(100.0)
  private let written = Mutex<[String]>([])

  /// What was written since the last time.
  func lines() -> [String] {
    written.withLock { lines in
      defer { lines = [] }
      return lines
    }
  }

  func wait(_ seconds: Double) { now.withLock { $0 += seconds } }

  func reporter(quiet: Bool = false, isTerminal: Bool = true) -> ProgressReporter {
    ProgressReporter(
      quiet: quiet, isTerminal: isTerminal, seconds: { self.now.withLock { $0 } },
      emit: { text in self.written.withLock { $0.append(text) } })
  }
}

@Suite struct ProgressTests {
  /// Goes to the start of a terminal's line and clears it.
  private static let clear = "\r\u{1B}[K"

  @Test func `a line has phase, count, rate and what is left`() {
    let stage = Stage()
    let progress = stage.reporter()
    progress.begin("encode", unit: "passages", total: 1000)
    stage.wait(2)
    progress.update(100)
    #expect(
      stage.lines() == [Self.clear + "encode: 100/1000 (10%) passages, 50.0/s, 18.0 s left"])
    stage.wait(0.125)
    progress.update(150)
    #expect(stage.lines().isEmpty, "the line is drawn a few times a second, not more")
    stage.wait(1.875)
    progress.update(400)
    #expect(
      stage.lines() == [Self.clear + "encode: 400/1000 (40%) passages, 100/s, 6.0 s left"])
    stage.wait(1)
    progress.update(1000)
    #expect(stage.lines() == [Self.clear + "encode: 1000/1000 (100%) passages, 200/s"])
    progress.finishPhase()
    #expect(stage.lines() == [Self.clear + "encode: 1000 passages, 200/s, 5.0 s", "\n"])
    progress.finishPhase()
    #expect(stage.lines().isEmpty)
  }

  @Test func `the line never moves backwards`() {
    let stage = Stage()
    let progress = stage.reporter()
    progress.begin("link", unit: "vectors", total: 500)
    var random = SplitMix64(seed: 5)
    var highest = 0
    for _ in 0..<300 {
      let done = Int(random.next() % 501)
      highest = max(highest, done)
      stage.wait(1)
      progress.update(done)
      let line = stage.lines().joined()
      #expect(line.hasPrefix(Self.clear + "link: \(highest)/500 (\(highest / 5)%) vectors, "))
    }
    progress.finishPhase()
    #expect(stage.lines().joined().contains("link: \(highest) vectors, "))
  }

  @Test func `what was done before a resumed start is not part of the rate`() {
    let stage = Stage()
    let progress = stage.reporter()
    progress.begin("encode", unit: "passages", total: 1000, done: 600)
    progress.update(600)
    #expect(stage.lines() == [Self.clear + "encode: 600/1000 (60%) passages, 0.0/s"])
    stage.wait(10)
    progress.update(700)
    #expect(
      stage.lines() == [Self.clear + "encode: 700/1000 (70%) passages, 10.0/s, 30.0 s left"])
    stage.wait(10)
    progress.update(1000)
    progress.finishPhase()
    let closing = Self.clear + "encode: 1000 passages, 20.0/s, 20.0 s"
    #expect(stage.lines().suffix(2) == [closing, "\n"])
  }

  @Test func `quiet keeps warnings and nothing else`() {
    for isTerminal in [false, true] {
      let stage = Stage()
      let progress = stage.reporter(quiet: true, isTerminal: isTerminal)
      progress.begin("encode", unit: "passages", total: 10)
      stage.wait(60)
      progress.update(5)
      progress.note("five are done")
      progress.warn("one was cut")
      stage.wait(60)
      progress.update(10)
      progress.finishPhase()
      #expect(stage.lines() == ["warning: one was cut\n"])
    }
  }

  @Test func `a log has plain lines, ten seconds apart`() {
    let stage = Stage()
    let progress = stage.reporter(isTerminal: false)
    progress.begin("read", unit: "queries", total: nil)
    for second in 1...25 {
      stage.wait(1)
      progress.update(second)
      let line = "read: \(second) queries, 1.0/s\n"
      #expect(stage.lines() == (second % 10 == 0 ? [line] : []))
    }
    progress.note("a note")
    progress.finishPhase()
    #expect(stage.lines() == ["a note\n", "read: 25 queries, 1.0/s, 25.0 s\n"])
  }

  @Test func `a message takes the place of the line, which comes back below it`() {
    let stage = Stage()
    let progress = stage.reporter()
    progress.begin("read", unit: "queries", total: 4)
    stage.wait(1)
    progress.update(1)
    #expect(stage.lines() == [Self.clear + "read: 1/4 (25%) queries, 1.0/s, 3.0 s left"])
    progress.warn("a bad line")
    #expect(stage.lines() == [Self.clear, "warning: a bad line\n"])
    stage.wait(1)
    progress.update(2)
    #expect(stage.lines() == [Self.clear + "read: 2/4 (50%) queries, 1.0/s, 2.0 s left"])
    progress.begin("search", unit: "queries", total: 4)
    #expect(stage.lines() == [Self.clear + "read: 2 queries, 1.0/s, 2.0 s", "\n"])
  }

  @Test func `an estimated total follows the estimate and never lies below what is done`() {
    let stage = Stage()
    let progress = stage.reporter()
    progress.begin("encode", unit: "passages", total: nil)
    stage.wait(1)
    progress.update(10, estimatedTotal: 40)
    #expect(stage.lines() == [Self.clear + "encode: 10/40 (25%) passages, 10.0/s, 3.0 s left"])
    stage.wait(1)
    progress.update(20, estimatedTotal: 15)
    #expect(stage.lines() == [Self.clear + "encode: 20/20 (100%) passages, 10.0/s"])
  }
}
