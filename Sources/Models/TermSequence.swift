import Platform

/// A query or a passage as a model reads it that compares their tokens.
package struct TermSequence: Sendable {
  /// Token ids.
  package var ids: [Int32]
  /// How many of the first tokens are attended to.
  package var keys: Int
  /// The tokens that have a vector.
  package var kept: [Int32]
  /// Whether the text was longer.
  package var isTruncated: Bool

  /// A sequence all of whose tokens take part.
  package init(_ ids: [Int32], isTruncated: Bool = false) {
    self.init(
      ids: ids, keys: ids.count, kept: ids.indices.map { Int32($0) }, isTruncated: isTruncated)
  }

  init(ids: [Int32], keys: Int, kept: [Int32], isTruncated: Bool) {
    self.ids = ids
    self.keys = keys
    self.kept = kept
    self.isTruncated = isTruncated
  }
}

/// Inference of a model that reads queries and passages as sequences of their own.
protocol TermScorer: Sendable {
  /// Scores passages for a query, in order; the same bytes for every number of threads.
  func score(
    _ query: TermSequence, _ passages: [TermSequence], threads: Int
  ) throws(RetortError) -> [Float]
}

extension ColBERT: TermScorer {}
