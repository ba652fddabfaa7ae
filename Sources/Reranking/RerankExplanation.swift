import Models
import Platform

/// Why a re-ranker gave a passage its score.
public struct RerankExplanation: Sendable, Encodable, Equatable {
  /// The kind of model.
  public var model: RerankerKind
  /// The score that is explained.
  public var score: Float
  /// colbert: what every token of the query matched.
  public var terms: [TermMatch]?
  /// colbert: the tokens of the passage as the model reads them, whose places `terms` names.
  public var tokens: [String]?
  /// cat, dot and prettr: what every sentence of the passage changes.
  public var sentences: [SentenceChange]?
  /// tk: the words of the query, in the order of the kernels' counts.
  public var words: [String]?
  /// tk: what every kernel saw, and what it adds to the score.
  public var kernels: [KernelShare]?

  /// A sentence of a passage.
  public struct SentenceChange: Sendable, Encodable, Equatable {
    /// The sentence.
    public var text: String
    /// By how much the score falls when the sentence is left out; negative where it rises.
    public var change: Float
  }
}

extension CrossEncoder {
  /// What every sentence of a passage changes: the score of the whole passage less that of the passage
  /// without the sentence.
  public func explain(
    query: String, passage: String, threads: Int
  ) throws(RetortError) -> RerankExplanation? {
    try bySentences(.cat, query: query, passage: passage, threads: threads)
  }
}

extension Reranker {
  /// The score of the whole passage less that of the passage without each of its sentences.
  func bySentences(
    _ kind: RerankerKind, query: String, passage: String, threads: Int
  ) throws(RetortError) -> RerankExplanation? {
    let sentences = Sentences.split(passage)
    let shortened = sentences.indices.map { place in
      (sentences[..<place] + sentences[(place + 1)...]).joined()
    }
    let scores = try rerank(
      query: query, passages: [passage] + shortened, threads: threads
    ).scores
    guard let whole = scores.first else { return nil }
    let changes = zip(sentences, scores.dropFirst()).map { sentence, score in
      RerankExplanation.SentenceChange(
        text: sentence.trimmingWhitespace, change: whole - score)
    }
    return RerankExplanation(model: kind, score: whole, sentences: changes)
  }
}

extension String {
  /// The text without white space at its ends.
  fileprivate var trimmingWhitespace: String {
    String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
  }
}
