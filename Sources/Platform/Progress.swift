import Synchronization

/// A progress line on standard error: phase, count, rate and time left, never moving backwards.
///
/// On a terminal one line is redrawn a few times a second; elsewhere a plain line is written every
/// ten seconds. `quiet` writes nothing but warnings.
package final class ProgressReporter: Sendable {
  private struct State {
    var phase = ""
    var unit = ""
    var total: Int?
    var done = 0
    var base = 0
    var started = 0.0
    var shown = -1.0e9
    var lineIsOpen = false
  }

  private let state = Mutex(State())
  private let isTerminal: Bool
  private let quiet: Bool
  private let seconds: @Sendable () -> Double
  private let emit: @Sendable (String) -> Void

  /// Reports to standard error; `quiet` silences everything but warnings.
  package convenience init(quiet: Bool = false) {
    self.init(
      quiet: quiet, isTerminal: isatty(STDERR_FILENO) == 1, seconds: { monotonicSeconds() },
      emit: { text in
        var text = text
        text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
      })
  }

  /// Reports to `emit`, by a clock that tells `seconds`.
  package init(
    quiet: Bool = false, isTerminal: Bool, seconds: @escaping @Sendable () -> Double,
    emit: @escaping @Sendable (String) -> Void
  ) {
    self.quiet = quiet
    self.isTerminal = isTerminal
    self.seconds = seconds
    self.emit = emit
  }

  /// Starts a phase of `total` units (nil: unknown), `done` of which were finished earlier.
  package func begin(_ phase: String, unit: String, total: Int?, done: Int = 0) {
    finishPhase()
    let now = seconds()
    state.withLock {
      $0 = State(phase: phase, unit: unit, total: total, done: done, base: done, started: now)
      // In a log the first line is due after ten seconds, not at once.
      if !isTerminal { $0.shown = now }
    }
  }

  /// Reports that `done` units of the phase are finished; smaller values than before are ignored.
  package func update(_ done: Int) { update(done, estimatedTotal: nil) }

  /// The same where the total is only estimated, and better with every call.
  package func update(_ done: Int, estimatedTotal: Int?) {
    state.withLock { state in
      state.done = max(state.done, done)
      if let estimatedTotal { state.total = max(estimatedTotal, state.done) }
      draw(&state, force: false)
    }
  }

  /// Ends the phase with a closing line.
  package func finishPhase() {
    state.withLock { state in
      guard !state.phase.isEmpty else { return }
      draw(&state, force: true)
      if state.lineIsOpen { emit("\n") }
      state = State()
    }
  }

  /// Writes a line of its own, also when quiet.
  package func warn(_ message: String) { line("warning: " + message, evenIfQuiet: true) }

  /// Writes a line of its own.
  package func note(_ message: String) { line(message, evenIfQuiet: false) }

  private func line(_ message: String, evenIfQuiet: Bool) {
    if quiet, !evenIfQuiet { return }
    state.withLock { state in
      if state.lineIsOpen { emit("\r\u{1B}[K") }
      state.lineIsOpen = false
      emit(message + "\n")
    }
  }

  private func draw(_ state: inout State, force: Bool) {
    guard !quiet, !state.phase.isEmpty else { return }
    let now = seconds()
    guard force || now - state.shown >= (isTerminal ? 0.2 : 10) else { return }
    state.shown = now
    let elapsed = now - state.started
    let fresh = state.done - state.base
    let rate = elapsed > 0 ? Double(fresh) / elapsed : 0
    var text = "\(state.phase): "
    if !force, let total = state.total, total > 0 {
      text += "\(state.done)/\(total) (\(min(100, state.done * 100 / total))%) \(state.unit)"
    } else {
      text += counted(state.done, singular(of: state.unit), state.unit)
    }
    text += ", " + Self.rate(rate) + "/s"
    if force {
      text += ", " + Self.duration(elapsed)
    } else if let total = state.total, rate > 0, total > state.done {
      text += ", " + Self.duration(Double(total - state.done) / rate) + " left"
    }
    emit(isTerminal ? "\r\u{1B}[K" + text : text + "\n")
    state.lineIsOpen = isTerminal
  }

  /// A rate with three digits or so.
  package static func rate(_ value: Double) -> String {
    value >= 100 ? "\(Int(value.rounded()))" : "\((value * 10).rounded() / 10)"
  }

  /// A duration as people say it: `4.2 s`, `3 min 20 s`, `2 h 5 min`.
  package static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e9 else { return "unknown time" }
    if seconds < 60 { return "\((seconds * 10).rounded() / 10) s" }
    let whole = Int(seconds.rounded())
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }
}
