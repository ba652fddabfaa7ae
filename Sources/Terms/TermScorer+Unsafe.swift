import CKernels
import Platform
import Tensors

/// The token vectors of a query, ready for MaxSim with stored terms.
package struct TermQuery: Sendable {
  /// [tokens × dimension].
  package let vectors: Matrix
  let exact: MaxSim
  let coded: CodedMaxSim

  /// Components of a vector.
  package var dimension: Int { vectors.columns }

  /// Packs a query, [tokens × dimension].
  package init(_ vectors: Matrix) {
    self.vectors = vectors
    exact = MaxSim(vectors)
    coded = CodedMaxSim(vectors)
  }
}

/// Memory for scoring stored terms. One worker owns it at a time; that contract makes it `Sendable`.
package final class TermScratch: @unchecked Sendable {
  fileprivate var values = FloatBuffer(capacity: 0)
  fileprivate var best = FloatBuffer(capacity: 0)
  fileprivate let codes = CodedMaxSim.Scratch()

  /// No room yet.
  package init() {}

  fileprivate func reserve(values count: Int, best tokens: Int) {
    if values.capacity < count { values = FloatBuffer(capacity: count) }
    let filled = PackedWeights.filled(tokens)
    if best.capacity < filled { best = FloatBuffer(capacity: filled) }
  }
}

extension TermSet {
  /// MaxSim of a query with the passage at `place`; -inf for one without vectors.
  ///
  /// Vectors in half precision are multiplied in single precision. Codes of 8 bits are multiplied as
  /// they lie; residuals become codes of 8 bits on the way, a passage at a time.
  package func score(
    _ place: Int, _ query: TermQuery, scratch: TermScratch
  ) throws(RetortError) -> Float {
    let range = try range(place)
    scratch.reserve(
      values: codec == .int8 ? 0 : range.count * dimension, best: query.exact.tokens)
    if let scales {
      let codes = try rows.bytes(range.lowerBound * rowBytes..<range.upperBound * rowBytes)
      let factors = try scales.bytes(range.lowerBound * 4..<range.upperBound * 4)
      guard let codes = codes.baseAddress, let factors = factors.baseAddress else {
        return query.exact.tokens == 0 ? 0 : -.infinity
      }
      return query.coded.score(
        codes: codes.assumingMemoryBound(to: UInt8.self),
        scales: factors.assumingMemoryBound(to: Float.self), rows: range.count,
        scratch: scratch.codes)
    }
    try decode(range, into: scratch.values.pointer)
    if codec == .f16 {
      return query.exact.score(
        scratch.values.pointer, rows: range.count, best: scratch.best.pointer)
    }
    return query.coded.score(scratch.values.pointer, rows: range.count, scratch: scratch.codes)
  }
}
