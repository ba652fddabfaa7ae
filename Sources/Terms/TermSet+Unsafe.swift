import CKernels
import Platform
import Tensors

// The sections of a segment's terms:
//   "shape"    u32 codec, dimension; u64 passages, vectors; u32 checksum of the book's header, zero
//   "offsets"  u64 × (passages + 1): the first vector of every passage, and one past the last
//   "rows"     the codes of the vectors, `rowBytes` each
//   "ids"      residuals: the number of each vector's centroid, 2 bytes, or 3 where there are more
//              than 65,536 centroids
//   "scales"   int8: f32 a vector
//   "starts"   residuals: u64 × (centroids + 1), where the lists begin
//   "lists"    residuals: for each centroid the passages with a vector of it, ascending, as
//              differences in LEB128

/// The term vectors of a segment's passages.
package struct TermSet: Sendable {
  /// How vectors are stored.
  package let codec: TermCodec
  /// Components of a vector.
  package let dimension: Int
  /// The number of passages.
  package let count: Int
  /// The number of vectors.
  package let rowCount: Int
  /// Tells books apart: the checksum of the header; 0 without.
  package let bookChecksum: UInt32
  /// Residuals: centroids and buckets.
  package let book: ResidualBook?
  let rowBytes: Int
  let offsets: any VerifiedBytes
  let rows: any VerifiedBytes
  let ids: (any VerifiedBytes)?
  let scales: (any VerifiedBytes)?
  let lists: (starts: any VerifiedBytes, bytes: any VerifiedBytes)?

  /// What "shape" says.
  package struct Shape: Sendable, Equatable {
    /// How vectors are stored.
    package var codec: TermCodec
    /// Components of a vector.
    package var dimension: Int
    /// The number of passages.
    package var passages: Int
    /// The number of vectors.
    package var rows: Int
    /// The checksum of the book's header; 0 without.
    package var book: UInt32

    /// Describes terms.
    package init(codec: TermCodec, dimension: Int, passages: Int, rows: Int, book: UInt32) {
      self.codec = codec
      self.dimension = dimension
      self.passages = passages
      self.rows = rows
      self.book = book
    }

    /// The section.
    package var bytes: [UInt8] {
      var bytes: [UInt8] = []
      func append(_ word: UInt32) { withUnsafeBytes(of: word.littleEndian) { bytes += $0 } }
      append(codec.number)
      append(UInt32(dimension))
      for long in [passages, rows] {
        append(UInt32(truncatingIfNeeded: long))
        append(UInt32(truncatingIfNeeded: long >> 32))
      }
      append(book)
      append(0)
      return bytes
    }

    /// Reads the section.
    package init(_ section: any VerifiedBytes) throws(RetortError) {
      let bytes = try section.bytes(0..<section.count)
      guard bytes.count == 32 else { throw section.damaged("its length") }
      func word(_ at: Int) -> UInt32 {
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
      }
      func long(_ at: Int) -> UInt64 { UInt64(word(at)) | UInt64(word(at + 4)) << 32 }
      guard let codec = TermCodec.allCases.first(where: { $0.number == word(0) }),
        (1...(1 << 16)).contains(word(4)), long(8) < 1 << 31, long(16) < 1 << 40
      else { throw section.damaged("its sizes") }
      self.init(
        codec: codec, dimension: Int(word(4)), passages: Int(long(8)), rows: Int(long(16)),
        book: word(24))
    }
  }

  /// Reads the sections that `section` finds by name.
  package init(
    book: ResidualBook?, _ section: (String) throws(RetortError) -> any VerifiedBytes
  ) throws(RetortError) {
    let first = try section("shape")
    let shape = try Shape(first)
    codec = shape.codec
    dimension = shape.dimension
    count = shape.passages
    rowCount = shape.rows
    bookChecksum = shape.book
    rowBytes = codec.rowBytes(dimension: dimension)
    offsets = try section("offsets")
    rows = try section("rows")
    guard offsets.count == (count + 1) * 8 else {
      throw offsets.damaged("\(offsets.count) bytes for \(count) passages")
    }
    guard rows.count == rowCount * rowBytes else {
      throw rows.damaged("\(rows.count) bytes for \(rowCount) vectors of \(rowBytes)")
    }
    scales = codec == .int8 ? try section("scales") : nil
    if let scales, scales.count != rowCount * 4 { throw scales.damaged("its length") }
    guard let bits = codec.bits else {
      self.book = nil
      ids = nil
      lists = nil
      return
    }
    guard let book, book.dimension == dimension, book.buckets.bits == bits else {
      throw first.damaged("the book is of another dimension or other bits, or there is none")
    }
    self.book = book
    let numbers = try section("ids")
    guard numbers.count == rowCount * book.idBytes else { throw numbers.damaged("its length") }
    ids = numbers
    let starts = try section("starts")
    guard starts.count == (book.count + 1) * 8 else { throw starts.damaged("its length") }
    lists = (starts, try section("lists"))
  }

  static func long(_ section: any VerifiedBytes, _ place: Int) throws(RetortError) -> UInt64 {
    let bytes = try section.bytes(place * 8..<place * 8 + 8)
    return UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
  }

  /// The vectors of a passage.
  package func range(_ place: Int) throws(RetortError) -> Range<Int> {
    let bytes = try offsets.bytes(place * 8..<place * 8 + 16)
    let first = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    let next = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    // A passage has no more tokens than any model takes.
    guard first <= next, next <= UInt64(rowCount), next - first <= 1 << 20 else {
      throw offsets.damaged("passage \(place)")
    }
    return Int(first)..<Int(next)
  }

  /// Decodes the vectors `range`, [range × dimension].
  package func decode(
    _ range: Range<Int>, into out: UnsafeMutablePointer<Float>
  ) throws(RetortError) {
    guard !range.isEmpty else { return }
    let bytes = try rows.bytes(range.lowerBound * rowBytes..<range.upperBound * rowBytes)
    guard let base = bytes.baseAddress else { return }
    let level = retort_level_in_use()
    if let book, let ids {
      let numbers = try ids.bytes(
        range.lowerBound * book.idBytes..<range.upperBound * book.idBytes)
      guard let numbers = numbers.baseAddress,
        try book.decode(
          out, ids: numbers.assumingMemoryBound(to: UInt8.self),
          residuals: base.assumingMemoryBound(to: UInt8.self), rows: range.count)
      else { throw ids.damaged("a vector of \(range) names a centroid that is none") }
    } else if let scales {
      let codes = base.assumingMemoryBound(to: UInt8.self)
      let factors = try scales.bytes(range.lowerBound * 4..<range.upperBound * 4)
      for row in 0..<range.count {
        let scale = factors.loadUnaligned(fromByteOffset: row * 4, as: Float.self)
        retort_from_codes(out + row * dimension, codes + row * rowBytes, scale, dimension)
      }
    } else if codec == .f32 {
      UnsafeMutableRawPointer(out).copyMemory(from: base, byteCount: bytes.count)
    } else {
      retort_from_half(
        level, out, base.assumingMemoryBound(to: UInt16.self), range.count * dimension)
    }
  }

  /// The decoded vectors of passages, one after the other, and where each one's begin.
  package func terms(
    _ places: [Int]
  ) throws(RetortError) -> (values: [Float], offsets: [Int]) {
    var ranges: [Range<Int>] = []
    var offsets = [0]
    for place in places {
      ranges.append(try range(place))
      offsets.append((offsets.last ?? 0) + (ranges.last?.count ?? 0))
    }
    let total = (offsets.last ?? 0) * dimension
    var values = [Float](repeating: 0, count: total)
    let result = values.withUnsafeMutableBufferPointer { values in
      Result { () throws(RetortError) in
        guard let base = values.baseAddress else { return }
        for (range, offset) in zip(ranges, offsets) {
          try decode(range, into: base + offset * dimension)
        }
      }
    }
    try result.get()
    return (values, offsets)
  }

  /// The centroids of the vectors `range`.
  func centroids(_ range: Range<Int>, into out: inout [UInt32]) throws(RetortError) {
    out.removeAll(keepingCapacity: true)
    guard let book, let ids, !range.isEmpty else { return }
    let width = book.idBytes
    let bytes = try ids.bytes(range.lowerBound * width..<range.upperBound * width)
    for row in 0..<range.count {
      var number = UInt32(bytes[row * width]) | UInt32(bytes[row * width + 1]) << 8
      if width == 3 { number |= UInt32(bytes[row * width + 2]) << 16 }
      guard number < book.count else { throw ids.damaged("vector \(range.lowerBound + row)") }
      out.append(number)
    }
  }

  /// Reads and checks everything that checksums do not: offsets, centroids and lists.
  package func verify() throws(RetortError) {
    var expected = 0
    var numbers: [UInt32] = []
    var members = [Int](repeating: 0, count: book?.count ?? 0)
    for place in 0..<count {
      if place % 1024 == 0 { try Interruption.check() }
      let range = try range(place)
      guard range.lowerBound == expected else { throw offsets.damaged("passage \(place)") }
      expected = range.upperBound
      try centroids(range, into: &numbers)
      for number in Set(numbers) { members[Int(number)] += 1 }
    }
    guard expected == rowCount else { throw offsets.damaged("it ends before the vectors do") }
    guard let lists else { return }
    for (centroid, wanted) in members.enumerated() {
      var found = 0
      try forEachPassage(of: centroid) { _ in found += 1 }
      guard found == wanted else {
        throw lists.bytes.damaged("centroid \(centroid) has \(found) passages, not \(wanted)")
      }
    }
  }
}

extension TermSet {
  /// The codes of the vectors `range`, as they are stored.
  package func coded(_ range: Range<Int>) throws(RetortError) -> CodedTerms {
    var coded = CodedTerms()
    guard !range.isEmpty else { return coded }
    coded.rows = Array(try rows.bytes(range.lowerBound * rowBytes..<range.upperBound * rowBytes))
    if let ids, let book {
      let width = book.idBytes
      coded.ids = Array(try ids.bytes(range.lowerBound * width..<range.upperBound * width))
    }
    if let scales {
      let bytes = try scales.bytes(range.lowerBound * 4..<range.upperBound * 4)
      coded.scales = (0..<range.count).map {
        bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self)
      }
    }
    return coded
  }
}
