import CKernels
import Platform
import Tensors

/// Term vectors as they are stored.
package struct CodedTerms: Sendable {
  /// Their codes, `rowBytes` each.
  package var rows: [UInt8] = []
  /// Residuals: the numbers of their centroids.
  package var ids: [UInt8] = []
  /// int8: their scales.
  package var scales: [Float] = []
}

/// Turns term vectors into what is stored of them.
package struct TermRowCoder: Sendable {
  private let codec: TermCodec
  private let dimension: Int
  private let book: ResidualBook?
  private let nearest: NearestRows?

  /// - Parameter book: for residuals.
  package init(
    _ codec: TermCodec, dimension: Int, book: ResidualBook?
  ) throws(RetortError) {
    self.codec = codec
    self.dimension = dimension
    self.book = book
    nearest = try book.map { book throws(RetortError) in NearestRows(try book.matrix()) }
  }

  /// Codes vectors given as `staged` makes them, in half precision for all codecs but f32.
  package func code(halves: ArraySlice<UInt16>) throws(RetortError) -> CodedTerms {
    let width = codec.stagedWords(dimension: dimension)
    let count = width > 0 ? halves.count / width : 0
    var coded = CodedTerms()
    guard count > 0 else { return coded }
    if codec.isFloat {
      coded.rows = halves.withUnsafeBytes { Array($0) }
      return coded
    }
    let values = Matrix(rows: count, columns: dimension)
    halves.withUnsafeBufferPointer { halves in
      guard let halves = halves.baseAddress else { return }
      retort_from_half(retort_level_in_use(), values.pointer, halves, count * dimension)
    }
    let bytes = codec.rowBytes(dimension: dimension)
    coded.rows = [UInt8](repeating: codec == .int8 ? 128 : 0, count: count * bytes)
    guard let book, let nearest else {
      coded.scales = [Float](repeating: 0, count: count)
      coded.rows.withUnsafeMutableBufferPointer { rows in
        guard let base = rows.baseAddress else { return }
        for row in 0..<count {
          coded.scales[row] = retort_to_codes(base + row * bytes, values.row(row), dimension)
        }
      }
      return coded
    }
    let numbers = nearest.nearest(values.pointer, count: count)
    coded.ids.reserveCapacity(count * book.idBytes)
    for number in numbers {
      coded.ids.append(UInt8(truncatingIfNeeded: number))
      coded.ids.append(UInt8(truncatingIfNeeded: number >> 8))
      if book.idBytes == 3 { coded.ids.append(UInt8(truncatingIfNeeded: number >> 16)) }
    }
    let result = coded.rows.withUnsafeMutableBufferPointer { rows in
      Result { () throws(RetortError) in
        guard let base = rows.baseAddress else { return }
        for row in 0..<count {
          try book.encode(
            values.row(row), centroid: Int(numbers[row]), into: base + row * bytes)
        }
      }
    }
    try result.get()
    return coded
  }

  /// Half precision of single; nil where a number is none or beyond 65,504.
  package static func halves(_ values: [Float]) -> [UInt16]? {
    let result = [UInt16](unsafeUninitializedCapacity: values.count) { buffer, count in
      if let base = buffer.baseAddress { retort_to_half(base, values, values.count) }
      count = values.count
    }
    return result.contains { $0 & 0x7C00 == 0x7C00 } ? nil : result
  }

  /// The 16-bit words of vectors on their way into an index; nil where a number is none, or too large for
  /// half precision.
  package static func staged(_ values: [Float], for codec: TermCodec) -> [UInt16]? {
    guard codec == .f32 else { return halves(values) }
    guard values.allSatisfy(\.isFinite) else { return nil }
    return values.withUnsafeBytes { Array($0.bindMemory(to: UInt16.self)) }
  }
}
