import Formats
import Foundation
import Lexical
import Platform
import Retrieval
import Store
import TestSupport
import Testing

/// Files that claim anything, under checksums that match, so that the readers behind them are reached:
/// an error, the same answers or others, and never a crash or a search without end.
@Suite struct FuzzTests {
  /// Two segments with all that a segment can hold.
  private static let small = Result {
    let labelled = passages("a", 60, seed: 211).enumerated().map { place, passage in
      var passage = passage
      passage.fields["n"] = [.number(Double(place))]
      if place % 2 == 0 { passage.fields["t"] = [.text("even"), .text("t\(place % 5)")] }
      if place % 3 == 0 { passage.fields["f"] = [.flag(place % 2 == 0)] }
      return passage
    }
    let subject = try UpdatedIndex(
      labelled, lexical: LexicalSettings(), terms: WordTerms.requests)
    try subject.add(passages("b", 20, seed: 212) + [Passage(id: "a3", text: "changed")])
    try subject.delete(["a5", "b6"])
    // The subject's folder goes with it: a copy stays.
    let folder = try TemporaryFolder("fuzz")
    for (name, bytes) in try contents(of: subject.path) where !name.hasSuffix("/") {
      try folder.file(name, bytes)
    }
    return folder
  }

  private static func smallPath() throws -> String { try small.get().path }

  @Test func `LZ4 blocks are taken apart as they were packed`() throws {
    let image = SegmentImage(
      try FileSystem.read(Self.smallPath() + "/segments/000001/passages.seg"))
    let table = image["textindex"]
    for entry in stride(from: 0, to: table.count, by: 24) {
      let (start, packed) = (Int(table.long(entry)), Int(table.word(entry + 8)))
      let raw = Array(image["texts"][start..<(start + packed)]).lz4Decoded
      #expect(raw.count == Int(table.word(entry + 12)))
      #expect(raw.asLZ4Literals.lz4Decoded == raw)
    }
  }

