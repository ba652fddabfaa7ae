import Foundation

// TK reads words, not pieces of them. A word is a run of letters, digits and marks; every other
// character but white space is a token of its own, as are the characters of scripts that are written
// without spaces. Words are lower-cased, character by character, and composed (NFC): what word2vec's
// and GloVe's files hold for most languages.

/// Splits texts into the words of a vocabulary of words.
package enum WordSplitter {
  /// Words are cut at this many UTF-8 bytes: there are texts without a space in megabytes.
  static let longestWord = 255

  /// The first words of a text, `limit` at most, in order.
  package static func words(of text: String, limit: Int = .max) -> [String] {
    var splitter = Splitter(limit: limit)
    for scalar in text.unicodeScalars {
      splitter.take(scalar)
      if splitter.words.count >= limit { break }
    }
    splitter.finish()
    return splitter.words.count > limit ? Array(splitter.words.prefix(limit)) : splitter.words
  }

  private struct Splitter {
    let limit: Int
    var words: [String] = []
    private var word: [UInt8] = []
    private var isASCII = true

    init(limit: Int) { self.limit = limit }

    mutating func take(_ scalar: Unicode.Scalar) {
      if scalar.isASCII {
        let byte = UInt8(truncatingIfNeeded: scalar.value)
        switch byte {
        case 0x61...0x7A, 0x30...0x39: append(byte)
        case 0x41...0x5A: append(byte | 0x20)
        case 0x21...0x7E: takeAlone(scalar)
        // White space; control characters part words like it.
        default: finish()
        }
        return
      }
      switch scalar.properties.generalCategory {
      case .format, .control: break
      case .spaceSeparator, .lineSeparator, .paragraphSeparator: finish()
      case .otherLetter where scalar.isWrittenWithoutSpaces: takeAlone(scalar)
      case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
        .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .letterNumber, .otherNumber:
        append(contentsOf: scalar.properties.lowercaseMapping.utf8)
      default: takeAlone(scalar)
      }
    }

    private mutating func append(_ byte: UInt8) {
      if word.count < longestWord { word.append(byte) }
    }

    private mutating func append(contentsOf bytes: String.UTF8View) {
      isASCII = false
      if word.count + bytes.count <= longestWord { word.append(contentsOf: bytes) }
    }

    private mutating func takeAlone(_ scalar: Unicode.Scalar) {
      finish()
      append(contentsOf: String(scalar).utf8)
      finish()
    }

    mutating func finish() {
      guard !word.isEmpty else { return }
      let text = String(decoding: word, as: UTF8.self)
      words.append(isASCII ? text : text.precomposedStringWithCanonicalMapping)
      word.removeAll(keepingCapacity: true)
      isASCII = true
    }
  }
}

extension Unicode.Scalar {
  /// Ideographs and kana, of which a text is a string without spaces.
  fileprivate var isWrittenWithoutSpaces: Bool {
    switch value {
    case 0x3040...0x30FF, 0x31F0...0x31FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF,
      0x20000...0x323AF:
      true
    default: false
    }
  }
}
