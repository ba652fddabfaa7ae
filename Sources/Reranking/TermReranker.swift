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

  /// The scores of passages given by their terms, in order: what `rerank` says of the same passages.
  func rerank(
    query: String, terms: PassageTerms, threads: Int
  ) throws(RetortError) -> RerankScores

  /// Why the passage has the score that its terms gave it.
  ///
  /// - Parameter terms: of this passage alone, as they are stored.
  func explain(
    query: String, passage: String, terms: PassageTerms, threads: Int
  ) throws(RetortError) -> RerankExplanation?
}

extension TermReranker {
  /// What the text says of itself.
  package func explain(
    query: String, passage: String, terms: PassageTerms, threads: Int
  ) throws(RetortError) -> RerankExplanation? {
    try explain(query: query, passage: passage, threads: threads)
  }
}
