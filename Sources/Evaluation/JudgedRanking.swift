/// One query's ranking as the measures see it: who was relevant at which rank.
///
/// Grades below zero stand in the qrels but count as unjudged, as in trec_eval.
struct JudgedRanking {
  /// A retrieved document that stands in the qrels.
  struct Hit {
    /// From 1.
    var rank: Int
    var grade: Int
  }

  /// The retrieved documents that stand in the qrels, by rising rank.
  var hits: [Hit]
  /// How many documents were retrieved, those not in the qrels included.
  var retrieved: Int
  /// How many of the retrieved documents have ranks up to a rank; nil where ranks have no gaps.
  var ranks: [Int]?
  /// All grades of the query.
  var grades: [Int]

  /// The number of documents that are relevant, retrieved or not.
  func relevant(_ relevance: Int) -> Int { grades.count { $0 >= relevance } }

  /// The number of relevant documents among the first `cutoff`.
  func relevantRetrieved(cutoff: Int?, relevance: Int) -> Int {
    upTo(cutoff).count { $0.grade >= relevance }
  }

  /// The hits with ranks up to `cutoff`.
  func upTo(_ cutoff: Int?) -> ArraySlice<Hit> {
    guard let cutoff else { return hits[...] }
    return hits.prefix { $0.rank <= cutoff }
  }

  /// The number of documents retrieved with ranks up to `cutoff`.
  func retrieved(upTo cutoff: Int?) -> Int {
    guard let cutoff else { return retrieved }
    return ranks.map { $0.count { $0 <= cutoff } } ?? min(retrieved, cutoff)
  }
}
