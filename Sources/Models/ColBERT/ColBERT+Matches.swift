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

extension ColBERT {
  /// What every token of a query matched in a passage, in the order of the query.
  public func matches(query: String, passage: String) throws(RetortError) -> [TermMatch] {
    let pieces = try pieceTable()
    let (query, passage) = (self.query(query), self.passage(passage))
    let (questions, answers) = (vectors(query).values, vectors(passage).values)
    try checkIntact()
    guard !passage.kept.isEmpty else { return [] }
    var matches: [TermMatch] = []
    for (row, token) in query.kept.enumerated() {
      let own = questions[row * dimension..<(row + 1) * dimension]
      var best = (place: 0, score: -Float.infinity)
      for candidate in passage.kept.indices {
        let other = answers[candidate * dimension..<(candidate + 1) * dimension]
        let score = zip(own, other).reduce(Float(0)) { $0 + $1.0 * $1.1 }
        if score > best.score { best = (candidate, score) }
      }
      let place = Int(passage.kept[best.place])
      matches.append(
        TermMatch(
          query: pieces.name(query.ids[Int(token)]), passage: pieces.name(passage.ids[place]),
          place: place, score: best.score, share: 0))
    }
    let total = matches.reduce(0) { $0 + $1.score }
    guard total != 0 else { return matches }
    for index in matches.indices { matches[index].share = matches[index].score / total }
    return matches
  }
}
