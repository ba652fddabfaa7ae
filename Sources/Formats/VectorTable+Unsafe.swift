import Platform

/// The vectors of a .npy, .fvecs or .fbin file, mapped and read a few rows at a time.
///
/// Everything the header claims is checked against the file's size when the file is opened; the
/// values are copied out, because they may start at any byte.
package final class VectorTable: Sendable {
  /// How the file is written.
  package let format: VectorFormat
  /// The number of vectors.
  package let count: Int
  /// Values a vector.
  package let dimension: Int
  /// Bytes a stored value: 4 (f4), or 2 (f2, .npy only).
  package let valueSize: Int
  private let file: MappedFile
  /// Where the first row begins, and the bytes from one row to the next.
  private let start: Int
  private let stride: Int

  /// The file's path.
  package var path: String { file.path }

  /// Maps and checks `path`, whose name tells the format where `format` does not.
  package init(path: String, format: VectorFormat? = nil) throws(RetortError) {
    let format: VectorFormat = if let format { format } else { try VectorFormat(ofName: path) }
    let file = try MappedFile(path: path)
    let shape: Shape
    switch format {
    case .npy: shape = try Self.npy(file)
    case .fvecs: shape = try Self.fvecs(file)
    case .fbin: shape = try Self.fbin(file)
    }
    try file.checkIntact()
    guard shape.rows == 0 || (1...VectorFormat.maximumDimension).contains(shape.columns) else {
      throw RetortError(
        .limitExceeded,
        "has vectors of \(shape.columns) values; 1 to \(VectorFormat.maximumDimension) are read",
        path: path, at: .offset(0))
    }
    self.file = file
    self.format = format
    count = shape.rows
    dimension = shape.columns
    valueSize = shape.valueSize
    start = shape.start
    stride = shape.stride
    file.advise(.sequential, range: 0..<file.count)
  }

  /// Copies the rows of `range` into `target`, which must have room for exactly as many values.
  ///
  /// A value that is not finite is an error, and so is a row of .fvecs of another dimension.
  package func read(
    _ range: Range<Int>, into target: UnsafeMutableBufferPointer<Float>
  ) throws(RetortError) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    precondition(target.count == range.count * dimension)
    guard let source = file.bytes.baseAddress, let out = target.baseAddress else { return }
    for (place, number) in range.enumerated() {
      let row = start + number * stride
      if format == .fvecs {
        let own = source.loadUnaligned(fromByteOffset: row - 4, as: UInt32.self).littleEndian
        guard own == UInt32(dimension) else {
          throw RetortError(
            .dimensionMismatch,
            "has a vector of \(own) values (number \(number)) after vectors of \(dimension); all "
              + "must be alike: write the file again", path: path, at: .offset(UInt64(row - 4)))
        }
      }
      let values = out + place * dimension
      if valueSize == 4 {
        UnsafeMutableRawPointer(values).copyMemory(from: source + row, byteCount: dimension * 4)
      } else {
        for index in 0..<dimension {
          values[index] = SafeTensors.widen(
            half: source.loadUnaligned(fromByteOffset: row + 2 * index, as: UInt16.self))
        }
      }
      // Infinities and NaN have all exponent bits set; a reduction keeps the check vectorised.
      var suspicious: UInt32 = 0
      for index in 0..<dimension {
        suspicious |= values[index].bitPattern & 0x7F80_0000 == 0x7F80_0000 ? 1 : 0
      }
      if suspicious != 0 { throw notFinite(number, row, values) }
    }
    try file.checkIntact()
  }

  /// The rows of `range`, one after the other.
  package func rows(_ range: Range<Int>) throws(RetortError) -> [Float] {
    var values = [Float](repeating: 0, count: range.count * dimension)
    let result = values.withUnsafeMutableBufferPointer { buffer in
      Result { () throws(RetortError) in try read(range, into: buffer) }
    }
    try result.get()
    return values
  }

  private func notFinite(
    _ number: Int, _ row: Int, _ values: UnsafeMutablePointer<Float>
  ) -> RetortError {
    let index = (0..<dimension).first { !values[$0].isFinite } ?? 0
    return RetortError(
      .badData,
      "has the value \(values[index]) in vector \(number); all must be finite: encode again",
      path: path, at: .offset(UInt64(row + index * valueSize)))
  }

  // MARK: - Headers

  private struct Shape {
    var rows: Int
    var columns: Int
    var valueSize: Int
    var start: Int
    var stride: Int
  }

  private static func npy(_ file: MappedFile) throws(RetortError) -> Shape {
    let bytes = file.bytes.bindMemory(to: UInt8.self)
    let extent = try NPYHeader.extent(bytes.span, path: file.path)
    _ = try file.slice(offset: 0, length: UInt64(extent))
    let header = try NPYHeader(
      UnsafeBufferPointer(rebasing: bytes[..<extent]).span, path: file.path)
    try check(
      file, rows: UInt64(header.rows), columns: UInt64(header.columns), size: header.valueSize,
      start: extent)
    return Shape(
      rows: header.rows, columns: header.columns, valueSize: header.valueSize, start: extent,
      stride: header.columns * header.valueSize)
  }

  private static func fbin(_ file: MappedFile) throws(RetortError) -> Shape {
    let header = try file.slice(offset: 0, length: 8)
    let rows = header.loadUnaligned(as: UInt32.self).littleEndian
    let columns = header.loadUnaligned(fromByteOffset: 4, as: UInt32.self).littleEndian
    try check(file, rows: UInt64(rows), columns: UInt64(columns), size: 4, start: 8)
    return Shape(
      rows: Int(rows), columns: Int(columns), valueSize: 4, start: 8, stride: Int(columns) * 4)
  }

  private static func fvecs(_ file: MappedFile) throws(RetortError) -> Shape {
    guard file.count > 0 else {
      return Shape(rows: 0, columns: 0, valueSize: 4, start: 0, stride: 0)
    }
    let header = try file.slice(offset: 0, length: 4)
    let columns = header.loadUnaligned(as: UInt32.self).littleEndian
    guard (1...UInt32(VectorFormat.maximumDimension)).contains(columns) else {
      throw RetortError(
        .badData,
        "begins with a vector of \(Int32(bitPattern: columns)) values; 1 to "
          + "\(VectorFormat.maximumDimension) are read: it is no .fvecs file or damaged",
        path: file.path, at: .offset(0))
    }
    let stride = 4 + 4 * Int(columns)
    guard file.count % stride == 0 else {
      throw RetortError(
        .truncated,
        "has \(file.count) bytes, which is no multiple of the \(stride) of a vector of \(columns) "
          + "values; the file is damaged or incomplete: copy or make it again", path: file.path,
        at: .offset(UInt64(file.count / stride * stride)))
    }
    return Shape(
      rows: file.count / stride, columns: Int(columns), valueSize: 4, start: 4, stride: stride)
  }

  /// Throws unless the file has exactly the bytes that the header's numbers ask for.
  private static func check(
    _ file: MappedFile, rows: UInt64, columns: UInt64, size: Int, start: Int
  ) throws(RetortError) {
    let (values, tooMany) = rows.multipliedReportingOverflow(by: columns)
    let (data, tooLong) = values.multipliedReportingOverflow(by: UInt64(size))
    let (end, beyond) = data.addingReportingOverflow(UInt64(start))
    guard !tooMany, !tooLong, !beyond, end == UInt64(file.count) else {
      let needed = tooMany || tooLong || beyond ? "more than 2^64" : "\(end)"
      throw RetortError(
        .truncated,
        "has \(file.count) bytes but needs \(needed) for the \(rows) × \(columns) values its header "
          + "claims; the file is damaged or incomplete: copy or make it again", path: file.path,
        at: .offset(UInt64(start)))
    }
  }
}
