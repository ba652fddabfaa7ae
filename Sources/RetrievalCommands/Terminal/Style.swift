import Platform

/// Colours of the terminal, or plain text where nobody could see them.
package struct Style: Sendable {
  /// What a piece of text is, not how it looks.
  package enum Role: Sendable {
    /// Headings and the title of a result.
    case strong
    /// Scores, ids, what is beside the point.
    case faint
    /// What matched.
    case accent
    /// Errors.
    case error
  }

  private let isColoured: Bool

  /// Decides by hand.
  package init(isColoured: Bool) { self.isColoured = isColoured }

  /// The style for standard output: colours on a terminal unless `NO_COLOR` is set to anything or
  /// `TERM` is `dumb` or empty.
  package static func standardOutput() -> Style {
    Style(
      isColoured: allowsColour(
        isTerminal: isatty(STDOUT_FILENO) == 1, noColour: environment("NO_COLOR"),
        terminal: environment("TERM")))
  }

  /// The decision by itself. https://no-color.org: an empty `NO_COLOR` does not count.
  package static func allowsColour(isTerminal: Bool, noColour: String?, terminal: String?) -> Bool {
    guard isTerminal, noColour ?? "" == "", let terminal else { return false }
    return !terminal.isEmpty && terminal != "dumb"
  }

  /// `text` in the look of `role`. Text from outside must be `visible` before.
  package func callAsFunction(_ text: String, _ role: Role) -> String {
    guard isColoured, !text.isEmpty else { return text }
    let code =
      switch role {
      case .strong: "1"
      case .faint: "2"
      case .accent: "36"
      case .error: "31"
      }
    return "\u{1B}[\(code)m\(text)\u{1B}[0m"
  }
}

/// The value of an environment variable, or nil.
package func environment(_ name: String) -> String? {
  getenv(name).map { String(cString: $0) }
}
