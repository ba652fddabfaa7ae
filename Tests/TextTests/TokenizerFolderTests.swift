import Foundation
import Platform
import Testing
import Text

/// Folders that break their format: one sentence each that names the file and the remedy.
@Suite struct TokenizerFolderTests {
  private static let json = #"""
    {"added_tokens": [], "normalizer": {"type": "BertNormalizer", "lowercase": true},
     "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null,
     "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
       "max_input_chars_per_word": 100,
       "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "##b": 4}}}
    """#

  private func failure(_ files: [String: String]) throws -> RetortError {
    try failure(bytes: files.mapValues { Array($0.utf8) })
  }

  private func failure(bytes files: [String: [UInt8]]) throws -> RetortError {
    let scratch = try ScratchFolder()
    for (name, content) in files { try scratch.write(name, bytes: content) }
    do throws(RetortError) {
      _ = try Tokenizer(directory: scratch.path)
    } catch {
      return error
    }
    Issue.record("no error for \(files.keys.sorted())")
    return RetortError(.badData, "")
  }

  @Test func `A tokenizer.json alone is enough`() throws {
    let scratch = try ScratchFolder()
    try scratch.write("tokenizer.json", Self.json)
    let tokenizer = try Tokenizer(directory: scratch.path + "/")
    #expect(tokenizer.vocabularySize == 5)
    #expect(tokenizer.encode("AB a", maxLength: 9).ids == [1, 3, 4, 3, 2])
    #expect(tokenizer.specialIDs.mask == nil)
  }

  @Test func `Pieces with quotes, brackets and backslashes read alike from either file`() throws {
    let pieces = ["[UNK]", "[CLS]", "[SEP]", "\"", "\\", "{", "}", "]", ",", "a", "##\"}"]
    let escaped = pieces.enumerated().map { number, piece in
      let text = piece.replacingOccurrences(of: "\\", with: "\\\\")
        .replacingOccurrences(of: "\"", with: "\\\"")
      return "\"\(text)\": \(number)"
    }
    let json = Self.json.replacingOccurrences(
      of: "\"[UNK]\": 0, \"[CLS]\": 1, \"[SEP]\": 2, \"a\": 3, \"##b\": 4",
      with: escaped.joined(separator: ", "))
    let alone = try ScratchFolder()
    try alone.write("tokenizer.json", json)
    let both = try ScratchFolder()
    try both.write("tokenizer.json", json)
    try both.write("vocab.txt", pieces.joined(separator: "\n"))
    let tokenizers = try [alone, both].map { try Tokenizer(directory: $0.path) }
    #expect(tokenizers[0].fingerprint == tokenizers[1].fingerprint)
    for tokenizer in tokenizers {
      #expect(tokenizer.encode(#"a "\{}],"#, maxLength: 20).ids == [1, 9, 3, 4, 5, 6, 7, 8, 2])
    }
  }

  @Test func `A tokenizer.json that ends in its vocabulary is refused beside vocab.txt too`() throws
  {
    let cut = String(Self.json.prefix(Self.json.count - 12))
    for text in [cut, cut + "\"", cut + "\\", "{\"model\": {\"vocab\"", "{\"model\": 1"] {
      let error = try failure(["tokenizer.json": text, "vocab.txt": "[UNK]\n[CLS]\n[SEP]\n"])
      #expect(error.code == .badData && error.path?.hasSuffix("tokenizer.json") == true)
    }
  }

  @Test func `Folders without tokenizer files say what was looked for`() throws {
    let empty = try failure([:])
    #expect(empty.code == .missingInput)
    for name in ["tokenizer.json", "vocab.txt", "tokenizer_config.json"] {
      #expect(empty.description.contains(name))
    }
    #expect(try failure(["spiece.model": "x"]).description.contains("spiece.model"))
    let scratch = try ScratchFolder()
    #expect(throws: RetortError.self) { try Tokenizer(directory: scratch.path + "/nowhere") }
    try scratch.write("file", "x")
    #expect(throws: RetortError.self) { try Tokenizer(directory: scratch.path + "/file") }
  }

  @Test func `A damaged vocab.txt is refused with its line`() throws {
    let head = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n"
    let repeated = try failure(["vocab.txt": head + "a\nb\na\n"])
    #expect(repeated.code == .badData && repeated.position == .line(7))
    #expect(repeated.message.contains("line 5"))
    let blank = try failure(["vocab.txt": head + "\nb\n"])
    #expect(blank.position == .line(5))
    let broken = try failure(bytes: ["vocab.txt": Array(head.utf8) + [0xC3, 0x28, 10]])
    #expect(broken.position == .line(5) && broken.message.contains("UTF-8"))
    #expect(try failure(["vocab.txt": ""]).code == .badData)
    for name in ["[UNK]", "[CLS]", "[SEP]"] {
      let lacking = try failure([
        "vocab.txt": head.replacingOccurrences(of: name + "\n", with: "") + "a\n"
      ])
      #expect(lacking.message.contains(name))
      #expect(lacking.path?.hasSuffix("vocab.txt") == true)
    }
  }

  @Test func `A vocab.txt with carriage returns reads like one without`() throws {
    let lines = ["[UNK]", "[CLS]", "[SEP]", "a", "##b"]
    let plain = try ScratchFolder()
    try plain.write("vocab.txt", lines.joined(separator: "\n"))
    let carriage = try ScratchFolder()
    try carriage.write("vocab.txt", lines.joined(separator: "\r\n") + "\r\n")
    #expect(
      try Tokenizer(directory: plain.path).fingerprint
        == Tokenizer(directory: carriage.path).fingerprint)
  }

  // Typed and apart from the macro: type-checked once, in milliseconds.
  private static let damaged: [(text: String, reason: String)] = [
    ("{", "not valid JSON"),
    ("[]", "top level"),
    ("{}", "model"),
    (#"{"model": {"type": "WordPiece"}}"#, "vocab"),
    (#"{"model": {"type": "BPE"}}"#, "BPE"),
    (#"{"model": {"type": "WordLevel"}}"#, "WordLevel"),
    (#"{"model": {"merges": []}}"#, "unknown"),
    (json.substituting("BertPreTokenizer", with: "Whitespace"), "Whitespace"),
    (json.substituting("BertNormalizer", with: "NFKC"), "NFKC"),
    (json.substituting(": 4}", with: ": 3}"), "both"),
    (json.substituting(": 4}", with: ": -4}"), "-4"),
    (json.substituting(": 4}", with: ": 4294967296}"), "4294967296"),
    (json.substituting(": 4}", with: ": \"x\"}"), "##b"),
    (json.substituting("\"[SEP]\"", with: "\"[SAP]\""), "[SEP]"),
    (json.substituting(": 100", with: ": 1000000000"), "max_input_chars_per_word"),
    (json.substituting("\"post_processor\": null", with: #""post_processor": {"type": "X"}"#), "X"),
    (
      json.substituting(
        "\"post_processor\": null",
        with: #""post_processor": {"type": "BertProcessing", "sep": ["a", 3], "cls": ["b", 9]}"#),
      "one model"
    ),
    (json.substituting("[],", with: #"[{"id": -1, "content": "q"}],"#), "no usable id"),
  ]

  @Test(arguments: damaged)
  func `A damaged or foreign tokenizer.json is refused`(text: String, reason: String) throws {
    let error = try failure(["tokenizer.json": text])
    #expect(error.path?.hasSuffix("tokenizer.json") == true)
    #expect(error.message.contains(reason), "\(error)")
  }

  private static let unigram = #"""
    {"normalizer": null, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁"},
     "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false,
       "vocab": [["<unk>", 0.0], ["[CLS]", 0.0], ["[SEP]", 0.0], ["▁a", -1.5], ["b", -2.0]]}}
    """#

  private static let damagedUnigram: [(text: String, reason: String)] = [
    (unigram.substituting("\"unk_id\": 0", with: "\"unk_id\": 5"), "unk_id"),
    (unigram.substituting("\"unk_id\": 0", with: "\"unk_id\": null"), "unk_id"),
    (unigram.substituting("-2.0", with: "-1e300"), "log probability"),
    (unigram.substituting("-2.0", with: "\"x\""), "Double"),
    (unigram.substituting("[SEP]", with: "[SAP]"), "[SEP]"),
    (unigram.substituting("Metaspace", with: "ByteLevel"), "ByteLevel"),
    (unigram.substituting("\"▁\"", with: "\"ab\""), "ab"),
    (unigram.substituting(": null,", with: #": {"type": "Nmt"},"#), "Nmt"),
    (
      unigram.substituting(
        ": null,", with: #": {"type": "Replace", "pattern": {"Regex": "x+"}, "content": ""},"#),
      "x+"
    ),
    (
      unigram.substituting(
        ": null,", with: #": {"type": "Precompiled", "precompiled_charsmap": "?"},"#), "base64"
    ),
    (
      unigram.substituting(
        ": null,", with: #": {"type": "Precompiled", "precompiled_charsmap": "////fwAA"},"#),
      "does not fit"
    ),
  ]

  @Test(arguments: damagedUnigram)
  func `A damaged unigram tokenizer is refused`(text: String, reason: String) throws {
    let error = try failure(["tokenizer.json": text])
    #expect(error.path?.hasSuffix("tokenizer.json") == true)
    #expect(error.message.contains(reason), "\(error)")
  }

  @Test func `A character map with wild offsets maps nothing and never crashes`() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var state = seed
    for _ in 0..<50 {
      var bytes: [UInt8] = [64, 0, 0, 0]
      for _ in 0..<96 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        // The strings after the trie stay ASCII so that the map is accepted.
        bytes.append(bytes.count < 68 ? UInt8(truncatingIfNeeded: state >> 40) : 65)
      }
      let map = Data(bytes).base64EncodedString()
      let scratch = try ScratchFolder()
      try scratch.write(
        "tokenizer.json",
        Self.unigram.substituting(
          ": null,", with: #": {"type": "Precompiled", "precompiled_charsmap": "\#(map)"},"#))
      let tokenizer = try Tokenizer(directory: scratch.path)
      #expect(tokenizer.encode("a é 東 👍🏽 z", maxLength: 50).ids.first == 1, "seed \(seed)")
    }
  }

  @Test func `Unknown characters are one token, or bytes where the model has them`() throws {
    let scratch = try ScratchFolder()
    try scratch.write("tokenizer.json", Self.unigram)
    let plain = try Tokenizer(directory: scratch.path)
    #expect(plain.encode("abxyzb", maxLength: 50).ids == [1, 3, 4, 0, 4, 2])
    let pieces = (0..<256).map { byte in
      let digits = String(byte, radix: 16, uppercase: true)
      return "[\"<0x\(digits.count == 1 ? "0" : "")\(digits)>\", -9.0]"
    }
    try scratch.write(
      "tokenizer.json",
      Self.unigram.substituting("\"byte_fallback\": false", with: "\"byte_fallback\": true")
        .substituting("[\"b\", -2.0]", with: "[\"b\", -2.0], " + pieces.joined(separator: ", ")))
    let bytes = try Tokenizer(directory: scratch.path)
    let spelled: [Int32] = [1, 3, 4, 5 + 0xC3, 5 + 0xA9, 4, 2]
    #expect(bytes.encode("abéb", maxLength: 50).ids == spelled)
    #expect(bytes.fingerprint != plain.fingerprint)
  }
}

extension String {
  fileprivate func substituting(_ text: String, with other: String) -> String {
    replacingOccurrences(of: text, with: other)
  }
}
