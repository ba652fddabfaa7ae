import Platform

/// Where a graph's vectors come from while they are still being made.
///
/// The builder takes vectors in id order, links a batch, and gives them back before it asks for
/// more. Which vectors a batch holds depends on counts alone, so the graph has the same bytes however
/// slowly they arrive.
package protocol VectorSource: Sendable {
  /// Waits until `count` vectors are there, or all there will ever be, and lends them.
  ///
  /// - Returns: all vectors that are there, and how many threads may work until they are given back.
  func take(upTo count: Int) throws(RetortError) -> (vectors: VectorSet, threads: Int)

  /// Says that what was done with the vectors taken last is done, and how many are linked now.
  func finished(next: Int)

  /// Throws `.cancelled` once the build is to stop; asked several times a second, by any thread.
  func check() throws(RetortError)
}

extension VectorSource {
  package func check() throws(RetortError) { try Interruption.check() }
}

/// Vectors that are all there already.
struct CompleteVectors: VectorSource, @unchecked Sendable {
  let vectors: VectorSet
  let threads: Int
  /// Called by the thread that builds.
  let progress: (Int) -> Void

  func take(upTo count: Int) -> (vectors: VectorSet, threads: Int) { (vectors, threads) }

  func finished(next: Int) { progress(next) }
}

/// Throws once the user asked the process to stop: the usual check of long work.
package func stopCheck() throws(RetortError) { try Interruption.check() }
