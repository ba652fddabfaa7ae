import Foundation
import Platform
import Testing
import Text

/// Real models and data, outside the repository.
enum RealData {
  static let root = ProcessInfo.processInfo.environment["RETORT_DATA"]
  static let isThere = root != nil
  static let hint: Comment = "set RETORT_DATA to the folder that holds data/ and models/"
  static func path(_ relative: String) -> String { (root ?? "") + "/" + relative }

  static func lines(_ relative: String) throws -> [Data] {
    let bytes = try FileSystem.read(path(relative))
    return bytes.split(separator: 10).map { Data($0) }
  }
}

@Suite(.enabled(if: RealData.isThere, RealData.hint))
struct GoldenWordPieceTests {
  private struct Line: Decodable {
    var text: String
    var pair: String?
    var ids: [Int32]
    var typeIds: [Int32]?
    enum CodingKeys: String, CodingKey {
      case text, pair, ids
      case typeIds = "type_ids"
    }
  }

  private static let folder = RealData.path("models/all-MiniLM-L6-v2")

  private static func golden() throws -> [Line] {
    try RealData.lines("models/all-MiniLM-L6-v2-golden/wordpiece.jsonl").map {
      try JSONDecoder().decode(Line.self, from: $0)
    }
  }

  @Test func `Every golden line gives the reference's ids`() throws {
    let tokenizer = try Tokenizer(directory: Self.folder, specialTokensInText: .recognised)
    let lines = try Self.golden()
    #expect(lines.count == 1083)
    #expect(lines.filter { $0.pair != nil }.count == 40)
    for line in lines {
      if let pair = line.pair {
        let result = tokenizer.encodePair(line.text, pair, maxLength: 10_000)
        #expect(result.ids == line.ids, "\(line.text.prefix(60))")
        #expect(result.types == line.typeIds)
        #expect(!result.isTruncated)
      } else {
        let result = tokenizer.encode(line.text, maxLength: 10_000)
        #expect(result == TokenizedText(ids: line.ids, isTruncated: false), "\(line.text)")
      }
    }
  }

  @Test func `Only lines with special-token strings differ when those are ordinary text`() throws {
    let tokenizer = try Tokenizer(directory: Self.folder)
    var differing: [String] = []
    for line in try Self.golden() where line.pair == nil {
      if tokenizer.encode(line.text, maxLength: 10_000).ids != line.ids {
        differing.append(line.text)
      }
    }
    #expect(differing == ["[CLS] [SEP] [MASK] [PAD] [UNK]"])
    let inside = tokenizer.encode(differing.first ?? "", maxLength: 100).ids.dropFirst().dropLast()
    #expect(!inside.contains { (100...103).contains($0) || $0 == 0 })
  }

  @Test(arguments: PublishedSentence.all)
  func `Published sentences give the published ids`(sentence: PublishedSentence) throws {
    sentence.check(by: try Tokenizer(directory: Self.folder))
  }

  @Test func `The folder's contradictions are noted and nothing is padded`() throws {
    let tokenizer = try Tokenizer(directory: Self.folder)
    #expect(tokenizer.kind == "WordPiece")
    #expect(tokenizer.vocabularySize == 30_522)
    #expect(tokenizer.declaredMaxLength.modelMaximum == 512)
    #expect(tokenizer.declaredMaxLength.truncation == 128)
    #expect(tokenizer.declaredMaxLength.padding == 128)
    #expect(tokenizer.notes.contains { $0.contains("pads to 128") })
    #expect(tokenizer.notes.contains { $0.contains("truncates to 128") && $0.contains("512") })
    #expect(tokenizer.encode("short", maxLength: 512).ids == [101, 2460, 102])
  }

  @Test func `vocab.txt and tokenizer.json alone give the same tokenizer`() throws {
    let whole = try Tokenizer(directory: Self.folder)
    let scratch = try ScratchFolder()
    for (name, files) in [
      ("text", ["vocab.txt", "tokenizer_config.json"]), ("json", ["tokenizer.json"]),
    ] {
      let folder = scratch.path + "/" + name
      try FileSystem.makeFolder(folder)
      for file in files {
        try FileSystem.replace(
          folder + "/" + file, with: FileSystem.read(Self.folder + "/" + file))
      }
      let part = try Tokenizer(directory: folder)
      #expect(part.fingerprint == whole.fingerprint)
      #expect(part.vocabularySize == whole.vocabularySize)
      #expect(part.specialIDs == whole.specialIDs)
      let text = "Ångström's naïve [MASK] 東京 supercalifragilistic"
      #expect(part.encode(text, maxLength: 64) == whole.encode(text, maxLength: 64))
    }
  }
}

/// A folder under the temporary one that vanishes with the value.
final class ScratchFolder {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "/retort-text-\(UUID().uuidString)"
    try FileSystem.makeFolder(path)
  }

  deinit { try? FileSystem.removeTree(path) }

  /// Writes a file and returns the folder.
  @discardableResult
  func write(_ name: String, _ content: String) throws -> String {
    try write(name, bytes: Array(content.utf8))
  }

  @discardableResult
  func write(_ name: String, bytes: [UInt8]) throws -> String {
    try FileSystem.replace(path + "/" + name, with: bytes)
    return path
  }
}
