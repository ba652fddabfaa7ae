import Platform
import Store
import TestSupport
import Testing

@Suite struct StagedBlockTests {
  private let folder: TemporaryFolder
  private let bytes: [UInt8]
  private let block: StagedBlock

  init() throws {
    folder = try TemporaryFolder("block")
    let passages = SyntheticCorpus(count: 9, seed: 3).passages
    block = StagedBlock(
      first: 512, dimension: 4, vectors: (0..<(9 * 16)).map { UInt8($0) },
      passages: passages.map {
        (
          Array($0.id.utf8), Array($0.text.utf8),
          encodedFields(["n": [.number(Double($0.id.count))]])
        )
      }, truncatedTexts: 2, emptyTexts: 1, corpusHash: UInt128(0x1234_5678_9ABC_DEF0) << 64 | 7)
    bytes = block.encoded()
  }

  private func read(_ bytes: [UInt8]) throws -> StagedBlock {
    try StagedBlock(path: try folder.file("block", bytes))
  }

  @Test func `a block comes back as it was`() throws {
    let back = try read(bytes)
    #expect(back.first == 512 && back.dimension == 4)
    #expect(back.truncatedTexts == 2 && back.emptyTexts == 1)
    #expect(back.corpusHash == block.corpusHash)
    #expect(back.vectors == block.vectors)
    #expect(back.passages.map(\.id) == block.passages.map(\.id))
    #expect(back.passages.map(\.text) == block.passages.map(\.text))
    #expect(back.passages.map(\.fields) == block.passages.map(\.fields))
  }

  @Test func `any cut and any flipped byte is an error that names the remedy`() throws {
    var random = SplitMix64(seed: 4)
    for place in bytes.indices {
      var flipped = bytes
      flipped[place] ^= UInt8(1 + random.next() % 255)
      let error = #expect(throws: RetortError.self, "byte \(place)") { try read(flipped) }
      #expect(error?.message.contains("--overwrite") == true)
      #expect(throws: RetortError.self, "cut to \(place)") { try read(Array(bytes[..<place])) }
    }
    #expect(throws: RetortError.self) { try read(bytes + [0]) }
  }

  @Test func `counts that overflow under a checksum that matches are an error`() throws {
    for value in [UInt32.max, 1 << 31, 10, 8] {
      var forged = bytes
      for (place, number) in [(12, value), (24, value)] {
        for i in 0..<4 { forged[place + i] = UInt8(truncatingIfNeeded: number >> UInt32(8 * i)) }
      }
      let header = bytes.count - (block.encoded().count - headerLength)
      let checksum = Checksum.crc32c(Array(forged[..<(header - 4)]))
      for i in 0..<4 {
        forged[header - 4 + i] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * i))
      }
      #expect(throws: RetortError.self, "\(value)") { try read(forged) }
    }
  }

  /// What the layout says: see StagedBlock.
  private var headerLength: Int { 8 + 4 + 4 + 8 + 4 + 4 + 4 + 16 + 8 + 4 + 4 }
}
