import Platform

// The container of every binary file of an index, little-endian:
//
//   offset  size  field
//        0     8  magic "RETORTSG"
//        8     4  format version (1)
//       12     4  kind: "VECS", "PSGS", "GRPH", "META", "TOMB", "LEXI",
//                "TERM" or "BOOK"
//       16     8  length of the file
//       24     4  number of sections, at most 64
//       28     4  CRC-32C of this page with this field zero
//       32    56  an entry a section:
//                   16 name, ASCII, zero-padded
//                    8 offset of the data (a multiple of 64)
//                    8 length of the data
//                    8 offset of the checksum table: a u32 CRC-32C a block of the data
//                    4 bytes a block (the last may be shorter), at least 1
//                    4 CRC-32C of the checksum table
//                    8 zero
//     4096        the sections, each padded to 64, the checksum tables among them
//
// Opening reads this page and the checksum tables, a 16,000th of the file. Data blocks are verified
// when they are first touched, so a flipped bit anywhere is an error when it would matter and
// opening costs the same for a thousand passages and for ten million.

/// What a segment file holds.
package enum SegmentKind: UInt32, Sendable {
  case vectors = 0x5343_4556
  case passages = 0x5347_5350
  case graph = 0x4850_5247
  case metadata = 0x4154_454D
  case tombstones = 0x424D_4F54
  case lexical = 0x4958_454C
  case terms = 0x4D52_4554
  case book = 0x4B4F_4F42

  var name: String {
    switch self {
    case .vectors: "vectors"
    case .passages: "passages"
    case .graph: "graph"
    case .metadata: "metadata"
    case .tombstones: "tombstones"
    case .lexical: "postings"
    case .terms: "term vectors"
    case .book: "centroids"
    }
  }
}

enum SegmentLayout {
  static let magic = Array("RETORTSG".utf8)
  static let version: UInt32 = 1
  static let page = 4096
  static let entrySize = 56
  static let maximumSections = 64
  static let defaultBlock = 1 << 16
}

/// One section of a mapped segment file; every access verifies what it touches.
package struct Section: Sendable {
  /// The section's name.
  package let name: String
  private let data: UnsafeBytes
  private let guardian: BlockGuard
  /// Bytes a checksum block.
  package let blockLength: Int
  let path: String
  let offset: UInt64

  /// The length in bytes.
  package var count: Int { data.bytes.count }

  fileprivate init(
    name: String, data: UnsafeBytes, blockLength: Int, checksums: UnsafeBytes, path: String,
    offset: UInt64, budget: MemoryBudget?
  ) {
    self.name = name
    self.data = data
    self.blockLength = blockLength
    self.path = path
    self.offset = offset
    let blocks = (data.bytes.count + blockLength - 1) / blockLength
    guardian = BlockGuard(count: blocks, blockLength: blockLength, budget: budget) {
      block throws(RetortError) in
      let start = block * blockLength
      let end = min(data.bytes.count, start + blockLength)
      let found = try Self.checksum(of: data, start..<end, inFile: offset)
      let stored = checksums.bytes.loadUnaligned(fromByteOffset: block * 4, as: UInt32.self)
      guard found == UInt32(littleEndian: stored) else {
        throw RetortError(
          .checksumMismatch,
          "section \"\(name)\" is damaged (block \(block)); restore the file from a copy or build "
            + "the index again", path: path, at: .offset(offset + UInt64(start)))
      }
    }
  }

  /// The checksum of bytes `range` of a section that starts at `offset`; of a file that is read besides
  /// being mapped they are read: touched where they are mapped, they would bring along megabytes
  /// around them.
  private static func checksum(
    of data: UnsafeBytes, _ range: Range<Int>, inFile offset: UInt64
  ) throws(RetortError) -> UInt32 {
    guard data.owner.isRead else {
      return Checksum.crc32c(UnsafeRawBufferPointer(rebasing: data.bytes[range]))
    }
    return try withUnsafeTemporaryAllocation(byteCount: range.count, alignment: 64) {
      buffer throws(RetortError) in
      try data.owner.read(Int(offset) + range.lowerBound, into: buffer)
      return Checksum.crc32c(UnsafeRawBufferPointer(buffer))
    }
  }

  /// The verified bytes of `range`, which must lie within the section.
  package func bytes(_ range: Range<Int>) throws(RetortError) -> UnsafeRawBufferPointer {
    guard range.lowerBound >= 0, range.upperBound <= count else {
      throw RetortError(
        .badData, "section \"\(name)\" has \(count) bytes, but bytes \(range) are asked for",
        path: path, at: .offset(offset))
    }
    if !range.isEmpty {
      for block in (range.lowerBound / blockLength)...((range.upperBound - 1) / blockLength) {
        try guardian.ensure(block)
      }
    }
    return UnsafeRawBufferPointer(rebasing: data.bytes[range])
  }

  /// All bytes, verified.
  package func all() throws(RetortError) -> UnsafeRawBufferPointer { try bytes(0..<count) }

  /// All of the section as 32-bit numbers; its length must be a multiple of 4.
  package func words() throws(RetortError) -> [UInt32] {
    let bytes = try all()
    guard bytes.count % 4 == 0 else { throw damaged("its length is no multiple of 4") }
    return (0..<(bytes.count / 4)).map {
      UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self))
    }
  }

  /// The unverified start of the data and its guard, for code that verifies block by block itself.
  var raw: (bytes: UnsafeRawBufferPointer, guardian: BlockGuard) { (data.bytes, guardian) }

  /// The number of checksum blocks that were verified so far or now; throws at the first bad one.
  package func verifyAll() throws(RetortError) {
    let ahead = 16
    for block in 0..<guardian.count {
      if data.owner.isRead, block % ahead == 0 {
        // Scattered reads are expected of such a file, so that the system reads nothing ahead by itself.
        let start = block * blockLength
        data.owner.readAhead(
          Int(offset) + start, count: min(ahead * blockLength, data.bytes.count - start))
      }
      try guardian.ensure(block)
    }
  }

  package func damaged(_ reason: String) -> RetortError {
    RetortError(
      .badData,
      "section \"\(name)\" makes no sense (\(reason)); restore the file from a copy or build the "
        + "index again", path: path, at: .offset(offset))
  }
}

