/// How many columns of a terminal text takes, and how text from outside is made harmless.
package enum Display {
  /// The columns of a character: 0, 1 or 2. Expects text that went through `sanitised`.
  ///
  /// East Asian wide and full-width characters (Unicode Standard Annex 11) and emoji take two
  /// columns, combining marks and format characters none. A character of several scalars is as wide
  /// as its widest, so that a flag or a family of emoji counts once.
  package static func width(_ character: Character) -> Int {
    var widest = 0
    for scalar in character.unicodeScalars {
      // Variation selector 16 asks for the emoji form of what is text otherwise.
      if scalar.value == 0xFE0F { return 2 }
      widest = max(widest, width(scalar))
    }
    return widest
  }

  /// The columns of a text.
  package static func width(_ text: some StringProtocol) -> Int {
    text.reduce(0) { $0 + width($1) }
  }

  private static func width(_ scalar: Unicode.Scalar) -> Int {
    if scalar.value < 0x300 { return scalar.value < 0x20 || scalar.value == 0xAD ? 0 : 1 }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format, .control: return 0
    default: break
    }
    // Vowels and final consonants of Hangul join the syllable before them.
    if (0x1160...0x11FF).contains(scalar.value) { return 0 }
    return scalar.properties.isEmojiPresentation || isWide(scalar.value) ? 2 : 1
  }

  /// The blocks of wide and full-width characters, whole blocks where all but a few are.
  private static func isWide(_ value: UInt32) -> Bool {
    switch value {
    case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF,
      0xA000...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
      0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18DFF, 0x1AFF0...0x1B2FF, 0x1F200...0x1F2FF,
      0x20000...0x3FFFD:
      true
    default: false
    }
  }

  /// `text` without anything that could steer the terminal.
  ///
  /// C0 controls become their pictures (ESC → ␛), which stay readable; C1 controls, line and
  /// paragraph separators and the marks that reverse the direction of writing, with which text can
  /// pose as other text, become U+FFFD. Line ends and tabs are kept where `keepingLines`, else
  /// they become spaces.
  package static func sanitised(_ text: String, keepingLines: Bool = false) -> String {
    // Nearly all text needs nothing.
    if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return text }
    var clean = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x0A, 0x09: clean.append(keepingLines ? scalar : " ")
      case 0x0D: clean.append(" ")
      case 0x00..<0x20: clean.append(Unicode.Scalar(0x2400 + scalar.value) ?? "\u{FFFD}")
      case 0x7F: clean.append("\u{2421}")
      case 0x80...0x9F, 0x2028, 0x2029, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069, 0x061C,
        0xFFF9...0xFFFB, 0xE0000...0xE0FFF:
        clean.append("\u{FFFD}")
      default: clean.append(scalar)
      }
    }
    return String(clean)
  }
}
