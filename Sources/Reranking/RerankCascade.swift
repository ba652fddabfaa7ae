import Platform
import Retrieval

/// Re-rankers one after the other, each over the best of what the one before it found.
public struct RerankCascade: Sendable {
  /// A re-ranker, and how many passages it reads.
  public struct Stage: Sendable {
    /// The model.
    public var reranker: any Reranker
    /// How many of the best passages it scores.
    public var depth: Int

    /// A stage.
    public init(_ reranker: any Reranker, depth: Int) {
      self.reranker = reranker
      self.depth = depth
    }
  }

  /// The stages in order.
  public let stages: [Stage]

  /// Makes a cascade; depths must be at least 1 and never grow.
  public init(_ stages: [Stage]) throws(RetortError) {
    try Self.check(depths: stages.map(\.depth))
    self.stages = stages
  }

  /// How many passages the first stage reads: what a search should find.
  public var depth: Int { stages.first?.depth ?? 0 }

  /// Throws where a stage could not get as many passages as it is to read.
  public static func check(depths: [Int]) throws(RetortError) {
    for (number, depth) in depths.enumerated() {
      guard depth >= 1 else { throw RetortError(.usage, "--depth must be at least 1") }
      guard number == 0 || depth <= depths[number - 1] else {
        throw RetortError(
          .usage,
          "the depth \(depth) of re-ranker \(number + 1) exceeds the \(depths[number - 1]) of the one "
            + "before it, which leaves it fewer; depths must not grow")
      }
    }
  }

  /// What a user should know about how the stages work over `index`.
  public func notes(over index: PassageIndex) -> [String] {
    stages.compactMap { $0.reranker.note(over: index) }
  }

  /// The passages that a search found, in the order of the last stage that read them.
  ///
  /// A stage whose term vectors the index stores reads those, others the texts. Passages that a stage
  /// did not read stay behind those it read, in their order, with scores that fall by one.
  ///
  /// - Parameter hits: best first.
  public func rerank(
    _ query: String, _ hits: [SearchHit], in index: PassageIndex, threads: Int
  ) throws(RetortError) -> RerankedHits {
    var texts: [Int: String] = [:]
    var result = RerankedHits(hits)
    for stage in stages {
      let numbers = result.hits.prefix(stage.depth).map(\.number)
      let answer: RerankScores
      if let stored = StoredTerms(stage.reranker, in: index) {
        answer = try stored.rerank(query: query, numbers: numbers, threads: threads)
      } else {
        for number in numbers where texts[number] == nil {
          texts[number] = try index.passage(number).text
        }
        answer = try stage.reranker.rerank(
          query: query, passages: numbers.map { texts[$0] ?? "" }, threads: threads)
      }
      result.truncated += answer.truncated
      let before = result.hits
      let order = try Reordering(scores: answer.scores, count: before.count) {
        "passage \(before[$0].number)"
      }
      result.reorder(order, read: answer.scores.count)
    }
    return result
  }

  /// Why the best hits have their scores, by the last stage that read each; nil where none did.
  ///
  /// Where that stage read stored term vectors, so does its explanation.
  ///
  /// - Parameter hits: as `rerank` gives them, from the best.
  public func explain(
    _ query: String, _ hits: [SearchHit], in index: PassageIndex, threads: Int
  ) throws(RetortError) -> [RerankExplanation?] {
    var explanations: [RerankExplanation?] = []
    // Depths never grow: the last stage read the first hits, the one before it those behind them.
    for stage in stages.reversed() where stage.depth > explanations.count {
      var passages: [(number: Int, text: String)] = []
      for hit in hits.prefix(stage.depth).dropFirst(explanations.count) {
        passages.append((hit.number, try index.passage(hit.number).text))
      }
      if let stored = StoredTerms(stage.reranker, in: index) {
        explanations += try stored.explain(query: query, passages: passages, threads: threads)
        continue
      }
      for passage in passages {
        try Interruption.check()
        explanations.append(
          try stage.reranker.explain(query: query, passage: passage.text, threads: threads))
      }
    }
    return explanations
      + [RerankExplanation?](repeating: nil, count: hits.count - explanations.count)
  }
}

/// What a cascade made of the hits of a search.
public struct RerankedHits: Sendable, Equatable {
  /// The hits in the order of the last stage that read them.
  public private(set) var hits: [SearchHit]
  /// Texts that were longer than a model takes.
  public internal(set) var truncated = 0
  /// The scores that the search and then every stage gave, each in the order of `hits`; nil for what a
  /// stage did not read.
  public private(set) var stages: [[Float?]]

  /// The hits of a search.
  init(_ hits: [SearchHit]) {
    self.hits = hits
    stages = [hits.map(\.score)]
  }

  /// Takes over the order of a stage that read the first hits.
  mutating func reorder(_ order: Reordering, read: Int) {
    let before = hits
    hits = order.hits.map { SearchHit(number: before[$0.place].number, score: $0.score) }
    stages = stages.map { scores in order.hits.map { scores[$0.place] } }
    stages.append(order.hits.map { $0.place < read ? $0.score : nil })
  }
}
