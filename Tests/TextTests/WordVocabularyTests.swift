import Platform
import Testing
import Text

/// Words as TK reads them.
@Suite struct WordVocabularyTests {
  private static let texts: [(text: String, words: [String])] = [
    ("", []), ("  \n\t", []), ("Hello, World!", ["hello", ",", "world", "!"]),
    ("don't stop-it", ["don", "'", "t", "stop", "-", "it"]), ("H2O 3.5", ["h2o", "3", ".", "5"]),
    ("Cafe\u{301} CAFÉ", ["café", "café"]), ("ΣΊΣΥΦΟΣ", ["σίσυφοσ"]),
    ("東京 2020年", ["東", "京", "2020", "年"]), ("ひらがな", ["ひ", "ら", "が", "な"]),
    ("a\u{200B}b\u{AD}c", ["abc"]), ("x\u{0}y", ["x", "y"]),
    ("«ok» €5", ["«", "ok", "»", "€", "5"]),
    ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]), ("🤗🤗", ["🤗", "🤗"]), ("[UNK]", ["[", "unk", "]"]),
  ]

  @Test func `texts fall into words`() {
    for (text, words) in Self.texts {
      #expect(WordSplitter.words(of: text) == words, "\(text)")
      #expect(WordSplitter.words(of: text, limit: 2) == Array(words.prefix(2)), "\(text)")
    }
  }

  @Test func `a word is cut, and a long text takes linear time`() {
    let long = String(repeating: "a", count: 3_000_000) + " b"
    #expect(WordSplitter.words(of: long).map(\.utf8.count) == [255, 1])
    let marks = "x" + String(repeating: "\u{301}", count: 100_000)
    #expect(WordSplitter.words(of: marks).count == 1)
  }

  @Test func `words have their ids, and the rest is unknown and counted`() {
    let vocabulary = WordVocabulary(words: ["river", "gold", "?"])
    #expect(vocabulary.count == 5)
    let encoded = vocabulary.encode("Gold river of gold?", maxLength: 4)
    #expect(encoded.ids == [3, 2, 1, 3] && encoded.isTruncated)
    #expect(!vocabulary.encode("Gold river of gold?", maxLength: 5).isTruncated)
    #expect(vocabulary.fingerprint != WordVocabulary(words: ["gold", "river", "?"]).fingerprint)
  }
}
