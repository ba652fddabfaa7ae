import CKernels
import Graph
import Platform

// vectors.seg, kind VECS:
//   "shape"    u32 dimension, f32 largest Euclidean norm, u64 count
//   "vectors"  count × dimension f32, row-major, page-aligned; a checksum block is the smallest
//              power of two of vectors that fills 64 KiB, so that no vector straddles two

/// Writes a file of vectors.
package final class VectorFileWriter {
  private let writer: SegmentFileWriter
  private let dimension: Int
  private var count = 0
  private var largestSquare: Float = 0

  /// Starts the file at `path`.
  package init(path: String, dimension: Int) throws(RetortError) {
    self.dimension = dimension
    writer = try SegmentFileWriter(path: path, kind: .vectors)
    try writer.begin(
      "vectors", blockLength: (dimension * 4) << VectorFile.blockShift(dimension: dimension),
      alignment: SegmentLayout.page)
  }

  /// Appends vectors given as their little-endian bytes.
  package func append(bytes: [UInt8]) throws(RetortError) {
    let added = bytes.count / (dimension * 4)
    count += added
    bytes.withUnsafeBytes { raw in
      guard let base = raw.baseAddress else { return }
      for row in 0..<added {
        let vector = (base + row * dimension * 4).assumingMemoryBound(to: Float.self)
        largestSquare = max(largestSquare, retort_dot_f32(vector, vector, dimension))
      }
    }
    try writer.append(bytes)
  }

  /// Ends the file and makes it durable.
  package func finish() throws(RetortError) {
    writer.end()
    var shape: [UInt8] = []
    shape.appendInteger(UInt32(dimension))
    shape.appendInteger(largestSquare.squareRoot().bitPattern)
    shape.appendInteger(UInt64(count))
    try writer.add("shape", shape)
    try writer.finish()
  }
}

/// A mapped file of vectors.
package struct VectorFile: Sendable {
  /// The vectors, verified as they are touched.
  package let vectors: VectorSet
  /// The largest Euclidean norm of a vector.
  package let largestNorm: Float
  /// The file.
  package let file: SegmentFile

  static func blockShift(dimension: Int) -> Int {
    var shift = 0
    while (dimension * 4) << shift < SegmentLayout.defaultBlock { shift += 1 }
    return shift
  }

  /// Maps the file at `path`; with a budget, single vectors are read and not mapped, as a page each
  /// would fill it.
  package init(path: String, budget: MemoryBudget? = nil) throws(RetortError) {
    file = try SegmentFile(path: path, kind: .vectors, budget: budget, isRead: budget != nil)
    let shape = try file.section("shape").all()
    guard shape.count == 16 else { throw try file.section("shape").damaged("wrong length") }
    let dimension = Int(UInt32(littleEndian: shape.loadUnaligned(as: UInt32.self)))
    let count = UInt64(
      littleEndian: shape.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    let bits = UInt32(littleEndian: shape.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    largestNorm = Float(bitPattern: bits)
    let section = try file.section("vectors")
    let (length, overflow) = count.multipliedReportingOverflow(by: UInt64(dimension) * 4)
    guard dimension > 0, dimension <= 1 << 16, !overflow, length == UInt64(section.count),
      count < 1 << 31, largestNorm.isFinite
    else { throw section.damaged("\(count) × \(dimension) floats in \(section.count) bytes") }
    let shift = Self.blockShift(dimension: dimension)
    guard section.blockLength == (dimension * 4) << shift else {
      throw section.damaged("checksum blocks of \(section.blockLength) bytes")
    }
    let raw = section.raw
    // An empty section has no address; one float of its own keeps the pointer valid.
    guard let base = raw.bytes.baseAddress?.assumingMemoryBound(to: Float.self), count > 0 else {
      vectors = VectorSet([], dimension: dimension)
      return
    }
    vectors = VectorSet(
      base: base, count: Int(count), dimension: dimension, guardian: raw.guardian,
      blockShift: shift, owner: OwnedSection(section),
      file: budget == nil ? nil : (file.mapping, Int(section.offset)))
  }
}
