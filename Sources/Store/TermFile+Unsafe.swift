import Platform
import Terms

// terms-N.seg, kind TERM, for the N-th re-ranker whose term vectors an index stores: the sections that
// `TermSet` draws. book-N.seg, kind BOOK, where they are compressed to residuals: those of
// `ResidualBook`. Segments whose terms were compressed alike name one and the same book.

/// The stored term vectors of a segment, mapped.
package struct TermFile: Sendable {
  /// The vectors.
  package let terms: TermSet
  /// The file.
  package let file: SegmentFile
  /// The file of centroids; nil for codecs without.
  package let bookFile: SegmentFile?

  /// Maps the file at `path`, of `count` passages.
  package init(
    path: String, book: String?, count: Int, info: Manifest.Terms, budget: MemoryBudget? = nil
  ) throws(RetortError) {
    let file = try SegmentFile(path: path, kind: .terms, budget: budget)
    self.file = file
    let bookFile = try book.map { path throws(RetortError) in
      try SegmentFile(path: path, kind: .book, budget: budget)
    }
    self.bookFile = bookFile
    let shape = try TermSet.Shape(try file.section("shape"))
    guard shape.codec == info.codec, shape.dimension == info.dimension, shape.passages == count
    else {
      throw try file.section("shape").damaged(
        "\(shape.passages) passages of \(count), dimension \(shape.dimension) of \(info.dimension), or "
          + "another codec than the manifest says")
    }
    guard shape.book == bookFile?.headerChecksum ?? 0 else {
      throw try file.section("shape").damaged("these vectors were compressed with another book")
    }
    terms = try TermSet(book: try bookFile.map(Self.book)) { name throws(RetortError) in
      try file.section(name)
    }
  }

  /// The centroids and buckets of a file.
  package static func book(_ file: SegmentFile) throws(RetortError) -> ResidualBook {
    try ResidualBook { name throws(RetortError) in try file.section(name) }
  }

  /// The centroids and buckets of the file at `path`.
  package static func book(path: String) throws(RetortError) -> ResidualBook {
    try book(try SegmentFile(path: path, kind: .book))
  }

  /// Writes a durable file of centroids and buckets.
  package static func write(_ book: ResidualBook, to path: String) throws(RetortError) {
    let writer = try SegmentFileWriter(path: path, kind: .book)
    for section in try book.sections() { try writer.add(section.name, section.bytes) }
    try writer.finish()
  }

  /// Verifies every block, and what checksums do not tell.
  package func verify() throws(RetortError) {
    try file.verifyAll()
    try bookFile?.verifyAll()
    try terms.verify()
  }

  /// Bytes of the vectors, without the book.
  package var bytes: Int { file.length }
}

/// Writes the term vectors of a segment.
package final class TermFileWriter {
  private let writer: SegmentFileWriter
  private let path: String
  private let codec: TermCodec
  private let dimension: Int
  private let book: (book: ResidualBook, checksum: UInt32)?
  private var offsets = [0]
  /// What belongs to sections behind the one that is being written.
  private let side: FileWriter

  /// Starts the file at `path`.
  ///
  /// - Parameter book: the path of the file of centroids.
  package init(
    path: String, codec: TermCodec, dimension: Int, book: String?
  ) throws(RetortError) {
    self.path = path
    self.codec = codec
    self.dimension = dimension
    self.book = try book.map { path throws(RetortError) in
      let file = try SegmentFile(path: path, kind: .book)
      return (try TermFile.book(file), file.headerChecksum)
    }
    writer = try SegmentFileWriter(path: path, kind: .terms)
    side = try FileWriter(path: path + ".tmp", mode: .replace)
    try writer.begin("rows")
  }

  /// Appends the vectors of passages.
  ///
  /// - Parameter counts: the vectors of each passage.
  package func append(counts: [Int], _ coded: [CodedTerms]) throws(RetortError) {
    for count in counts { offsets.append((offsets.last ?? 0) + count) }
    for part in coded {
      try writer.append(part.rows)
      try side.append(part.ids)
      try side.append(values: part.scales)
    }
  }

  /// Ends the file and makes it durable.
  package func finish() throws(RetortError) {
    writer.end()
    try side.finish()
    let mapped = try MappedFile(path: path + ".tmp")
    try withExtendedLifetime(mapped) { () throws(RetortError) in
      if mapped.count > 0 || book != nil || codec == .int8 {
        try writer.begin(codec == .int8 ? "scales" : "ids")
        for start in stride(from: 0, to: mapped.count, by: 1 << 20) {
          try Interruption.check()
          try writer.append(Array(mapped.bytes[start..<min(mapped.count, start + 1 << 20)]))
        }
        writer.end()
      }
      if let book = book?.book {
        try writer.begin("lists")
        let starts = try CentroidLists.write(
          ids: mapped.bytes, idBytes: book.idBytes, offsets: offsets, centroids: book.count
        ) { bytes throws(RetortError) in try writer.append(bytes) }
        writer.end()
        try writer.add("starts", starts)
      }
    }
    try mapped.checkIntact()
    try FileSystem.removeTree(path + ".tmp")
    try writer.begin("offsets")
    var bytes: [UInt8] = []
    bytes.reserveCapacity(offsets.count * 8)
    for offset in offsets { bytes.appendInteger(UInt64(offset)) }
    try writer.append(bytes)
    writer.end()
    try writer.add(
      "shape",
      TermSet.Shape(
        codec: codec, dimension: dimension, passages: offsets.count - 1, rows: offsets.last ?? 0,
        book: book?.checksum ?? 0
      ).bytes)
    try writer.finish()
  }
}
