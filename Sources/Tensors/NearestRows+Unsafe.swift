import CKernels

/// Finds for each vector the nearest, by Euclidean distance, of many rows.
///
/// ‖x − c‖² is smallest where x·c − ‖c‖²/2 is largest, which is a product with a bias.
package struct NearestRows: Sendable {
  /// Components of a vector.
  package let width: Int
  private let parts: [PackedWeights]
  private let level: retort_level

  /// Rows packed together: their products with 64 vectors stay in the second-level cache.
  private static let part = 512
  /// Vectors multiplied at a time.
  private static let block = 64

  /// Packs `rows`, [count × width].
  package init(_ rows: Matrix, level: retort_level = retort_level_in_use()) {
    width = rows.columns
    self.level = level
    var parts: [PackedWeights] = []
    for first in stride(from: 0, to: rows.rows, by: Self.part) {
      let count = min(Self.part, rows.rows - first)
      let weight = Matrix(rows: count, columns: rows.columns)
      let bias = Matrix(rows: 1, columns: count)
      for row in 0..<count {
        weight.copyRow(first + row, of: rows, to: row)
        let source = rows.row(first + row)
        bias.pointer[row] = -retort_dot_f32(source, source, rows.columns) / 2
      }
      parts.append(PackedWeights(weight: weight, bias: bias, precision: .float32, level: level))
    }
    self.parts = parts
  }

  /// The number of the nearest row to each of `count` vectors at `x`; of equals the first.
  package func nearest(_ x: UnsafePointer<Float>, count: Int) -> [UInt32] {
    var numbers = [UInt32](repeating: 0, count: count)
    var values = [Float](repeating: -.infinity, count: count)
    let scratch = FloatBuffer(capacity: Self.block * Self.part)
    for start in stride(from: 0, to: count, by: Self.block) {
      let rows = min(Self.block, count - start)
      for (number, part) in parts.enumerated() {
        var kernel = part.kernel
        numbers.withUnsafeMutableBufferPointer { numbers in
          values.withUnsafeMutableBufferPointer { values in
            guard let numbers = numbers.baseAddress, let values = values.baseAddress else { return }
            retort_largest_f32(
              level, values + start, numbers + start, UInt32(number * Self.part),
              x + start * width, width, rows, &kernel, scratch.pointer)
          }
        }
      }
    }
    return numbers
  }
}
