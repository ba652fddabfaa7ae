/// What became of the passages that were found for a query, or for all.
package struct MiningCounts: Sendable, Codable, Equatable {
  /// Passages in the window of ranks.
  package var candidates = 0
  /// Of these: those of a run that the index does not have, or not any more.
  package var missing = 0
  /// Of the others: judged relevant.
  package var relevant = 0
  /// Of the others: those with the text of a relevant passage.
  package var repeated = 0
  /// Of the others: those without a text, where texts are needed.
  package var blank = 0
  /// Of the others: those that the teacher has no score for.
  package var unscored = 0
  /// Of the others, counted for each positive: those above the share of the positive's score.
  package var aboveRatio = 0
  /// Of the others: those within the margin.
  package var withinMargin = 0
  /// Positives that were to be compared but have no score, or no text where one is needed.
  package var unscoredPositives = 0
  /// Positives with fewer negatives than asked for, but some.
  package var short = 0
  /// Positives without any negative.
  package var without = 0
  /// Texts longer than the query's encoder or the teacher takes.
  package var truncated = 0

  package init() {}

  /// All numbers, in the order above.
  var values: [Int] {
    [
      candidates, missing, relevant, repeated, blank, unscored, aboveRatio, withinMargin,
      unscoredPositives, short, without, truncated,
    ]
  }

  /// From `values`; nil where there are not as many, or one is negative.
  init?(_ values: [Int]) {
    guard values.count == Self().values.count, values.allSatisfy({ $0 >= 0 }) else { return nil }
    (candidates, missing, relevant, repeated) = (values[0], values[1], values[2], values[3])
    (blank, unscored, aboveRatio, withinMargin) = (values[4], values[5], values[6], values[7])
    (unscoredPositives, short, without, truncated) = (values[8], values[9], values[10], values[11])
  }

  static func += (sum: inout MiningCounts, other: MiningCounts) {
    let values = zip(sum.values, other.values).map { $0.0 &+ $0.1 }
    if let added = MiningCounts(values) { sum = added }
  }
}

/// What mining found.
package struct MiningReport: Sendable, Codable, Equatable {
  /// Queries with a text and a positive passage.
  package var queries = 0
  /// Their positive passages.
  package var positives = 0
  /// Triples written.
  package var triples = 0
  /// Queries without a triple.
  package var queriesWithout = 0
  /// Queries that are judged but have no text.
  package var unknownQueries = 0
  /// Queries that have a text but no positive passage in the qrels.
  package var unjudgedQueries = 0
  /// Positive passages that the index does not have, and those that were deleted from it.
  package var unknownPositives = 0, deletedPositives = 0
  /// What became of the passages that were found.
  package var counts = MiningCounts()
  /// Queries mined by this run, and the seconds it took.
  package var queriesNow = 0
  package var seconds = 0.0
}
