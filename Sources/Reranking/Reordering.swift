import Platform

/// A query's passages in a new order.
struct Reordering {
  /// Places in the old order, best first, and their scores, which never rise.
  private(set) var hits: [(place: Int, score: Float)]

  /// Orders the first candidates by their scores, equal ones as they were; the others stay behind
  /// them in their order, with scores that fall by one (or to the next smaller number).
  ///
  /// - Parameters:
  ///   - scores: of the first candidates.
  ///   - count: of all candidates.
  ///   - describe: names a candidate in errors.
  init(
    scores: [Float], count: Int, describe: (Int) -> String
  ) throws(RetortError) {
    for (place, score) in scores.enumerated() where !score.isFinite {
      throw RetortError(
        .badData,
        "the re-ranker scores \(describe(place)) with \(score); its weights are damaged: train or "
          + "download the model again")
    }
    hits = scores.indices.ordered { (scores[$1], $0) < (scores[$0], $1) }
      .map { (place: $0, score: scores[$0]) }
    var last = hits.last?.score ?? 0
    for place in scores.count..<max(count, scores.count) {
      last = min(last - 1, last.nextDown)
      hits.append((place, last))
    }
  }
}