  @Test func `sections that say anything never crash their readers`() throws {
    let seed: UInt64 = 213
    var mutator = SectionMutator(seed: seed)
    let index = try DamagedIndex(
      of: Self.smallPath(), filter: "n >= 10 and not t = 't4' or f = true")
    var outcomes = 0
    for name in index.segments {
      let good = SegmentImage(try #require(index.files[name]))
      for part in good.parts.indices {
        for _ in 0..<Soak.times(4) {
          let image = mutator.mutate(good, part: part)
          if try index.outcome(name, image.encoded(), adaptManifest: true) != .harmless {
            outcomes += 1
          }
        }
      }
    }
    // Most mistakes must reach a reader, or this tests nothing.
    #expect(outcomes > Soak.times(60), "\(outcomes), seed \(seed)")
  }

  @Test func `section tables and headers that say anything never crash`() throws {
    let seed: UInt64 = 214
    var mutator = SectionMutator(seed: seed)
    let index = try DamagedIndex(of: Self.smallPath())
    for name in index.segments {
      let good = SegmentImage(try #require(index.files[name]))
      for _ in 0..<Soak.times(5) {
        var image = good
        let used = 32 + 56 * good.parts.count
        switch mutator.number(below: 5) {
        case 0:
          let part = mutator.number(below: image.parts.count)
          image.parts[part].blockLength = 1 << mutator.number(below: 20)
        case 1: image.parts.append(image.parts[mutator.number(below: image.parts.count)])
        case 2:
          let (one, two) = (
            mutator.number(below: image.parts.count), mutator.number(below: image.parts.count)
          )
          (image.parts[one].bytes, image.parts[two].bytes) = (
            image.parts[two].bytes, image.parts[one].bytes
          )
        default:
          let entries = Array(good.encoded()[8..<used])
          var changed = mutator.mutate(entries)
          changed += [UInt8](repeating: 0, count: max(0, 4088 - changed.count))
          let page = Array(changed.prefix(4088))
          image.alterHeader = { $0.replaceSubrange(8..<4096, with: page) }
        }
        _ = try index.outcome(name, image.encoded(), adaptManifest: true)
      }
    }
  }

  @Test func `graphs with codes that say anything never crash`() throws {
    let seed: UInt64 = 215
    var mutator = SectionMutator(seed: seed)
    let index = try DamagedIndex(of: try SmallIndex.coded.get().path)
    let name = index.name("graph")
    let good = SegmentImage(try #require(index.files[name]))
    for part in good.parts.indices {
      for _ in 0..<Soak.times(3) {
        let image = mutator.mutate(good, part: part)
        _ = try index.outcome(name, image.encoded(), adaptManifest: true)
      }
    }
  }

  @Test func `manifests that say anything never crash`() throws {
    let seed: UInt64 = 216
    var mutator = SectionMutator(seed: seed)
    let index = try DamagedIndex(of: Self.smallPath())
    let bytes = try #require(index.files["manifest.json"])
    let (head, tail) = (Array("{\"crc32c\":\"".utf8), Array("\",\"manifest\":".utf8))
    let inner = Array(bytes[(head.count + 8 + tail.count)..<(bytes.count - 2)])
    for _ in 0..<Soak.times(150) {
      let changed = mutator.mutate(json: inner)
      let digits = String(Checksum.crc32c(changed), radix: 16)
      let checksum = Array((String(repeating: "0", count: 8 - digits.count) + digits).utf8)
      _ = try index.outcome("manifest.json", head + checksum + tail + changed + Array("}\n".utf8))
    }
  }

  @Test func `blocks of unfinished builds that say anything never crash`() throws {
    let seed: UInt64 = 217
    var mutator = SectionMutator(seed: seed)
    let folder = try TemporaryFolder("blocks")
    let fields = encodedFields(["n": [.number(3)], "t": [.text("x"), .flag(true)]])
    let block = StagedBlock(
      first: 7, dimension: 3, vectors: [UInt8](repeating: 1, count: 36),
      passages: (0..<3).map { (Array("id\($0)".utf8), Array("text \($0)".utf8), fields) },
      truncatedTexts: 1, emptyTexts: 0, corpusHash: 99)
    let good = block.encoded()
    let header = 8 + 4 + 4 + 8 + 3 * 4 + 16 + 8 + 4 + 4
    for _ in 0..<Soak.times(1500) {
      var payload = Array(good[header...])
      var start = Array(good[..<header])
      if mutator.number(below: 2) == 0 {
        payload = mutator.mutate(payload)
      } else {
        start = Array(start[..<16]) + mutator.mutate(Array(start[16..<(header - 16)]))
        start = Array((start + [UInt8](repeating: 0, count: header)).prefix(header))
      }
      // Lengths and checksums that match, but for the vectors' count and dimension.
      start.set(UInt64(payload.count), at: header - 16)
      start.set(Checksum.crc32c(payload), at: header - 8)
      start.set(Checksum.crc32c(Array(start[..<(header - 4)])), at: header - 4)
      let path = try folder.file("block", start + payload)
      if let read = try? StagedBlock(path: path) {
        for passage in read.passages { _ = decodedFields(passage.fields) }
      }
    }
    #expect(try StagedBlock(path: folder.file("block", good)).passages.count == 3)
  }

  @Test func `blocks of unfinished terms that say anything never crash`() throws {
    let seed: UInt64 = 218
    var mutator = SectionMutator(seed: seed)
    let folder = try TemporaryFolder("blocks")
    let block = StagedTerms(
      first: 7, dimension: 3, counts: [2, 0, 1], halves: (0..<9).map { UInt16($0) }, truncated: 1,
      hash: 99)
    let good = block.encoded()
    // Two checksums end the header: of what follows, and of what precedes them.
    let header = 64
    var readable = 0
    for _ in 0..<Soak.times(1500) {
      var payload = Array(good[header...])
      var start = Array(good[..<header])
      if mutator.number(below: 2) == 0 {
        payload = mutator.mutate(payload)
      } else {
        start = Array(start[..<8]) + mutator.mutate(Array(start[8..<(header - 8)]))
        start = Array((start + [UInt8](repeating: 0, count: header)).prefix(header))
      }
      start.set(Checksum.crc32c(payload), at: header - 8)
      start.set(Checksum.crc32c(Array(start[..<(header - 4)])), at: header - 4)
      let path = try folder.file("block", start + payload)
      if let read = try? StagedTerms(path: path) {
        readable += 1
        #expect(read.halves.count == read.counts.reduce(0, +) * read.dimension)
      }
    }
    #expect(readable > 100 && readable < Soak.times(1500), "\(readable), seed \(seed)")
    #expect(try StagedTerms(path: folder.file("block", good)).counts == [2, 0, 1])
  }
}
