import Foundation
import Platform

// From text to terms: words are maximal runs of letters, digits and marks; they are lower-cased,
// brought to one form (NFKD, without the accents U+0300 to U+036F, then NFC: "Café" and "cafe" are
// one), freed of stop words and stemmed. Han and kana, which are written without spaces, are a term
// a character. Texts of ASCII letters and digits never see Foundation.

/// Turns texts into terms, as `LexicalSettings` say.
package struct Analyzer: Sendable {
  /// The settings.
  package let settings: LexicalSettings
  private let stopWords: Set<String>
  private let longestStopWord: Int

  /// Terms are cut at this many UTF-8 bytes: there are texts without a space in megabytes.
  static let longestTerm = 255

  /// An analyzer for texts and queries alike.
  package init(_ settings: LexicalSettings) {
    self.settings = settings
    stopWords = settings.stopWords == .english ? Self.englishStopWords : []
    longestStopWord = stopWords.map(\.utf8.count).max() ?? 0
  }

  private static let englishStopWords = Set(
    """
    a an and are as at be by for from has he in is it its of on that the to was were will with or
    not but this they their there these those which what who whom how when where why do does did
    can could should would
    """.split(whereSeparator: \.isWhitespace).map(String.init))

  /// The terms of a text, in order, repetitions included.
  package func terms(of text: some Sequence<UInt8>) -> [String] {
    var terms: [String] = []
    forEachTerm(of: text) { terms.append($0) }
    return terms
  }

  /// Calls `body` with the terms of a text given as UTF-8, in order.
  package func forEachTerm(of text: some Sequence<UInt8>, _ body: (String) -> Void) {
    var word: [UInt8] = []
    var foreign: [UInt8] = []
    for byte in text {
      switch byte {
      case 0x80...:
        foreign.append(byte)
        continue
      case _ where !foreign.isEmpty:
        // What is not ASCII is decided on as a whole, together with the letters before it.
        takeForeign(&foreign, &word, body)
      default: break
      }
      switch byte {
      case 0x61...0x7A, 0x30...0x39: word.append(byte)
      case 0x41...0x5A: word.append(byte | 0x20)
      default: emit(&word, body)
      }
    }
    if !foreign.isEmpty { takeForeign(&foreign, &word, body) }
    emit(&word, body)
  }

  /// Continues `word` with the characters of `foreign`, up to the last boundary among them.
  private func takeForeign(
    _ foreign: inout [UInt8], _ word: inout [UInt8], _ body: (String) -> Void
  ) {
    // Composed first: a voicing mark belongs to the kana before it.
    let text = String(decoding: foreign, as: UTF8.self).precomposedStringWithCanonicalMapping
    for scalar in text.unicodeScalars {
      if scalar.isWrittenWithoutSpaces {
        emit(&word, body)
        word.append(contentsOf: UTF8.encode(scalar) ?? .init())
        emit(&word, body)
      } else if scalar.isPartOfWord {
        word.append(contentsOf: UTF8.encode(scalar) ?? .init())
      } else {
        emit(&word, body)
      }
    }
    foreign.removeAll(keepingCapacity: true)
  }

  /// Ends a word.
  private func emit(_ word: inout [UInt8], _ body: (String) -> Void) {
    guard !word.isEmpty else { return }
    defer { word.removeAll(keepingCapacity: true) }
    if word.contains(where: { $0 >= 0x80 }) {
      for part in Self.normalized(word) { emitNormalized(part, body) }
    } else {
      emitNormalized(word, body)
    }
  }

  private func emitNormalized(_ word: [UInt8], _ body: (String) -> Void) {
    if word.count <= longestStopWord, stopWords.contains(String(decoding: word, as: UTF8.self)) {
      return
    }
    guard word.count <= Self.longestTerm else {
      return body(String(decoding: word.prefix(Self.longestTerm), as: UTF8.self))
    }
    var stem = word
    if settings.stemmer == .english { EnglishStemmer.stem(&stem) }
    body(String(decoding: stem, as: UTF8.self))
  }

  /// A word in its one form; compatibility forms may fall apart into several ("½" into 1 and 2).
  private static func normalized(_ word: [UInt8]) -> [[UInt8]] {
    let decomposed = String(decoding: word, as: UTF8.self).decomposedStringWithCompatibilityMapping
    var bare = String.UnicodeScalarView()
    bare.append(
      contentsOf: decomposed.unicodeScalars.filter { !(0x300...0x36F).contains($0.value) })
    var lower = String.UnicodeScalarView()
    // A final sigma is a sigma: lower-casing knows no ends of words.
    lower.append(
      contentsOf: String(bare).lowercased().unicodeScalars.map {
        $0 == "\u{3C2}" ? "\u{3C3}" : $0
      })
    let one = String(lower).precomposedStringWithCanonicalMapping
    return one.unicodeScalars.split { !$0.isPartOfWord }.flatMap(Self.parts)
  }

  /// A run of letters without what is written without spaces (half-width kana are seen as such only in
  /// their normal form), and each of that by itself.
  private static func parts(_ run: Substring.UnicodeScalarView) -> [[UInt8]] {
    var parts: [[UInt8]] = [[]]
    var isCut = false
    for scalar in run {
      let encoded = Array(UTF8.encode(scalar) ?? .init())
      if scalar.isWrittenWithoutSpaces {
        parts += [encoded, []]
        isCut = false
        continue
      }
      // Whole characters only, so that what is cut stays in its normal form.
      if parts[parts.count - 1].count + encoded.count > longestTerm { isCut = true }
      if !isCut { parts[parts.count - 1].append(contentsOf: encoded) }
    }
    return parts.filter { !$0.isEmpty }
  }
}

extension Unicode.Scalar {
  fileprivate var isPartOfWord: Bool {
    if isASCII {
      return (0x61...0x7A).contains(value) || (0x30...0x39).contains(value)
        || (0x41...0x5A).contains(value)
    }
    if properties.isAlphabetic { return true }
    return switch properties.generalCategory {
    case .decimalNumber, .letterNumber, .otherNumber, .nonspacingMark, .spacingMark, .enclosingMark:
      true
    default: false
    }
  }

  /// Han, Hiragana and Katakana.
  fileprivate var isWrittenWithoutSpaces: Bool {
    switch value {
    case 0x3005...0x3007, 0x3041...0x3096, 0x30A1...0x30FA, 0x3400...0x4DBF, 0x4E00...0x9FFF,
      0xF900...0xFAFF, 0x20000...0x323AF:
      true
    default: false
    }
  }
}
