import CommandSupport
import Platform

/// Breaks text into lines of a terminal's width, between words where it can.
package struct TextWrapper: Sendable {
  /// Columns of a line, indentation included.
  package let width: Int
  /// Put before every line.
  package let indent: String

  /// A wrapper for lines of `width` columns, at least a few of them beside the indentation.
  package init(width: Int, indent: String = "") {
    self.indent = indent
    self.width = max(width, Display.width(indent) + 8)
  }

  /// The lines of `text`, made harmless for a terminal and without trailing spaces.
  ///
  /// Runs of white space count as one space, so that a passage's own line ends do not matter. Words
  /// wider than a line are split; words of scripts without spaces (Chinese, Japanese) break
  /// between any two characters of double width.
  package func lines(of text: String) -> [String] {
    let room = width - Display.width(indent)
    var lines: [String] = []
    var line = ""
    var used = 0
    for word in Display.sanitised(text).split(whereSeparator: \.isWhitespace) {
      var gap = line.isEmpty ? 0 : 1
      for piece in Self.pieces(of: word, room: room) {
        if used + gap + piece.width > room, !line.isEmpty {
          lines.append(indent + line)
          (line, used, gap) = ("", 0, 0)
        }
        line += (gap == 1 ? " " : "") + piece.text
        used += gap + piece.width
        gap = 0
      }
    }
    if !line.isEmpty { lines.append(indent + line) }
    return lines
  }

  /// The first `limit` lines, the last of them ending in an ellipsis where something is missing.
  package func lines(of text: String, limit: Int) -> [String] {
    var lines = lines(of: text)
    guard lines.count > limit, limit > 0 else { return lines }
    lines.removeLast(lines.count - limit)
    var last = lines.removeLast()
    if Display.width(last) > width - 2 {
      while Display.width(last) > width - 2 { last.removeLast() }
      // Back to the end of a whole word, unless the line is a single one.
      if let space = last.dropFirst(indent.count).lastIndex(of: " ") {
        last = String(last[..<space])
      }
    }
    return lines + [last + " …"]
  }

  /// A word's parts between which a line may end, none wider than `room`.
  private static func pieces(
    of word: Substring, room: Int
  ) -> [(text: String, width: Int)] {
    var pieces: [(text: String, width: Int)] = []
    var piece = ""
    var used = 0
    var endsWide = false
    for character in word {
      let columns = Display.width(character)
      let breaks = endsWide || columns == 2
      if !piece.isEmpty, columns > 0, breaks || used + columns > room {
        pieces.append((piece, used))
        (piece, used) = ("", 0)
      }
      piece.append(character)
      used += columns
      if columns > 0 { endsWide = columns == 2 }
    }
    if !piece.isEmpty { pieces.append((piece, used)) }
    return pieces
  }

  /// Columns of the terminal behind standard output, else `COLUMNS`, else 80.
  package static func terminalWidth() -> Int {
    var size = winsize()
    if ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 {
      return Int(size.ws_col)
    }
    if let columns = environment("COLUMNS").flatMap({ Int(decimal: $0) }),
      (1...10_000).contains(columns)
    {
      return columns
    }
    return 80
  }
}
