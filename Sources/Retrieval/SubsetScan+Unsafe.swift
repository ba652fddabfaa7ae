import CKernels
import Graph
import Platform

/// Scans some vectors of a segment, one query at a time, with the arithmetic of the graph walk.
struct SubsetScan {
  let vectors: VectorSet
  let metric: GraphMetric

  private static let chunk = 512

  /// The `k` best of the vectors `ids`, ordered by `Neighbor.ranksBefore`.
  ///
  /// - Parameter query: `vectors.dimension` floats.
  func search(_ query: [Float], among ids: [UInt32], k: Int) throws(RetortError) -> [Neighbor] {
    guard k > 0, !ids.isEmpty else { return [] }
    var best: [Neighbor] = []
    /// The k-th best known.
    var worst: Neighbor?
    var scores = [Float](repeating: 0, count: Self.chunk)
    for start in stride(from: 0, to: ids.count, by: Self.chunk) {
      try Interruption.check()
      let part = Array(ids[start..<min(ids.count, start + Self.chunk)])
      try score(query, part, into: &scores)
      for (place, id) in part.enumerated() {
        let candidate = Neighbor(id: id, score: scores[place])
        if let worst, !Neighbor.ranksBefore(candidate, worst) { continue }
        best.append(candidate)
        if best.count >= 2 * k + 64 {
          trim(&best, to: k)
          worst = best.last
        }
      }
    }
    trim(&best, to: k)
    return best
  }

  /// Keeps the best, in order.
  private func trim(_ best: inout [Neighbor], to k: Int) {
    best.rank()
    if best.count > k { best.removeSubrange(k...) }
  }

  private func score(
    _ query: [Float], _ ids: [UInt32], into scores: inout [Float]
  ) throws(RetortError) {
    let result: Result<Void, RetortError> = ids.withUnsafeBufferPointer { ids in
      query.withUnsafeBufferPointer { query in
        scores.withUnsafeMutableBufferPointer { scores in
          guard let id = ids.baseAddress, let query = query.baseAddress,
            let score = scores.baseAddress
          else { return .success(()) }
          do throws(RetortError) {
            try vectors.ensure(id, count: ids.count)
          } catch {
            return .failure(error)
          }
          retort_dot_many_f32(query, vectors.base, vectors.dimension, id, ids.count, score)
          if metric != .innerProduct {
            for i in 0..<ids.count {
              score[i] += metric.bias(vectors.pointer(id[i]), vectors.dimension)
            }
          }
          return .success(())
        }
      }
    }
    try result.get()
  }
}
