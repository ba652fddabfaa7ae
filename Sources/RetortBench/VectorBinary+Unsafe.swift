import Platform

/// Vectors as big-ann-benchmarks keeps them: u32 count, u32 dimension, then the floats.
enum VectorBinary {
  /// Writes row-major `values`.
  static func write(_ values: [Float], dimension: Int, to path: String) throws(RetortError) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(8 + values.count * 4)
    for number in [UInt32(values.count / dimension), UInt32(dimension)] {
      withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }
    values.withUnsafeBytes { bytes.append(contentsOf: $0) }
    try FileSystem.replace(path, with: bytes)
  }

  /// The floats of a file, row-major, and their dimension.
  static func read(_ path: String) throws(RetortError) -> (values: [Float], dimension: Int) {
    let file = try MappedFile(path: path)
    let bytes = file.bytes
    guard bytes.count >= 8 else {
      throw RetortError(.truncated, "has no header of two numbers", path: path)
    }
    let count = Int(UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)))
    let dimension = Int(
      UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    let (length, overflow) = count.multipliedReportingOverflow(by: dimension * 4)
    guard dimension > 0, !overflow, length == bytes.count - 8 else {
      throw RetortError(
        .badData, "\(count) × \(dimension) floats do not fill \(bytes.count - 8) bytes", path: path)
    }
    let values = [Float](unsafeUninitializedCapacity: count * dimension) { buffer, filled in
      UnsafeMutableRawBufferPointer(buffer).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: bytes[8...]))
      filled = count * dimension
    }
    return (values, dimension)
  }
}
