import Models
import Platform

extension PreTTR: TermReranker {
  /// Numbers of a passage's token that are kept.
  package var termDimension: Int { dimension }

  /// The scores of `passages` for `query`, in order.
  public func rerank(
    query: String, passages: [String], threads: Int
  ) throws(RetortError) -> RerankScores {
    let (scores, truncated) = try score(query: query, passages: passages, threads: threads)
    return RerankScores(scores: scores, truncated: truncated)
  }

  /// The scores of passages given by what was kept of them, in order.
  package func rerank(
    query: String, terms: PassageTerms, threads: Int
  ) throws(RetortError) -> RerankScores {
    let sequence = sequence(query, .query)
    let scores = try score(sequence, terms: terms, threads: threads)
    return RerankScores(
      scores: scores, truncated: terms.truncated + (sequence.isTruncated ? 1 : 0))
  }

  /// What every sentence of a passage changes, as of a cross-encoder.
  ///
  /// A passage without a sentence is another text, of which nothing is stored: both scores are those of
  /// texts that are read anew.
  public func explain(
    query: String, passage: String, threads: Int
  ) throws(RetortError) -> RerankExplanation? {
    try bySentences(.prettr, query: query, passage: passage, threads: threads)
  }
}
