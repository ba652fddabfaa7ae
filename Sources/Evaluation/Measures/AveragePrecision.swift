extension JudgedRanking {
  /// (1/R) Σ over relevant documents at ranks r ≤ `cutoff` of the precision at r.
  ///
  /// R is the number of relevant documents there are, also when it exceeds the cutoff.
  func averagePrecision(cutoff: Int?, relevance: Int) -> Double {
    let total = relevant(relevance)
    guard total > 0 else { return 0 }
    var found = 0
    var sum = 0.0
    for hit in upTo(cutoff) where hit.grade >= relevance {
      found += 1
      sum += Double(found) / Double(hit.rank)
    }
    return sum / Double(total)
  }
}
