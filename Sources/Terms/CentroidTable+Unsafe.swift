import CKernels
import Platform
import Tensors

/// The products of a query's tokens with all centroids of a book: stage zero of PLAID.
///
/// Filled by all threads, each its own rows, then only read: that contract makes it `Sendable`.
package final class CentroidTable: @unchecked Sendable {
  /// The number of centroids.
  private(set) var count = 0
  private var buffer = FloatBuffer(capacity: 0)
  private var highest = FloatBuffer(capacity: 0)
  private var stride = 0
  private var tokens = 0
  /// For each token the best centroids, best first.
  private(set) var cells: [[UInt32]] = []
  /// The largest product of all.
  private(set) var largest: Float = 0

  private static let rowsAtATime = 256
  private static let blocksAtATime = 8

  /// No room yet.
  package init() {}

  /// Multiplies the centroids of `book` with the query, and finds for each token the best `wanted`.
  package func fill(
    _ book: ResidualBook, _ query: TermQuery, cells wanted: Int, threads: Int
  ) throws(RetortError) {
    count = book.count
    tokens = query.exact.tokens
    stride = (tokens + 7) / 8 * 8
    if buffer.capacity < count * stride {
      buffer = FloatBuffer(capacity: count * stride)
      // Columns behind the last token are never written, but are compared.
      buffer.pointer.initialize(repeating: 0, count: count * stride)
    }
    if highest.capacity < count { highest = FloatBuffer(capacity: count) }
    let wanted = min(wanted, count)
    let rows = Self.rowsAtATime * Self.blocksAtATime
    let parts = (count + rows - 1) / rows
    let found = OrderedResults<(values: [Float], numbers: [UInt32])>(count: parts)
    try parallelForThrowing(parts, threads: threads) { part, _ throws(RetortError) in
      let widened = FloatBuffer(capacity: Self.rowsAtATime * book.dimension)
      var values = [Float](repeating: -.infinity, count: tokens * wanted)
      var numbers = [UInt32](repeating: 0, count: tokens * wanted)
      let end = min(count, (part + 1) * rows)
      for first in Swift.stride(from: part * rows, to: end, by: Self.rowsAtATime) {
        let last = min(end, first + Self.rowsAtATime)
        try book.widen(first..<last, into: widened.pointer)
        query.exact.products(
          widened.pointer, rows: last - first, into: buffer.pointer + first * stride,
          stride: stride)
        retort_top_cells(
          buffer.pointer, stride, tokens, first, last - first, highest.pointer, wanted, &values,
          &numbers)
      }
      found.set(part, (values, numbers))
    }
    merge(found.values, wanted)
  }

  private func merge(_ parts: [(values: [Float], numbers: [UInt32])], _ wanted: Int) {
    cells = []
    largest = -.infinity
    for token in 0..<tokens {
      var all: [(value: Float, number: UInt32)] = []
      for part in parts {
        for place in token * wanted..<(token + 1) * wanted where part.values[place] > -.infinity {
          all.append((part.values[place], part.numbers[place]))
        }
      }
      all = all.ordered { ($0.value, $1.number) > ($1.value, $0.number) }
      cells.append(all.prefix(wanted).map(\.number))
      largest = max(largest, all.first?.value ?? -.infinity)
    }
  }

  /// The score of the vectors at `ids` over their centroids alone; -inf where no centroid has a
  /// product of at least `threshold`, NaN where a number is none of a centroid.
  func approximate(
    _ ids: UnsafePointer<UInt8>, count rows: Int, idBytes: Int, threshold: Float, best: FloatBuffer
  ) -> Float {
    retort_approximate(
      retort_level_in_use(), buffer.pointer, stride, tokens, highest.pointer, count, threshold, ids,
      rows, Int32(idBytes), best.pointer)
  }

  /// Floats that `approximate` needs.
  var bestCount: Int { max(stride, 1) }
}
