import Platform

// building/block-terms-N-SEGMENT-000000.part: the term vectors of a batch of passages, little-endian,
// atomic, so that what was encoded survives a kill:
//   8 "RETORTTB" · u32 version 1 · u32 dimension · u64 number of the first passage · u32 passages
//   u32 truncated texts · u64 vectors · u64 ×2 hash of the texts and of the re-ranker
//   u32 CRC-32C of the payload · u32 CRC-32C of the header before it
//   payload: u32 × passages vectors of each, then vectors × dimension in 16 bits: half precision, or for
//   f32 the halves of each number, low first, with twice the dimension

/// A batch of encoded terms on its way into an index.
package struct StagedTerms: Sendable {
  /// The number of the first passage.
  package var first: Int
  /// 16-bit words of a vector.
  package var dimension: Int
  /// The vectors of each passage.
  package var counts: [Int]
  /// The vectors, in half precision or as `TermCodec.stagedWords` says.
  package var halves: [UInt16]
  /// Passages of which only the start was read.
  package var truncated: Int
  /// What the vectors depend on.
  package var hash: UInt128

  /// A batch.
  package init(
    first: Int, dimension: Int, counts: [Int], halves: [UInt16], truncated: Int, hash: UInt128
  ) {
    self.first = first
    self.dimension = dimension
    self.counts = counts
    self.halves = halves
    self.truncated = truncated
    self.hash = hash
  }

  private static let magic = Array("RETORTTB".utf8)
  private static let headerLength = 8 + 4 + 4 + 8 + 4 + 4 + 8 + 16 + 4 + 4

  /// The file of batch `number` of the terms called `name`.
  package static func path(_ number: Int, of name: String, in folder: IndexFolder) -> String {
    let digits = String(number)
    return folder.buildingPath + "/block-\(name)-"
      + String(repeating: "0", count: max(0, 6 - digits.count)) + digits + ".part"
  }

  /// The file's bytes.
  package func encoded() -> [UInt8] {
    var payload: [UInt8] = []
    payload.reserveCapacity(counts.count * 4 + halves.count * 2)
    for count in counts { payload.appendInteger(UInt32(count)) }
    payload += halves.withUnsafeBytes { Array($0) }
    var bytes = Self.magic
    bytes.appendInteger(UInt32(1))
    bytes.appendInteger(UInt32(dimension))
    bytes.appendInteger(UInt64(first))
    bytes.appendInteger(UInt32(counts.count))
    bytes.appendInteger(UInt32(truncated))
    bytes.appendInteger(UInt64(counts.reduce(0, +)))
    bytes.appendInteger(UInt64(truncatingIfNeeded: hash))
    bytes.appendInteger(UInt64(truncatingIfNeeded: hash >> 64))
    bytes.appendInteger(Checksum.crc32c(payload))
    bytes.appendInteger(Checksum.crc32c(bytes))
    return bytes + payload
  }

  /// Reads the batch at `path`.
  package init(path: String) throws(RetortError) {
    let bytes = try FileSystem.read(path, limit: 1 << 36)
    let damaged = RetortError(
      .checksumMismatch,
      "a block of unfinished term vectors is damaged; remove it and run the same command again",
      path: path)
    guard bytes.count >= Self.headerLength, bytes.starts(with: Self.magic) else { throw damaged }
    func number(_ at: Int, _ size: Int) -> UInt64 {
      (0..<size).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
    }
    guard Checksum.crc32c(Array(bytes[..<(Self.headerLength - 4)])) == UInt32(number(60, 4)),
      number(8, 4) == 1,
      Checksum.crc32c(Array(bytes[Self.headerLength...])) == UInt32(number(56, 4))
    else { throw damaged }
    let dimension = number(12, 4)
    let count = number(24, 4)
    let (values, overflow) = number(32, 8).multipliedReportingOverflow(by: dimension)
    guard !overflow, count <= 1 << 30, values <= 1 << 40,
      UInt64(bytes.count - Self.headerLength) == count * 4 + values * 2
    else { throw damaged }
    var counts: [Int] = []
    for place in 0..<Int(count) { counts.append(Int(number(Self.headerLength + place * 4, 4))) }
    guard counts.reduce(0, +) == Int(number(32, 8)) else { throw damaged }
    let start = Self.headerLength + counts.count * 4
    let halves = (0..<Int(values)).map {
      UInt16(bytes[start + 2 * $0]) | UInt16(bytes[start + 2 * $0 + 1]) << 8
    }
    self.init(
      first: Int(clamping: number(16, 8)), dimension: Int(dimension), counts: counts,
      halves: halves, truncated: Int(number(28, 4)),
      hash: UInt128(number(48, 8)) << 64 | UInt128(number(40, 8)))
  }
}
