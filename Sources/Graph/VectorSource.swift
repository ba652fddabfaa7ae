import Platform

/// Where a graph's vectors come from while they are still being made.
///
/// The builder takes vectors in id order, a batch at a time, and gives each batch back before it
/// asks for the next. Which vectors a batch holds depends on counts alone, so the graph has the same
/// bytes however slowly they arrive.
package protocol VectorSource {
  /// Waits until `count` vectors are there, or all there will ever be, and lends them.
  ///
  /// - Returns: all vectors that are there, and how many threads may work on the batch.
  func take(upTo count: Int) throws(RetortError) -> (vectors: VectorSet, threads: Int)

  /// Says that the batch taken last is linked; `next` is the first id of the next batch.
  func finished(next: Int)
}

/// Vectors that are all there already.
struct CompleteVectors: VectorSource {
  let vectors: VectorSet
  let threads: Int
  let progress: (Int) -> Void

  func take(upTo count: Int) -> (vectors: VectorSet, threads: Int) { (vectors, threads) }

  func finished(next: Int) { progress(next) }
}
