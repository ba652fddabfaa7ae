import Synchronization

/// Whether the user asked the process to stop (Ctrl-C, SIGTERM).
///
/// Long work polls `check()` between small units (well under a second each), leaves its files in a
/// state that can be resumed and throws `.cancelled`, which exits with 130. A second signal ends
/// the process at once, as the default action would.
package enum Interruption {
  private static let flag = Atomic(false)

  /// Installs the handlers. Idempotent. A file that grows beyond a limit of the shell (`ulimit -f`)
  /// is an error like a full disk from then on, and not the end of the process.
  package static func install() {
    signal(SIGXFSZ, SIG_IGN)
    for number in [SIGINT, SIGTERM] {
      signal(number) { number in
        // Only async-signal-safe calls here: an atomic store and re-arming the default action.
        Interruption.flag.store(true, ordering: .relaxed)
        signal(number, SIG_DFL)
      }
    }
  }

  /// True once a signal arrived.
  package static var isRequested: Bool { flag.load(ordering: .relaxed) }

  /// Forgets a signal that was answered (the interactive prompt goes on after Ctrl-C).
  package static func clear() {
    flag.store(false, ordering: .relaxed)
    install()
  }

  /// Throws `.cancelled` once a signal arrived.
  package static func check() throws(RetortError) {
    if isRequested { throw RetortError(.cancelled, "interrupted") }
  }
}
