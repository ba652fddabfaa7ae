import Foundation
import Platform
import Testing
import Text

@Suite struct UnigramTests {
  private struct Case: Decodable {
    var text: String
    var pair: String?
    var ids: [Int32]
    var types: [Int32]?
  }
  private struct Golden: Decodable {
    var golden: [Case]
    var recognised: [Case]
  }

  private static func folder() throws -> String {
    try #require(Bundle.module.resourcePath) + "/Fixtures/unigram"
  }

  private static func golden() throws -> Golden {
    let bytes = try FileSystem.read(folder() + "/golden.json")
    return try JSONDecoder().decode(Golden.self, from: Data(bytes))
  }

  @Test func `ALBERT-style texts and pairs give the reference's ids`() throws {
    let tokenizer = try Tokenizer(directory: Self.folder())
    #expect(tokenizer.kind == "Unigram")
    #expect(tokenizer.vocabularySize == 325)
    #expect(tokenizer.specialIDs.mask == 4)
    let cases = try Self.golden().golden
    #expect(cases.count >= 110)
    for test in cases {
      if let pair = test.pair {
        let result = tokenizer.encodePair(test.text, pair, maxLength: 10_000)
        #expect(result.ids == test.ids && result.types == test.types, "\(test.text) | \(pair)")
      } else if !["<UNK> <Pad> [cls]", "[MASK]x"].contains(test.text) {
        #expect(tokenizer.encode(test.text, maxLength: 10_000).ids == test.ids, "\(test)")
      }
    }
  }

  @Test func `Recognised special tokens give the reference's ids`() throws {
    let tokenizer = try Tokenizer(directory: Self.folder(), specialTokensInText: .recognised)
    let golden = try Self.golden()
    for test in golden.recognised + golden.golden.filter({ $0.pair == nil }) {
      #expect(tokenizer.encode(test.text, maxLength: 10_000).ids == test.ids, "\(test)")
    }
  }

  @Test func `Other normalisers and pre-tokenizers give the reference's ids`() throws {
    let root = try Self.folder()
    let json = try JSONSerialization.jsonObject(
      with: Data(FileSystem.read(root + "/tokenizer.json")))
    var file = try #require(json as? [String: Any])
    let all = try JSONSerialization.jsonObject(with: Data(FileSystem.read(root + "/golden.json")))
    let variants = try #require((all as? [String: Any])?["variants"] as? [[String: Any]])
    #expect(variants.count == 5)
    var prints: Set<String> = []
    for variant in variants {
      file["normalizer"] = variant["normalizer"]
      file["pre_tokenizer"] = variant["pre_tokenizer"]
      let scratch = try ScratchFolder()
      try scratch.write(
        "tokenizer.json", bytes: Array(JSONSerialization.data(withJSONObject: file)))
      let tokenizer = try Tokenizer(directory: scratch.path, specialTokensInText: .recognised)
      prints.insert(tokenizer.fingerprint)
      for test in try #require(variant["golden"] as? [[String: Any]]) {
        let text = try #require(test["text"] as? String)
        let ids = try #require(test["ids"] as? [Int]).map { Int32($0) }
        #expect(
          tokenizer.encode(text, maxLength: 10_000).ids == ids,
          "\(text.debugDescription) in variant \(prints.count)")
      }
    }
    #expect(prints.count == variants.count)
  }

  @Test func `Nothing typed becomes a special id unless asked for`() throws {
    let tokenizer = try Tokenizer(directory: Self.folder())
    for text in ["[CLS]", "[SEP] x [MASK]", "<pad>", "<PAD>", "<Unk>[mask]"] {
      let inside = tokenizer.encode(text, maxLength: 100).ids.dropFirst().dropLast()
      #expect(!inside.contains { [0, 2, 3, 4].contains($0) }, "\(text)")
      #expect(!inside.isEmpty)
    }
  }

  @Test func `Long texts are cut in parts without changing an id`() throws {
    let tokenizer = try Tokenizer(directory: Self.folder())
    let sentence = "The café's  teacher reads “both” texts — together, 東京 "
    let text = String(repeating: sentence, count: 4000)
    let once = tokenizer.encode(sentence + "the", maxLength: 1000).ids.dropFirst().dropLast(2)
    let all = tokenizer.encode(text, maxLength: 10_000_000)
    #expect(!all.isTruncated)
    // Every sentence gives the same ids; only the last one ends in a bare sign.
    let expected = Array(repeatElement(Array(once), count: 4000).joined())
    #expect(Array(all.ids.dropFirst().prefix(expected.count)) == expected)
    for length in [2, 3, 10, 500] {
      let cut = tokenizer.encode(text, maxLength: length)
      #expect(cut.isTruncated)
      #expect(cut.ids == Array(all.ids.prefix(length - 1)) + [tokenizer.specialIDs.separator])
    }
  }

  @Test func `Ten megabytes without a space or of marks alone end in linear work`() throws {
    let tokenizer = try Tokenizer(directory: Self.folder())
    let size = 10_000_000
    let letters = tokenizer.encode(String(repeating: "e", count: size), maxLength: size)
    // The prefix sign and the letters, each spelled by the pieces "▁", "e" or "ee" alone.
    #expect(letters.ids.count > size / 4)
    let marks = String(repeating: "\u{301}\u{323}", count: size / 4)
    #expect(tokenizer.encode(marks, maxLength: 256).ids == [2, 3])
    let dots = tokenizer.encode(String(repeating: ".", count: size), maxLength: 256)
    #expect(dots.ids.count == 256 && dots.isTruncated)
    let strange = tokenizer.encode(String(repeating: "≮", count: size / 3), maxLength: 256)
    #expect(!strange.ids.isEmpty && !strange.isTruncated)
  }
}
