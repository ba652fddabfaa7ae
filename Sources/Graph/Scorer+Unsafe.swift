import CKernels
import Platform

/// Similarity of one fixed vector to many; higher is nearer.
protocol Scorer {
  /// Writes the similarity to each vector of `ids`.
  func scores(
    _ ids: UnsafePointer<UInt32>, count: Int, into scores: UnsafeMutablePointer<Float>
  ) throws(RetortError)
}

/// The inner product with a query: what searches rank by.
struct InnerProductScorer: Scorer {
  let vectors: VectorSet
  let query: UnsafePointer<Float>

  @inline(__always)
  func scores(
    _ ids: UnsafePointer<UInt32>, count: Int, into scores: UnsafeMutablePointer<Float>
  ) throws(RetortError) {
    try vectors.ensure(ids, count: count)
    retort_dot_many_f32(query, vectors.base, vectors.dimension, ids, count, scores)
  }
}

/// The similarity that the graph is built by: inner products of vectors lifted onto one sphere.
///
/// Maximum inner product is no metric: a long vector is nearer to everything than a short one is to
/// itself, short vectors get no incoming links, and recall collapses. One more coordinate
/// a = √(R² − ‖x‖²), R the largest norm, puts all passages on a sphere of radius R, where
/// 2R² − 2(x·y + aₓ·a_y) is the squared Euclidean distance: a metric the pruning heuristic is made
/// for. A query has a = 0, so its similarity stays the plain inner product and both rank alike.
/// Vectors of equal norm have a = 0: the graph is the usual one.
struct LiftedSpace: Sendable {
  let vectors: VectorSet
  let lifts: [Float]
  /// Whether every lift is zero.
  let isFlat: Bool

  init(_ vectors: VectorSet, threads: Int) throws(RetortError) {
    let count = vectors.count
    var norms = [Float](repeating: 0, count: count)
    let chunk = 4096
    let written = SharedBuffer(count: count)
    try parallelForThrowing((count + chunk - 1) / chunk, threads: threads) {
      item, _ throws(RetortError) in
      let range = (item * chunk)..<min(count, (item + 1) * chunk)
      try vectors.ensure(range: range)
      for id in range {
        let vector = vectors.pointer(UInt32(id))
        let norm = retort_dot_f32(vector, vector, vectors.dimension)
        guard norm.isFinite else {
          throw RetortError(
            .badData, "vector \(id) is not finite; the encoder produced NaN or infinity")
        }
        written.base[id] = norm
      }
    }
    for id in 0..<count { norms[id] = written.base[id] }
    let largest = norms.max() ?? 0
    // Rounding spreads the norms of normalised vectors by about 1e-7: that is still a flat space.
    lifts = norms.map { largest - $0 > 1e-5 * largest ? (largest - $0).squareRoot() : 0 }
    isFlat = lifts.allSatisfy { $0 == 0 }
    self.vectors = vectors
  }

  /// The similarity of two passages.
  @inline(__always)
  func similarity(_ a: UInt32, _ b: UInt32) -> Float {
    retort_dot_f32(vectors.pointer(a), vectors.pointer(b), vectors.dimension)
      + lifts[Int(a)] * lifts[Int(b)]
  }
}

/// The similarity of one passage to others in the lifted space.
struct LiftedScorer: Scorer {
  let space: LiftedSpace
  let id: UInt32

  @inline(__always)
  func scores(
    _ ids: UnsafePointer<UInt32>, count: Int, into scores: UnsafeMutablePointer<Float>
  ) throws(RetortError) {
    let vectors = space.vectors
    retort_dot_many_f32(
      vectors.pointer(id), vectors.base, vectors.dimension, ids, count, scores)
    if space.isFlat { return }
    let lift = space.lifts[Int(id)]
    for i in 0..<count { scores[i] += lift * space.lifts[Int(ids[i])] }
  }
}

/// A plain array that several threads fill at places of their own.
final class SharedBuffer: @unchecked Sendable {
  let base: UnsafeMutablePointer<Float>

  init(count: Int) {
    base = .allocate(capacity: max(count, 1))
    base.initialize(repeating: 0, count: max(count, 1))
  }

  deinit { base.deallocate() }
}
