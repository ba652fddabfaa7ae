import Models
import Platform
import Tensors

/// A re-ranker whose score is MaxSim, which can be computed on compressed terms.
package protocol MaxSimReranker: TermReranker {
  /// The vectors of a query's tokens, [tokens × dimension], and whether the text was cut.
  func queryTerms(_ text: String) throws(RetortError) -> (vectors: Matrix, isTruncated: Bool)

  /// Which token of a passage every token of a query matched, and its share of the score.
  ///
  /// - Parameter products: of the passage's stored vectors with the query's, [vectors × tokens].
  func explain(
    query: String, passage: String, products: [Float]
  ) throws(RetortError) -> RerankExplanation
}

extension ColBERT: MaxSimReranker {
  /// That passages are encoded anew.
  public var note: String? {
    "colbert: there are no stored term vectors; candidates are encoded as they are read"
  }

  /// Components of a token's vector.
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
    let question = try queryTerms(query)
    return ReadQuery(isTruncated: question.isTruncated) { terms, threads throws(RetortError) in
      try self.score(question.vectors, terms, threads: threads)
    }
  }

  /// Which token of a passage every token of a query matched, and its share of the score.
  public func explain(
    query: String, passage: String, threads: Int
  ) throws(RetortError) -> RerankExplanation? {
    RerankExplanation(try termMatches(query: query, passage: passage))
  }

  /// The same by the products of stored vectors with the query's, [vectors × tokens].
  package func explain(
    query: String, passage: String, products: [Float]
  ) throws(RetortError) -> RerankExplanation {
    RerankExplanation(try termMatches(query: query, passage: passage, products: products))
  }
}

extension RerankExplanation {
  /// What ColBERT's tokens matched.
  fileprivate init(_ found: TermMatches) {
    self.init(
      model: .colbert, score: found.score, terms: found.matches, tokens: found.tokens)
  }
}
