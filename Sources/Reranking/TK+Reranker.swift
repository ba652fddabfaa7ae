import Models
import Platform
import Tensors

extension TK: TermReranker {
  /// Numbers of a word's vector.
  package var termDimension: Int { dimension }

  /// The scores of `passages` for `query`, in order.
  public func rerank(
    query: String, passages: [String], threads: Int
  ) throws(RetortError) -> RerankScores {
    let (scores, truncated) = try score(query: query, passages: passages, threads: threads)
    return RerankScores(scores: scores, truncated: truncated)
  }

  /// Reads a query once, to score passages by their vectors.
  package func reading(_ query: String) throws(RetortError) -> ReadQuery {
    let sequence = sequence(query, .query)
    let vectors = vectors(sequence, .query)
    return ReadQuery(isTruncated: sequence.isTruncated) { terms, threads throws(RetortError) in
      try self.score(vectors, terms: terms, threads: threads)
    }
  }

  /// What every kernel saw, and what it adds to the score.
  public func explain(
    query: String, passage: String, threads: Int
  ) throws(RetortError) -> RerankExplanation? {
    explanation(histogram(query: query, passage: passage))
  }

  /// The same by a passage's stored vectors.
  package func explain(
    query: String, passage: String, terms: PassageTerms, threads: Int
  ) throws(RetortError) -> RerankExplanation? {
    let rows = terms.values.count / max(dimension, 1)
    return explanation(
      histogram(query: query, Matrix(rows: rows, columns: dimension, values: terms.values)))
  }

  private func explanation(
    _ histogram: (words: [String], kernels: [KernelShare])
  ) -> RerankExplanation {
    RerankExplanation(
      model: .tk, score: histogram.kernels.reduce(0) { $0 + $1.part }, words: histogram.words,
      kernels: histogram.kernels)
  }
}
