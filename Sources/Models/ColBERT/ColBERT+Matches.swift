import Platform
import Text

/// What a token of a query matched.
public struct TermMatch: Sendable, Codable, Equatable {
  /// The query's token.
  public var query: String
  /// The passage's token with the largest inner product; of equal ones the first.
  public var passage: String
  /// Its place among all tokens of the passage, from 0 for [CLS].
  public var place: Int
  /// The inner product.
  public var score: Float
  /// The inner product over the score of the passage; 0 where that is 0.
  public var share: Float
}

/// What the tokens of a query matched in a passage.
package struct TermMatches: Sendable {
  /// All tokens of the passage, as the model reads them.
  package var tokens: [String]
  /// A match for each token of the query, in its order; none where no token of the passage has a
  /// vector.
  package var matches: [TermMatch]

  /// The score of the passage.
  package var score: Float { matches.reduce(0) { $0 + $1.score } }
}

extension ColBERT {
  /// What every token of a query matched in a passage, in the order of the query.
  public func matches(query: String, passage: String) throws(RetortError) -> [TermMatch] {
    try termMatches(query: query, passage: passage).matches
  }

  /// What every token of a query matched in a passage that is encoded for it.
  package func termMatches(query: String, passage: String) throws(RetortError) -> TermMatches {
    let (question, answer) = (self.query(query), self.passage(passage))
    let (own, others) = (vectors(question).values, vectors(answer).values)
    try checkIntact()
    var products: [Float] = []
    products.reserveCapacity(question.kept.count * answer.kept.count)
    for other in answer.kept.indices {
      let row = others[other * dimension..<(other + 1) * dimension]
      for token in question.kept.indices {
        let pairs = zip(own[token * dimension..<(token + 1) * dimension], row)
        products.append(pairs.reduce(Float(0)) { $0 + $1.0 * $1.1 })
      }
    }
    return try termMatches(query: question, passage: answer, products: products)
  }

  /// What every token of a query matched in a passage whose vectors are stored.
  ///
  /// - Parameter products: of the stored vectors with those of the query, [vectors × tokens].
  package func termMatches(
    query: String, passage: String, products: [Float]
  ) throws(RetortError) -> TermMatches {
    try termMatches(
      query: self.query(query), passage: self.passage(passage), products: products)
  }

  private func termMatches(
    query: TermSequence, passage: TermSequence, products: [Float]
  ) throws(RetortError) -> TermMatches {
    let width = query.kept.count
    guard products.count == width * passage.kept.count else {
      throw RetortError(
        .badData,
        "an index stores \(width == 0 ? 0 : products.count / width) term vectors of a passage whose "
          + "text has \(passage.kept.count) tokens; they do not belong together: store the terms again"
      )
    }
    let pieces = try pieceTable()
    let names = passage.ids.map { pieces.name($0) }
    var result = TermMatches(tokens: names, matches: [])
    guard !passage.kept.isEmpty else { return result }
    for (column, token) in query.kept.enumerated() {
      var best = (row: 0, score: -Float.infinity)
      for row in passage.kept.indices where products[row * width + column] > best.score {
        best = (row, products[row * width + column])
      }
      let place = Int(passage.kept[best.row])
      result.matches.append(
        TermMatch(
          query: pieces.name(query.ids[Int(token)]), passage: names[place], place: place,
          score: best.score, share: 0))
    }
    let total = result.score
    guard total != 0 else { return result }
    for index in result.matches.indices {
      result.matches[index].share = result.matches[index].score / total
    }
    return result
  }
}