/// Bytes of a mapping together with what keeps them mapped.
struct UnsafeBytes: @unchecked Sendable {
  let bytes: UnsafeRawBufferPointer
  let owner: MappedFile
}

/// A mapped segment file.
package struct SegmentFile: Sendable {
  /// The file's path.
  package let path: String
  /// The file's length in bytes.
  package let length: Int
  /// CRC-32C of the header page, which covers the checksums of all the rest.
  package let headerChecksum: UInt32
  /// The sections by name.
  package let sections: [String: Section]
  /// The mapping that they lie in.
  package let mapping: MappedFile

  /// Maps and checks `path`: header, section table and checksum tables, not yet the data.
  ///
  /// - Parameters:
  ///   - budget: what bounds the memory of its data; nil: nothing does.
  ///   - isRead: whether parts will be read besides being mapped.
  package init(
    path: String, kind: SegmentKind, budget: MemoryBudget? = nil, isRead: Bool = false
  ) throws(RetortError) {
    let file = try MappedFile(path: path, isRead: isRead)
    self.path = path
    mapping = file
    length = file.count
    guard file.count >= SegmentLayout.page else {
      throw RetortError(
        .truncated,
        "is only \(file.count) bytes long, shorter than a header; restore it from a "
          + "copy or build the index again", path: path)
    }
    let page = UnsafeRawBufferPointer(rebasing: file.bytes[..<SegmentLayout.page])
    func word(_ offset: Int) -> UInt32 {
      UInt32(littleEndian: page.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    func long(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: page.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    guard page.prefix(8).elementsEqual(SegmentLayout.magic) else {
      throw RetortError(
        .badMagic, "is not a Retort segment file (wrong first bytes)", path: path, at: .offset(0))
    }
    guard word(8) == SegmentLayout.version else {
      throw RetortError(
        .unsupportedVersion,
        "has format version \(word(8)), this program reads version \(SegmentLayout.version); "
          + "use the matching release or build the index again", path: path, at: .offset(8))
    }
    headerChecksum = Checksum.crc32c(page)
    var copy = Array(page)
    for i in 28..<32 { copy[i] = 0 }
    guard Checksum.crc32c(copy) == word(28) else {
      throw RetortError(
        .checksumMismatch,
        "has a damaged header; restore the file from a copy or build the index "
          + "again", path: path, at: .offset(28))
    }
    guard word(12) == kind.rawValue else {
      throw RetortError(.badMagic, "is not a file of \(kind.name)", path: path, at: .offset(12))
    }
    guard long(16) == UInt64(file.count) else {
      throw RetortError(
        .truncated,
        "has \(file.count) bytes but its header says \(long(16)); restore it from a "
          + "copy or build the index again", path: path, at: .offset(16))
    }
    let count = Int(word(24))
    guard count <= SegmentLayout.maximumSections else {
      throw RetortError(
        .limitExceeded, "claims \(count) sections", path: path, at: .offset(24))
    }
    var found: [String: Section] = [:]
    for index in 0..<count {
      let entry = 32 + index * SegmentLayout.entrySize
      let name = String(
        decoding: page[entry..<(entry + 16)].prefix { $0 != 0 }, as: UTF8.self)
      let data = try file.slice(offset: long(entry + 16), length: long(entry + 24))
      let blockLength = Int(word(entry + 40))
      guard blockLength > 0, long(entry + 16) % 64 == 0 else {
        throw RetortError(
          .badData, "section \"\(name)\" has an impossible layout", path: path,
          at: .offset(UInt64(entry)))
      }
      let blocks = (data.count + blockLength - 1) / blockLength
      let table = try file.slice(offset: long(entry + 32), length: UInt64(blocks) * 4)
      guard Checksum.crc32c(table) == word(entry + 44) else {
        throw RetortError(
          .checksumMismatch,
          "the checksum table of section \"\(name)\" is damaged; restore the file from a copy or "
            + "build the index again", path: path, at: .offset(long(entry + 32)))
      }
      found[name] = Section(
        name: name, data: UnsafeBytes(bytes: data, owner: file), blockLength: blockLength,
        checksums: UnsafeBytes(bytes: table, owner: file), path: path, offset: long(entry + 16),
        budget: budget)
    }
    sections = found
    let guards = found.values.map { $0.raw.guardian }
    budget?.add(mapping: {
      for blocks in guards { blocks.recount() }
      file.advise(.dontNeed, range: 0..<file.count)
    })
    try file.checkIntact()
  }

  /// The section called `name`.
  package func section(_ name: String) throws(RetortError) -> Section {
    guard let section = sections[name] else {
      throw RetortError(.badData, "lacks the section \"\(name)\"", path: path)
    }
    return section
  }

  /// Verifies every block of every section.
  package func verifyAll() throws(RetortError) {
    for name in sections.keys.ordered() { try sections[name]?.verifyAll() }
  }
}
