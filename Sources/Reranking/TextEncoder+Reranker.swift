import Models
import Platform

extension TextEncoder: Reranker {
  /// The number format of its products.
  public var precision: EncoderPrecision { summary.precision.value }

  /// The inner products of the passages' vectors with the query's, in order.
  ///
  /// These are the scores an index of the passages gives, of candidates that another system found.
  public func rerank(
    query: String, passages: [String], threads: Int
  ) throws(RetortError) -> RerankScores {
    let texts = [tokenize(query)] + passages.map { tokenize($0) }
    let vectors = try encode(texts.map(\.ids), threads: threads)
    let question = vectors.prefix(dimension)
    let scores = (1...max(passages.count, 1)).prefix(passages.count).map { row in
      zip(question, vectors[row * dimension..<(row + 1) * dimension])
        .reduce(0) { $0 + $1.0 * $1.1 }
    }
    return RerankScores(scores: scores, truncated: texts.count { $0.isTruncated })
  }

  /// What every sentence of a passage changes, as of a cross-encoder.
  public func explain(
    query: String, passage: String, threads: Int
  ) throws(RetortError) -> RerankExplanation? {
    try bySentences(.dot, query: query, passage: passage, threads: threads)
  }
}
