import Platform

/// A mapped file of 32-bit numbers as the big-ann benchmarks keep them (`.fbin`, `.ibin`): u32
/// count, u32 dimension, then the rows, little-endian.
struct BinaryVectors: Sendable {
  /// The number of rows.
  let count: Int
  /// Numbers a row.
  let dimension: Int
  private let file: MappedFile

  /// Maps the file at `path`.
  init(_ path: String) throws(RetortError) {
    file = try MappedFile(path: path)
    let bytes = file.bytes
    guard bytes.count >= 8 else {
      throw RetortError(.truncated, "has no header of two numbers", path: path)
    }
    count = Int(UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)))
    dimension = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    let (length, overflow) = count.multipliedReportingOverflow(by: dimension * 4)
    guard dimension > 0, !overflow, length == bytes.count - 8 else {
      throw RetortError(
        .badData, "\(count) rows of \(dimension) do not fill \(bytes.count - 8) bytes", path: path)
    }
  }

  private func row(_ row: Int) -> UnsafeRawBufferPointer {
    let start = 8 + row * dimension * 4
    return UnsafeRawBufferPointer(rebasing: file.bytes[start..<(start + dimension * 4)])
  }

  /// A row's bytes.
  func bytes(_ number: Int) -> [UInt8] { [UInt8](row(number)) }

  /// A row of floats.
  func floats(_ number: Int) -> [Float] {
    let row = row(number)
    return (0..<dimension).map { row.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
  }

  /// A row of whole numbers.
  func numbers(_ number: Int) -> [UInt32] {
    let row = row(number)
    return (0..<dimension).map { row.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self) }
  }
}
