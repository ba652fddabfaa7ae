import CKernels
import Platform
import Tensors

/// The token vectors of a query, ready for MaxSim with stored terms.
package struct TermQuery: Sendable {
  /// [tokens × dimension].
  package let vectors: Matrix
  let exact: MaxSim
  let coded: CodedMaxSim
  /// With components in the order in which residuals of `bits` unpack; nil without such.
  let unpacked: (bits: Int, coded: CodedMaxSim)?

  /// Components of a vector.
  package var dimension: Int { vectors.columns }

  /// Packs a query, [tokens × dimension].
  ///
  /// - Parameter codec: of the vectors it will be multiplied with: makes residuals faster.
  package init(_ vectors: Matrix, for codec: TermCodec? = nil) {
    self.vectors = vectors
    exact = MaxSim(vectors)
    coded = CodedMaxSim(vectors)
    guard let bits = codec?.bits, vectors.columns > 0,
      CodedCentroids.canCode(dimension: vectors.columns, bits: bits)
    else {
      unpacked = nil
      return
    }
    let order = CodedCentroids.order(dimension: vectors.columns, bits: bits)
    let ordered = Matrix(rows: vectors.rows, columns: vectors.columns)
    for row in 0..<vectors.rows {
      let (source, target) = (vectors.row(row), ordered.row(row))
      for (place, component) in order.enumerated() { target[place] = source[component] }
    }
    unpacked = (bits, CodedMaxSim(ordered))
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
  /// Floating-point vectors are multiplied in single precision. Codes of 8 bits are multiplied as
  /// they lie; residuals become codes of 7 bits on the way, a passage at a time: by tables of 7-bit
  /// centroids and weights where the query was made for their codec, else 8 bits by decoding them.
  package func score(
    _ place: Int, _ query: TermQuery, scratch: TermScratch
  ) throws(RetortError) -> Float {
    try score(try range(place), of: place, query, scratch)
  }

  /// The products of every vector of a passage with every token of the query, [vectors × tokens]:
  /// those whose maxima `score` sums up, by the same arithmetic.
  package func products(
    _ place: Int, _ query: TermQuery, scratch: TermScratch
  ) throws(RetortError) -> [Float] {
    let range = try range(place)
    let tokens = query.exact.tokens
    var products: [Float] = []
    products.reserveCapacity(range.count * tokens)
    guard tokens > 0 else { return products }
    let coded = try coded(query)
    for row in range {
      // Of a single vector the maxima are the products.
      _ = try score(row..<row + 1, of: place, query, scratch)
      if let coded {
        products += coded.largest(scratch.codes)
      } else {
        products += UnsafeBufferPointer(start: scratch.best.pointer, count: tokens)
      }
    }
    return products
  }

  /// What multiplies the query with these vectors; nil for floating point.
  private func coded(_ query: TermQuery) throws(RetortError) -> CodedMaxSim? {
    if codec.isFloat { return nil }
    if let unpacked = query.unpacked, unpacked.bits == codec.bits, try book?.codes() != nil {
      return unpacked.coded
    }
    return query.coded
  }

  private func score(
    _ range: Range<Int>, of place: Int, _ query: TermQuery, _ scratch: TermScratch
  ) throws(RetortError) -> Float {
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
    if let book, let ids, let unpacked = query.unpacked, unpacked.bits == codec.bits,
      let codes = try book.codes()
    {
      let width = book.idBytes
      let residuals = try rows.bytes(range.lowerBound * rowBytes..<range.upperBound * rowBytes)
      let numbers = try ids.bytes(range.lowerBound * width..<range.upperBound * width)
      guard let residuals = residuals.baseAddress, let numbers = numbers.baseAddress else {
        return query.exact.tokens == 0 ? 0 : -.infinity
      }
      let score = unpacked.coded.score(rows: range.count, scratch: scratch.codes) {
        codes.code(
          $0, scales: $1, ids: numbers.assumingMemoryBound(to: UInt8.self),
          residuals: residuals.assumingMemoryBound(to: UInt8.self), rows: range.count)
      }
      guard let score else {
        throw ids.damaged("a vector of passage \(place) names a centroid that is none")
      }
      return score
    }
    try decode(range, into: scratch.values.pointer)
    if codec.isFloat {
      return query.exact.score(
        scratch.values.pointer, rows: range.count, best: scratch.best.pointer)
    }
    return query.coded.score(scratch.values.pointer, rows: range.count, scratch: scratch.codes)
  }
}
