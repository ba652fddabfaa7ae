@preconcurrency import CEdit
import Platform

/// What came from the person, or the file, on standard input.
package enum LineEvent: Equatable, Sendable {
  /// A line without its end.
  case line(String)
  /// Ctrl-C: the line was thrown away, the prompt goes on.
  case interrupted
  /// Ctrl-D on an empty line, or the end of the file.
  case endOfInput
}

/// Reads lines: with editing and history on a terminal, plainly and without a prompt elsewhere.
///
/// The prompt goes to standard error, so that standard output holds results alone. The history
/// outlives the process in `$XDG_STATE_HOME/retort` (else `~/.local/state/retort`), readable by its
/// owner only. libedit keeps its state in global variables: one editor per process, on one thread.
package final class LineEditor {
  /// More lines than this are forgotten, the oldest first.
  package static let historyLimit = 1000
  private let prompt: String
  private let historyPath: String?
  private let isInteractive: Bool
  private var reader = PlainLineReader(descriptor: STDIN_FILENO)
  private var lastLine: String?

  /// An editor; `historyName` names the history file, nil keeps none.
  package init(prompt: String, historyName: String?) {
    self.prompt = prompt
    isInteractive = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1
    historyPath = historyName.flatMap { Self.historyFile($0) }
    guard isInteractive else { return }
    Self.useUTF8()
    rl_readline_name = UnsafePointer(strdup("retort"))
    rl_outstream = fdopen(dup(STDERR_FILENO), "w")
    // Set before libedit starts: it looks once.
    rl_getc_function = { _ in TerminalInput.nextScalar() }
    rl_initialize()
    rl_inhibit_completion = 1
    using_history()
    stifle_history(Int32(Self.historyLimit))
    if let historyPath { read_history(historyPath) }
  }

  /// The next line. Blocks; a signal is answered within a fraction of a second.
  ///
  /// - Throws: `.badData` for a line of standard input that is not UTF-8, `.limitExceeded` for one
  ///   of more than a megabyte, `.cancelled` where a signal arrives and there is no prompt to go
  ///   back to.
  package func readLine() throws(RetortError) -> LineEvent {
    guard isInteractive else { return try reader.next() }
    // At the prompt nothing is under way: SIGTERM ends the process, once libedit has put the
    // terminal in order.
    signal(SIGTERM, SIG_DFL)
    TerminalInput.reset()
    guard let pointer = readline(prompt) else {
      guard Interruption.isRequested else {
        newLine()
        return .endOfInput
      }
      Interruption.clear()
      newLine()
      return .interrupted
    }
    defer { free(pointer) }
    let line = String(cString: pointer)
    // An interruption ends libedit's loop, which then hands out what was typed so far.
    if Interruption.isRequested {
      Interruption.clear()
      newLine()
      return .interrupted
    }
    remember(line)
    return .line(line)
  }

  private func newLine() {
    var end = UInt8(ascii: "\n")
    _ = write(STDERR_FILENO, &end, 1)
  }

  private func remember(_ line: String) {
    guard line.contains(where: { !$0.isWhitespace }), line != lastLine else { return }
    lastLine = line
    add_history(line)
    guard let historyPath else { return }
    // A history that cannot be written is not worth an error in the middle of a search.
    let descriptor = open(historyPath, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return }
    fchmod(descriptor, 0o600)
    close(descriptor)
    write_history(historyPath)
  }

  /// The path of a history file, its folder made; nil where there is no home.
  private static func historyFile(_ name: String) -> String? {
    let state: String
    if let shared = environment("XDG_STATE_HOME"), shared.hasPrefix("/") {
      state = shared
    } else if let home = environment("HOME"), !home.isEmpty {
      state = home + "/.local/state"
    } else {
      return nil
    }
    let folder = state + "/retort"
    guard (try? FileSystem.makeFolder(folder)) != nil else { return nil }
    return folder + "/" + name
  }

  /// Makes libedit speak UTF-8, also where no locale is configured, as in containers.
  private static func useUTF8() {
    setlocale(LC_CTYPE, "")
    let codeset = nl_langinfo(nl_item(CODESET)).map { String(cString: $0) } ?? ""
    if codeset.uppercased() != "UTF-8" { setlocale(LC_CTYPE, "C.UTF-8") }
  }
}
