import CKernels
import Platform

/// Cache-line aligned memory for floats, shared by reference.
///
/// Whoever fills a buffer does so before handing it on; buffers that several threads see are only
/// read. That contract, not the type system, makes it `Sendable`.
package final class FloatBuffer: @unchecked Sendable {
  /// The memory.
  package let pointer: UnsafeMutablePointer<Float>
  /// The number of floats.
  package let capacity: Int

  /// Room for `capacity` floats, to be filled before they are read.
  package init(capacity: Int) {
    let raw = UnsafeMutableRawPointer.allocate(
      byteCount: max(capacity, 1) * MemoryLayout<Float>.stride, alignment: 64)
    pointer = raw.bindMemory(to: Float.self, capacity: max(capacity, 1))
    self.capacity = capacity
  }

  deinit { pointer.deallocate() }
}

/// A row-major matrix of 32-bit floats: weights, or the activations of a ragged batch.
///
/// Copies share memory. Operators never write into their arguments.
package struct Matrix: Sendable {
  /// The memory; at least `rows × columns` floats.
  package let buffer: FloatBuffer
  /// Rows: tokens, outputs of a linear layer, entries of a table.
  package let rows: Int
  /// Columns: the width.
  package let columns: Int

  /// All elements.
  package var count: Int { rows * columns }

  /// A matrix over the first `rows × columns` floats of a buffer.
  package init(buffer: FloatBuffer, rows: Int, columns: Int) {
    precondition(rows >= 0 && columns >= 0 && rows * columns <= buffer.capacity)
    self.buffer = buffer
    self.rows = rows
    self.columns = columns
  }

  /// A matrix of zeros.
  package init(rows: Int, columns: Int) {
    self.init(buffer: FloatBuffer(capacity: rows * columns), rows: rows, columns: columns)
    pointer.initialize(repeating: 0, count: count)
  }

  /// A matrix of given values in row-major order.
  package init(rows: Int, columns: Int, values: [Float]) {
    precondition(values.count == rows * columns, "a matrix needs rows × columns values")
    self.init(rows: rows, columns: columns)
    pointer.update(from: values, count: values.count)
  }

  /// The first element.
  package var pointer: UnsafeMutablePointer<Float> { buffer.pointer }

  /// The start of a row.
  package func row(_ index: Int) -> UnsafeMutablePointer<Float> {
    pointer + index * columns
  }

  /// All elements, row by row.
  package var values: [Float] {
    Array(UnsafeBufferPointer(start: pointer, count: count))
  }

  /// Elements as memory to be filled by whoever makes the matrix.
  package func storage(_ range: Range<Int>) -> UnsafeMutableBufferPointer<Float> {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    return UnsafeMutableBufferPointer(start: pointer + range.lowerBound, count: range.count)
  }

  /// Sets a row to numbers given in half precision.
  package func setRow(_ target: Int, halves: ArraySlice<UInt16>) {
    precondition(halves.count == columns && (0..<rows).contains(target))
    halves.withUnsafeBufferPointer { halves in
      guard let base = halves.baseAddress else { return }
      retort_from_half(retort_level_in_use(), row(target), base, columns)
    }
  }

  /// A checksum of the values.
  package var checksum: UInt32 {
    Checksum.crc32c(UnsafeRawBufferPointer(UnsafeBufferPointer(start: pointer, count: count)))
  }

  /// Copies row `source` of `other` (as wide as this matrix) into row `target`.
  ///
  /// For results that several workers gather: each target row has one writer.
  package func copyRow(_ source: Int, of other: Matrix, to target: Int) {
    precondition(
      other.columns == columns && (0..<other.rows).contains(source)
        && (0..<rows).contains(target))
    row(target).update(from: other.row(source), count: columns)
  }
}
