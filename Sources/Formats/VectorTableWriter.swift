import Platform

/// Writes vectors as .npy (f4), .fvecs or .fbin.
///
/// The file has a temporary name until `finish()`; then it appears whole, or not at all.
package final class VectorTableWriter {
  private let format: VectorFormat
  private let dimension: Int
  private let sink: Sink
  private let path: String
  /// Vectors written so far.
  package private(set) var count = 0

  /// Starts the file at `path` with vectors of `dimension` values.
  package init(path: String, format: VectorFormat, dimension: Int) throws(RetortError) {
    guard (1...VectorFormat.maximumDimension).contains(dimension) else {
      throw RetortError(
        .limitExceeded,
        "cannot hold vectors of \(dimension) values, only of 1 to "
          + "\(VectorFormat.maximumDimension)", path: path)
    }
    self.path = path
    self.format = format
    self.dimension = dimension
    sink = try Sink(path: path)
    guard sink.isFile || format == .fvecs else {
      throw RetortError(
        .usage,
        "is no file, and \(format.rawValue) begins with a count that is known only at the end; "
          + "name a file", path: path)
    }
    try sink.write(try header())
  }

  /// Appends vectors given as the little-endian bytes of their 32-bit floats.
  package func append(bytes: [UInt8]) throws(RetortError) {
    let row = dimension * 4
    precondition(bytes.count % row == 0, "a whole number of vectors")
    if format == .fvecs {
      let prefix = Self.word(UInt32(dimension))
      var framed: [UInt8] = []
      framed.reserveCapacity(bytes.count / row * (row + 4))
      for start in stride(from: 0, to: bytes.count, by: row) {
        framed += prefix
        framed += bytes[start..<start + row]
      }
      try sink.write(framed)
    } else {
      try sink.write(bytes)
    }
    count += bytes.count / row
  }

  /// Completes the file and gives it its name.
  package func finish() throws(RetortError) {
    if format != .fvecs { try sink.overwrite(try header(), at: 0) }
    try sink.finish()
  }

  private func header() throws(RetortError) -> [UInt8] {
    switch format {
    case .npy: return NPYHeader.bytes(rows: count, columns: dimension)
    case .fvecs: return []
    case .fbin:
      guard let rows = UInt32(exactly: count) else {
        throw RetortError(
          .limitExceeded,
          "cannot count \(count) vectors; .fbin ends at 2^32 − 1: write .npy instead", path: path)
      }
      return Self.word(rows) + Self.word(UInt32(dimension))
    }
  }

  private static func word(_ value: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) }
  }
}

/// Writes ids, one a line, into a file that appears when it is finished.
package final class IDFileWriter {
  private let sink: Sink
  private let path: String

  /// Starts the file at `path`.
  package init(path: String) throws(RetortError) {
    self.path = path
    sink = try Sink(path: path)
  }

  /// Appends an id (UTF-8), which must not hold a line's end.
  package func append(_ id: [UInt8]) throws(RetortError) {
    guard !id.contains(where: { $0 == 10 || $0 == 13 }) else {
      throw RetortError(
        .badData,
        "cannot hold the id \(jsonText(String(decoding: id, as: UTF8.self))), which has a line's "
          + "end in it; give the passage another id", path: path)
    }
    try sink.write(id + [10])
  }

  /// Completes the file and gives it its name.
  package func finish() throws(RetortError) { try sink.finish() }
}
