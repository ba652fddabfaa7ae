import Foundation
import Platform
import Testing
import Text

/// The hand-written vocabulary: pieces by line, so that tests name pieces and not numbers.
struct TinyVocabulary {
  let folder: String
  let pieces: [String]

  init() throws {
    folder = try #require(Bundle.module.resourcePath) + "/Fixtures/tiny-wordpiece"
    let bytes = try FileSystem.read(folder + "/vocab.txt")
    pieces = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { String($0) }
  }

  /// The pieces of a text, `[CLS]` and `[SEP]` left out.
  func pieces(of text: String, by tokenizer: Tokenizer) -> [String] {
    tokenizer.encode(text, maxLength: 10_000).ids.dropFirst().dropLast().map { pieces[Int($0)] }
  }
}

@Suite struct WordPieceTests {
  @Test(
    arguments: [
      ("", []),
      (" \t\r\n\u{A0}\u{2028}\u{3000}", []),
      ("The RETORT distills.", ["the", "retort", "dis", "##till", "##s", "."]),
      ("distiller distillers", ["dis", "##till", "##er", "dis", "##till", "##er", "##s"]),
      ("retort-retort!", ["retort", "-", "retort", "!"]),
      // One position without a match makes the whole word unknown, and only that word.
      ("distillq the", ["[UNK]", "the"]),
      ("Café CAFE\u{301} cafee naïve", ["cafe", "cafe", "cafe", "##e", "naive"]),
      ("a東京b", ["a", "東", "京", "b"]),
      ("東\u{F900}", ["東", "[UNK]"]),
      (
        "soft\u{AD}hyphen x\u{200B}y x\u{0}y x\u{7}y x\u{FFFD}y",
        ["soft", "##hyphen", "x", "##y", "x", "##y", "x", "##y", "x", "##y"]
      ),
      ("İstanbul", ["istanbul"]),
      ("ß ẞ", ["ß", "ß"]),
      // Characters whose decomposition is ASCII: Greek question mark, Kelvin sign.
      ("a\u{37E}b \u{212A}", ["a", ";", "b", "k"]),
      ("👍🏽 🇺🇸", ["[UNK]", "[UNK]"]),
      ("[MASK][mask]", ["[", "mask", "]", "[", "mask", "]"]),
      ("\u{301}\u{323}", []),
    ] as [(String, [String])])
  func `Texts are split as BERT splits them`(text: String, expected: [String]) throws {
    let tiny = try TinyVocabulary()
    let tokenizer = try Tokenizer(directory: tiny.folder)
    #expect(tiny.pieces(of: text, by: tokenizer) == expected)
  }

  @Test func `Words up to a hundred characters are spelled and longer ones are unknown`() throws {
    let tiny = try TinyVocabulary()
    let tokenizer = try Tokenizer(directory: tiny.folder)
    let hundred = "k" + String(repeating: "a", count: 99)
    #expect(tiny.pieces(of: hundred, by: tokenizer) == ["k"] + Array(repeating: "##a", count: 99))
    #expect(tiny.pieces(of: hundred + "a", by: tokenizer) == ["[UNK]"])
    // Dropped marks do not count, characters that decompose count after it.
    #expect(tiny.pieces(of: hundred + "\u{301}", by: tokenizer).count == 100)
    #expect(tiny.pieces(of: "x " + hundred + "a.", by: tokenizer) == ["x", "[UNK]", "."])
  }

