import CKernels
import Platform
import Synchronization
import Tensors

// The sections of a book, which compresses the terms of one or several segments:
//   "shape"      u32 dimension, bits, centroids, whether decoded vectors are scaled to length 1
//   "buckets"    f32 × (2^bits − 1) cutoffs, f32 × 2^bits weights
//   "centroids"  centroids × dimension bf16, row-major

/// Centroids and buckets: what turns term vectors into residual codes and back.
package struct ResidualBook: Sendable {
  /// Components of a vector.
  package let dimension: Int
  /// The number of centroids.
  package let count: Int
  /// Whether decoded vectors are scaled to length 1.
  package let normalizes: Bool
  /// The buckets of residuals.
  package let buckets: ResidualBuckets
  private let centroids: any VerifiedBytes
  private let coded = LazyCodes()

  /// Codes that are made once.
  private final class LazyCodes: Sendable {
    let codes = Mutex<CodedCentroids?>(nil)
  }

  /// The book in 7 bits; nil where rows of this shape cannot be coded.
  func codes() throws(RetortError) -> CodedCentroids? {
    guard CodedCentroids.canCode(dimension: dimension, bits: buckets.bits) else { return nil }
    return try coded.codes.withLock { known throws(RetortError) in
      if let known { return known }
      let made = try CodedCentroids(self)
      known = made
      return made
    }
  }

  /// Bytes of a centroid's number.
  package var idBytes: Int { count <= 1 << 16 ? 2 : 3 }

  /// Reads the sections that `section` finds by name.
  package init(
    _ section: (String) throws(RetortError) -> any VerifiedBytes
  ) throws(RetortError) {
    let shape = try section("shape")
    let words = try Self.words(shape)
    guard words.count == 4, (1...(1 << 16)).contains(words[0]), [1, 2, 4].contains(words[1]),
      (1...UInt32(TermSampling.mostCentroids)).contains(words[2]), words[3] <= 1
    else { throw shape.damaged("its sizes") }
    dimension = Int(words[0])
    count = Int(words[2])
    normalizes = words[3] == 1
    let borders = 1 << Int(words[1])
    let limits = try section("buckets")
    let values = try Self.words(limits).map { Float(bitPattern: $0) }
    guard values.count == 2 * borders - 1, values.allSatisfy(\.isFinite) else {
      throw limits.damaged("\(values.count) numbers for \(words[1]) bits")
    }
    buckets = ResidualBuckets(
      bits: Int(words[1]), cutoffs: Array(values[..<(borders - 1)]),
      weights: Array(values[(borders - 1)...]))
    centroids = try section("centroids")
    guard centroids.count == count * dimension * 2 else {
      throw centroids.damaged("\(centroids.count) bytes for \(count) of \(dimension)")
    }
  }

  /// A book of centroids, which are rounded to bf16.
  package init(centroids: Matrix, buckets: ResidualBuckets, normalizes: Bool) {
    dimension = centroids.columns
    count = centroids.rows
    self.buckets = buckets
    self.normalizes = normalizes
    let bytes = OwnedBytes(count: centroids.count * 2)
    let rounded = Matrix(
      rows: centroids.rows, columns: centroids.columns, values: centroids.values)
    retort_round_to_bf16(rounded.pointer, rounded.count)
    let target = bytes.start.bindMemory(to: UInt16.self, capacity: max(centroids.count, 1))
    for i in 0..<rounded.count {
      target[i] = UInt16(truncatingIfNeeded: rounded.pointer[i].bitPattern >> 16)
    }
    self.centroids = bytes
  }

  /// The sections, by name.
  package func sections() throws(RetortError) -> [(name: String, bytes: [UInt8])] {
    var shape: [UInt8] = []
    for word in [dimension, buckets.bits, count, normalizes ? 1 : 0] {
      withUnsafeBytes(of: UInt32(word).littleEndian) { shape += $0 }
    }
    let limits = (buckets.cutoffs + buckets.weights).withUnsafeBytes { Array<UInt8>($0) }
    return [
      ("shape", shape), ("buckets", limits),
      ("centroids", Array(try centroids.bytes(0..<centroids.count))),
    ]
  }

  private static func words(_ section: any VerifiedBytes) throws(RetortError) -> [UInt32] {
    let bytes = try section.bytes(0..<section.count)
    guard bytes.count % 4 == 0 else { throw section.damaged("its length is no multiple of 4") }
    return (0..<(bytes.count / 4)).map {
      UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self))
    }
  }

  /// The error of a row that names no centroid.
  func damaged() -> RetortError { centroids.damaged("a vector names a centroid beyond \(count)") }

  /// The centroids, verified, bf16.
  private func verified() throws(RetortError) -> UnsafePointer<UInt16> {
    let bytes = try centroids.bytes(0..<centroids.count)
    guard let base = bytes.baseAddress else { throw centroids.damaged("empty") }
    return base.assumingMemoryBound(to: UInt16.self)
  }

  /// Centroids `range` as single precision, [range × dimension], into `out`.
  package func widen(
    _ range: Range<Int>, into out: UnsafeMutablePointer<Float>
  ) throws(RetortError) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    let source = try verified() + range.lowerBound * dimension
    retort_widen_bf16(out, source, range.count * dimension)
  }

  /// All centroids, [count × dimension].
  package func matrix() throws(RetortError) -> Matrix {
    let matrix = Matrix(rows: count, columns: dimension)
    try widen(0..<count, into: matrix.pointer)
    return matrix
  }

  /// Decodes `rows` vectors, [rows × dimension]; false where one names a centroid that is none.
  package func decode(
    _ out: UnsafeMutablePointer<Float>, ids: UnsafePointer<UInt8>,
    residuals: UnsafePointer<UInt8>, rows: Int, level: retort_level = retort_level_in_use()
  ) throws(RetortError) -> Bool {
    var kernel = retort_term_book()
    kernel.dimension = dimension
    kernel.count = count
    kernel.centroids = try verified()
    kernel.bits = Int32(buckets.bits)
    kernel.id_bytes = Int32(idBytes)
    kernel.normalizes = normalizes
    return buckets.weights.withUnsafeBufferPointer { weights in
      kernel.weights = weights.baseAddress
      return retort_decode_terms(level, out, ids, residuals, rows, &kernel)
    }
  }

  /// The vectors as bytes and scales; nil where rows cannot be coded, or one names a centroid that is
  /// none.
  package func unpacked(
    ids: [UInt8], residuals: [UInt8], rows: Int, level: retort_level
  ) throws(RetortError) -> (codes: [UInt8], scales: [Float])? {
    guard let book = try codes() else { return nil }
    var codes = [UInt8](repeating: 0, count: rows * dimension)
    var scales = [Float](repeating: 0, count: rows)
    let isWhole = book.code(
      &codes, scales: &scales, ids: ids, residuals: residuals, rows: rows, level: level)
    return isWhole ? (codes, scales) : nil
  }

  /// Writes the residual codes of a vector whose centroid is known.
  func encode(
    _ vector: UnsafePointer<Float>, centroid: Int, into out: UnsafeMutablePointer<UInt8>
  ) throws(RetortError) {
    retort_encode_residual(
      out, vector, try verified() + centroid * dimension, dimension, buckets.cutoffs,
      Int32(buckets.bits))
  }
}

/// Memory of its own, in the place of a file.
package final class OwnedBytes: VerifiedBytes, @unchecked Sendable {
  /// The memory; filled before it is handed on.
  package let start: UnsafeMutableRawPointer
  /// The number of bytes.
  package let count: Int

  /// Zeros.
  package init(count: Int) {
    start = .allocate(byteCount: max(count, 1), alignment: 64)
    start.initializeMemory(as: UInt8.self, repeating: 0, count: max(count, 1))
    self.count = count
  }

  /// A copy of `bytes`.
  package convenience init(_ bytes: [UInt8]) {
    self.init(count: bytes.count)
    start.copyMemory(from: bytes, byteCount: bytes.count)
  }

  deinit { start.deallocate() }

  /// The bytes of `range`.
  package func bytes(_ range: Range<Int>) throws(RetortError) -> UnsafeRawBufferPointer {
    guard range.lowerBound >= 0, range.upperBound <= count else {
      throw damaged("bytes \(range) of \(count)")
    }
    return UnsafeRawBufferPointer(start: start + range.lowerBound, count: range.count)
  }

  /// The error of bytes that make no sense.
  package func damaged(_ reason: String) -> RetortError {
    RetortError(.badData, "term vectors make no sense (\(reason))")
  }
}
