import CBLAS

/// Inner products of many queries with many vectors, by the system's matrix product.
package enum ScoreProducts {
  /// scores[q × rows + r] = queries[q] · vectors[r], on the calling thread alone.
  ///
  /// - Parameters:
  ///   - queries: `count` × `dimension`, row-major.
  ///   - vectors: `rows` × `dimension`, row-major.
  ///   - scores: room for `count` × `rows`.
  package static func compute(
    queries: UnsafePointer<Float>, count: Int, vectors: UnsafePointer<Float>, rows: Int,
    dimension: Int, into scores: UnsafeMutablePointer<Float>
  ) {
    retort_sgemm(
      false, true, Int32(count), Int32(rows), Int32(dimension), 1,
      queries, Int32(dimension), vectors, Int32(dimension), 0, scores, Int32(rows))
  }
}