  @Test func `Special-token strings are recognised only when asked for`() throws {
    let tiny = try TinyVocabulary()
    let parity = try Tokenizer(directory: tiny.folder, specialTokensInText: .recognised)
    #expect(
      tiny.pieces(of: "the[MASK] [SEP]x[mask]", by: parity)
        == ["the", "[MASK]", "[SEP]", "x", "[", "mask", "]"])
    let plain = try Tokenizer(directory: tiny.folder)
    #expect(plain.specialTokensInText == .ordinaryText)
    #expect(plain.specialIDs.mask == 4)
    #expect(plain.fingerprint != parity.fingerprint)
  }

  @Test func `Settings of tokenizer_config.json are followed`() throws {
    let tiny = try TinyVocabulary()
    let scratch = try ScratchFolder()
    try scratch.write("vocab.txt", bytes: FileSystem.read(tiny.folder + "/vocab.txt"))
    func tokenizer(_ config: String) throws -> Tokenizer {
      try scratch.write("tokenizer_config.json", config)
      return try Tokenizer(directory: scratch.path)
    }
    let cased = try tokenizer(#"{"do_lower_case": false}"#)
    #expect(tiny.pieces(of: "the The café", by: cased) == ["the", "[UNK]", "[UNK]"])
    let stripped = try tokenizer(#"{"do_lower_case": false, "strip_accents": true}"#)
    #expect(tiny.pieces(of: "The café", by: stripped) == ["[UNK]", "cafe"])
    let accented = try tokenizer(#"{"do_lower_case": true, "strip_accents": false}"#)
    #expect(tiny.pieces(of: "The CAFÉ", by: accented) == ["the", "[UNK]"])
    let joined = try tokenizer(#"{"tokenize_chinese_chars": false}"#)
    #expect(tiny.pieces(of: "東 東京", by: joined) == ["東", "[UNK]"])
    #expect(joined.notes.contains { $0.contains("lower-case") })
    let prints = Set([cased, stripped, accented, joined].map(\.fingerprint))
    #expect(prints.count == 4)
    #expect(prints.allSatisfy { $0.count == 32 })
    #expect(throws: RetortError.self) { try tokenizer(#"{"do_basic_tokenize": false}"#) }
  }

  @Test func `Any length from nothing upwards is kept to`() throws {
    let tokenizer = try Tokenizer(directory: TinyVocabulary().folder)
    let whole: [Int32] = [2, 7, 8, 17, 3]
    for length in [Int.min, -1, 0, 1, 2, 3, 4, 5, 6, Int.max] {
      let result = tokenizer.encode("the retort.", maxLength: length)
      #expect(result.ids.count == min(max(length, 0), 5))
      #expect(result.isTruncated == (length < 5))
      if length >= 2 {
        #expect(result.ids == Array(whole.prefix(result.ids.count - 1)) + [3])
      }
      let pair = tokenizer.encodePair("the", "retort.", maxLength: length)
      #expect(pair.ids.count == min(max(length, 0), 6))
      #expect(pair.types.count == pair.ids.count)
      #expect(pair.isTruncated == (length < 6))
    }
    #expect(!tokenizer.encode("", maxLength: 2).isTruncated)
    #expect(tokenizer.declaredMaxLength == Tokenizer.DeclaredLengths())
  }

  /// Values of Hugging Face's `tokenizers` 0.23.3, strategy longest_first: lengths of the first and
  /// second text, the maximum, and what is kept of each.
  @Test(
    arguments: [
      [20, 20, 3, 0, 0], [20, 20, 4, 0, 1], [20, 20, 10, 3, 4], [20, 20, 11, 4, 4],
      [20, 10, 4, 1, 0], [20, 10, 10, 4, 3], [20, 10, 20, 9, 8], [10, 20, 10, 3, 4],
      [10, 20, 20, 8, 9], [3, 20, 10, 3, 4], [3, 20, 11, 3, 5], [3, 20, 20, 3, 14],
      [20, 3, 10, 4, 3], [20, 3, 12, 6, 3], [20, 3, 20, 14, 3], [21, 20, 10, 4, 3],
      [21, 20, 20, 9, 8], [20, 21, 12, 4, 5],
    ])
  func `Overflow of a pair is taken from the longer text`(row: [Int]) throws {
    let tokenizer = try Tokenizer(directory: TinyVocabulary().folder)
    let (first, second, length) = (row[0], row[1], row[2])
    let result = tokenizer.encodePair(
      String(repeating: "a ", count: first), String(repeating: "b ", count: second),
      maxLength: length)
    let a = [Int32](repeating: 5, count: row[3])
    let b = [Int32](repeating: 6, count: row[4])
    #expect(result.ids == [2] + a + [3] + b + [3])
    #expect(
      result.types == [Int32](repeating: 0, count: row[3] + 2)
        + [Int32](repeating: 1, count: row[4] + 1))
    #expect(result.isTruncated)
  }

  @Test func `Ten megabytes of hostile text end in linear work`() throws {
    let tokenizer = try Tokenizer(directory: TinyVocabulary().folder)
    let size = 10_000_000
    let line = tokenizer.encode(String(repeating: "a", count: size), maxLength: size)
    #expect(line.ids == [2, 1, 3])
    let marks = tokenizer.encode(String(repeating: "\u{301}\u{323}", count: size / 4), maxLength: 9)
    #expect(marks.ids == [2, 3] && !marks.isTruncated)
    let dots = tokenizer.encode(String(repeating: ".", count: size), maxLength: size + 2)
    #expect(dots.ids.count == size + 2 && dots.ids.dropFirst().dropLast().allSatisfy { $0 == 17 })
    let cut = tokenizer.encode(String(repeating: "!", count: size), maxLength: 256)
    #expect(cut.ids.count == 256 && cut.isTruncated)
    let ideographs = tokenizer.encode(String(repeating: "東", count: size / 3), maxLength: size)
    #expect(ideographs.ids.count == size / 3 + 2)
    let emoji = tokenizer.encode(String(repeating: "👍🏽", count: size / 8), maxLength: size)
    #expect(emoji.ids == [2, 1, 3])
  }

  @Test func `Random text never crashes and is cut where the whole says`() throws {
    let tiny = try TinyVocabulary()
    let tokenizer = try Tokenizer(directory: tiny.folder)
    let seed = UInt64.random(in: 0...UInt64.max)
    var state = seed
    func next(_ bound: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % bound
    }
    let words = [
      "the", "retort", "DIStills", "é", "\u{301}", "東", " ", ".", "\u{AD}", "ß", "[SEP]",
    ]
    for _ in 0..<300 {
      var text = ""
      for _ in 0..<next(40) {
        if next(3) == 0, let scalar = Unicode.Scalar(UInt32(next(0x11_0000))) {
          text.unicodeScalars.append(scalar)
        } else {
          text += words[Int(next(UInt64(words.count)))]
        }
      }
      let whole = tokenizer.encode(text, maxLength: 10_000).ids
      #expect(!whole.dropFirst().dropLast().contains { $0 == 0 || (2...4).contains($0) })
      let length = Int(next(20)) + 2
      let cut = tokenizer.encode(text, maxLength: length)
      #expect(cut.isTruncated == (whole.count > length), "seed \(seed)")
      let kept = Array(whole.prefix(min(length, whole.count) - 1))
      #expect(cut.ids == kept + [3], "seed \(seed)")
    }
  }

  @Test func `The first words are split as those behind a thousand pages`() throws {
    let folder = try TinyVocabulary().folder
    // A tokenizer that has read much finds pieces in other tables than one that was just made.
    let experienced = try Tokenizer(directory: folder)
    _ = experienced.encode(String(repeating: "the retort ", count: 20_000), maxLength: 100_000)
    let seed = UInt64.random(in: 0...UInt64.max)
    var state = seed
    func next(_ bound: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % bound
    }
    let parts = [
      "the", "retort", "dis", "till", "er", "s", "a", "k", "é", "東", "\u{0}", " ", ".", "##",
      "[MASK]",
      "ß", "naive",
    ]
    for _ in 0..<20 {
      let fresh = try Tokenizer(directory: folder)
      for _ in 0..<20 {
        let text = (0..<next(60)).map { _ in parts[Int(next(UInt64(parts.count)))] }.joined()
        let ids = fresh.encode(text, maxLength: 1000).ids
        #expect(ids == experienced.encode(text, maxLength: 1000).ids, "seed \(seed)")
      }
    }
  }
}
