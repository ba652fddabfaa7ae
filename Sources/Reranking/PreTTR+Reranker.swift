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

  /// Reads a query once, to score passages by what was kept of them.
  package func reading(_ query: String) throws(RetortError) -> ReadQuery {
    let sequence = sequence(query, .query)
    let states = states(sequence)
    return ReadQuery(isTruncated: sequence.isTruncated) { terms, threads throws(RetortError) in
      try self.score(states, terms: terms, threads: threads)
    }
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
