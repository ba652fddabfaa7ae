import Models
import Platform

/// A re-ranker that reads passages once, ahead of all queries, and keeps a row of numbers a token.
package protocol TermReranker: Reranker {
  /// What decides the terms of a passage: equal fingerprints mean interchangeable terms.
  var termFingerprint: String { get }

  /// Numbers of one row.
  var termDimension: Int { get }

  /// The terms of `passages`, in order.
  func terms(of passages: [String], threads: Int) throws(RetortError) -> PassageTerms

  /// Reads a query once, to score many passages by their terms: as `rerank` scores the same passages.
  func reading(_ query: String) throws(RetortError) -> ReadQuery

  /// Why the passage has the score that its terms gave it.
  ///
  /// - Parameter terms: of this passage alone, as they are stored.
  func explain(
    query: String, passage: String, terms: PassageTerms, threads: Int
  ) throws(RetortError) -> RerankExplanation?
}

/// A query that a re-ranker has read.
package struct ReadQuery: Sendable {
  /// Whether its text was cut.
  package var isTruncated: Bool
  /// The scores of passages given by their terms, in order, on so many threads.
  package var score: @Sendable (PassageTerms, Int) throws(RetortError) -> [Float]

  /// A query and what scores passages for it.
  package init(
    isTruncated: Bool,
    score: @escaping @Sendable (PassageTerms, Int) throws(RetortError) -> [Float]
  ) {
    self.isTruncated = isTruncated
    self.score = score
  }
}

extension TermReranker {
  /// The scores of passages given by their terms, in order.
  package func rerank(
    query: String, terms: PassageTerms, threads: Int
  ) throws(RetortError) -> RerankScores {
    let read = try reading(query)
    return RerankScores(
      scores: try read.score(terms, threads),
      truncated: terms.truncated + (read.isTruncated ? 1 : 0))
  }

  /// What the text says of itself.
  package func explain(
    query: String, passage: String, terms: PassageTerms, threads: Int
  ) throws(RetortError) -> RerankExplanation? {
    try explain(query: query, passage: passage, threads: threads)
  }
}
