import Platform

// building/block-000000.part: one unit of finished encoding, little-endian, atomic (written aside
// and renamed), so that a killed build keeps every block it had finished:
//   8 "RETORTBK" · u32 version 1 · u32 dimension · u64 number of the first passage · u32 count
//   u32 truncated texts · u32 empty texts · u64 ×2 hash of the corpus so far · u64 payload length
//   u32 CRC-32C of the payload · u32 CRC-32C of the header before it
//   payload: count × dimension f32, then per passage u32 id bytes, u32 text bytes, u32 bytes of
//   fields, and these

/// A block of encoded passages on its way into an index.
package struct StagedBlock: Sendable {
  /// The number of the block's first passage.
  package var first: Int
  /// Components a vector.
  package var dimension: Int
  /// The vectors' little-endian bytes, row-major.
  package var vectors: [UInt8]
  /// A passage's id and text as UTF-8, and its fields as `encodedFields` writes them.
  package typealias StagedPassage = (id: [UInt8], text: [UInt8], fields: [UInt8])
  /// The passages.
  package var passages: [StagedPassage]
  /// Texts cut at the encoder's maximum length.
  package var truncatedTexts: Int
  /// Passages without text.
  package var emptyTexts: Int
  /// Hash of all ids and texts from the start of the corpus to the end of this block.
  package var corpusHash: UInt128

  /// A block of passages and their vectors.
  package init(
    first: Int, dimension: Int, vectors: [UInt8], passages: [StagedPassage], truncatedTexts: Int,
    emptyTexts: Int, corpusHash: UInt128
  ) {
    self.first = first
    self.dimension = dimension
    self.vectors = vectors
    self.passages = passages
    self.truncatedTexts = truncatedTexts
    self.emptyTexts = emptyTexts
    self.corpusHash = corpusHash
  }

  private static let magic = Array("RETORTBK".utf8)
  private static let headerLength = 8 + 4 + 4 + 8 + 3 * 4 + 16 + 8 + 4 + 4

  /// The file of block `number` in `folder`.
  package static func path(_ number: Int, in folder: IndexFolder) -> String {
    let digits = String(number)
    return folder.buildingPath + "/block-"
      + String(repeating: "0", count: max(0, 6 - digits.count)) + digits + ".part"
  }

  /// The file's bytes.
  package func encoded() -> [UInt8] {
    var payload = vectors
    for passage in passages {
      payload.appendInteger(UInt32(passage.id.count))
      payload.appendInteger(UInt32(passage.text.count))
      payload.appendInteger(UInt32(passage.fields.count))
      payload += passage.id
      payload += passage.text
      payload += passage.fields
    }
    var bytes = Self.magic
    bytes.appendInteger(UInt32(1))
    bytes.appendInteger(UInt32(dimension))
    bytes.appendInteger(UInt64(first))
    bytes.appendInteger(UInt32(passages.count))
    bytes.appendInteger(UInt32(truncatedTexts))
    bytes.appendInteger(UInt32(emptyTexts))
    bytes.appendInteger(UInt64(truncatingIfNeeded: corpusHash))
    bytes.appendInteger(UInt64(truncatingIfNeeded: corpusHash >> 64))
    bytes.appendInteger(UInt64(payload.count))
    bytes.appendInteger(Checksum.crc32c(payload))
    bytes.appendInteger(Checksum.crc32c(bytes))
    return bytes + payload
  }

  /// Reads the block at `path`.
  package init(path: String) throws(RetortError) {
    let bytes = try FileSystem.read(path, limit: 1 << 33)
    let damaged = RetortError(
      .checksumMismatch, "a block of the unfinished build is damaged; build again with --overwrite",
      path: path)
    guard bytes.count >= Self.headerLength, bytes.starts(with: Self.magic) else { throw damaged }
    var reader = ByteReader(bytes, at: 8)
    let version: UInt32 = reader.next()
    let dimension: UInt32 = reader.next()
    let first: UInt64 = reader.next()
    let count: UInt32 = reader.next()
    let truncated: UInt32 = reader.next()
    let empty: UInt32 = reader.next()
    let low: UInt64 = reader.next()
    let high: UInt64 = reader.next()
    let length: UInt64 = reader.next()
    let payloadChecksum: UInt32 = reader.next()
    let headerChecksum: UInt32 = reader.next()
    guard Checksum.crc32c(Array(bytes[..<(Self.headerLength - 4)])) == headerChecksum,
      version == 1, length == UInt64(bytes.count - Self.headerLength),
      Checksum.crc32c(Array(bytes[Self.headerLength...])) == payloadChecksum
    else { throw damaged }
    let (floats, overflow) = UInt64(count).multipliedReportingOverflow(by: UInt64(dimension))
    guard !overflow, floats <= UInt64(bytes.count - Self.headerLength) / 4 else { throw damaged }
    let vectorBytes = Int(floats) * 4
    let start = Self.headerLength + vectorBytes
    var passages: [StagedPassage] = []
    reader = ByteReader(bytes, at: start)
    for _ in 0..<count {
      guard reader.remaining >= 12 else { throw damaged }
      let id: UInt32 = reader.next()
      let text: UInt32 = reader.next()
      let fields: UInt32 = reader.next()
      guard reader.remaining >= Int(id) + Int(text) + Int(fields) else { throw damaged }
      passages.append(
        (reader.take(Int(id)), reader.take(Int(text)), reader.take(Int(fields))))
    }
    self.init(
      first: Int(clamping: first), dimension: Int(dimension),
      vectors: Array(bytes[Self.headerLength..<start]), passages: passages,
      truncatedTexts: Int(truncated), emptyTexts: Int(empty),
      corpusHash: UInt128(high) << 64 | UInt128(low))
  }
}

/// Takes little-endian numbers and byte strings off an array; callers check `remaining` first.
private struct ByteReader {
  private let bytes: [UInt8]
  private var place: Int

  init(_ bytes: [UInt8], at place: Int) {
    self.bytes = bytes
    self.place = place
  }

  var remaining: Int { bytes.count - place }

  mutating func next<Number: FixedWidthInteger>() -> Number {
    var value: Number = 0
    let size = Number.bitWidth / 8
    for i in 0..<size {
      value |= Number(truncatingIfNeeded: bytes[place + i]) << Number(truncatingIfNeeded: 8 * i)
    }
    place += size
    return value
  }

  mutating func take(_ count: Int) -> [UInt8] {
    defer { place += count }
    return Array(bytes[place..<(place + count)])
  }
}
