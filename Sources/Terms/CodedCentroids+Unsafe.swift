import CKernels
import Platform
import Tensors

/// A book in 7 bits: its centroids and weights as codes, with their components in the order in which
/// residuals unpack.
///
/// Made when a search first asks for it, from then on only read: that makes it `Sendable`.
final class CodedCentroids: @unchecked Sendable {
  private let codes: UnsafeMutablePointer<Int8>
  private var kernel = retort_code_book()

  /// Codes the centroids of `book`, whose rows must be takeable.
  init(_ book: ResidualBook) throws(RetortError) {
    let dimension = book.dimension
    let rows = 256
    let widened = FloatBuffer(capacity: min(rows, book.count) * dimension)
    var largest: Float = 0
    for first in stride(from: 0, to: book.count, by: rows) {
      let last = min(book.count, first + rows)
      try book.widen(first..<last, into: widened.pointer)
      for i in 0..<(last - first) * dimension { largest = max(largest, abs(widened.pointer[i])) }
    }
    largest += book.buckets.weights.map(abs).max() ?? 0
    // Both are rounded, which makes a sum of two larger by at most one.
    let step = largest > 0 && largest.isFinite ? largest / 62.5 : 1
    func code(_ value: Float, limit: Float = 63) -> Int8 {
      Int8(max(-limit, min(limit, (value / step).rounded())))
    }
    let weights = book.buckets.weights.map { code($0) }
    // So that no sum leaves ±63, whatever the book holds.
    let room = 63 - Float(weights.map(abs).max() ?? 0)
    codes = .allocate(capacity: max(book.count * dimension, 1))
    let order = Self.order(dimension: dimension, bits: book.buckets.bits)
    for first in stride(from: 0, to: book.count, by: rows) {
      let last = min(book.count, first + rows)
      try book.widen(first..<last, into: widened.pointer)
      for row in 0..<last - first {
        let target = codes + (first + row) * dimension
        let source = widened.pointer + row * dimension
        for (place, component) in order.enumerated() {
          target[place] = code(source[component], limit: room)
        }
      }
    }
    kernel.dimension = dimension
    kernel.count = book.count
    kernel.centroids = UnsafePointer(codes)
    kernel.step = step
    kernel.bits = Int32(book.buckets.bits)
    kernel.id_bytes = Int32(book.idBytes)
    kernel.normalizes = book.normalizes
    withUnsafeMutableBytes(of: &kernel.weights) { target in
      for place in 0..<16 { target[place] = UInt8(bitPattern: weights[place % weights.count]) }
    }
  }

  deinit { codes.deallocate() }

  /// The component at each place of a coded row.
  static func order(dimension: Int, bits: Int) -> [Int] {
    let fields = 8 / bits
    let bytes = dimension * bits / 8
    return (0..<dimension).map { $0 % bytes * fields + $0 / bytes }
  }

  /// Whether rows of this shape can be coded.
  static func canCode(dimension: Int, bits: Int) -> Bool {
    retort_can_code_terms(dimension, Int32(bits))
  }

  /// Codes `rows` vectors; false where one names a centroid that is none.
  func code(
    _ codes: UnsafeMutablePointer<UInt8>, scales: UnsafeMutablePointer<Float>,
    ids: UnsafePointer<UInt8>, residuals: UnsafePointer<UInt8>, rows: Int,
    level: retort_level = retort_level_in_use()
  ) -> Bool {
    retort_code_terms(level, codes, scales, ids, residuals, rows, &kernel)
  }
}
