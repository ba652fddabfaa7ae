extension JudgedRanking {
  /// (1/R) Σ over retrieved relevant documents of 1 − min(n, R) / min(N, R), where n non-relevant
  /// documents rank above, of N judged non-relevant ones in all (Buckley & Voorhees 2004, as in
  /// trec_eval). Documents that are not judged do not matter.
  func bpref(relevance: Int) -> Double {
    let total = relevant(relevance)
    guard total > 0 else { return 0 }
    let nonrelevant = grades.count { $0 >= 0 && $0 < relevance }
    var above = 0
    var sum = 0.0
    for hit in hits {
      if hit.grade >= relevance {
        let bound = min(nonrelevant, total)
        sum += above == 0 ? 1 : 1 - Double(min(above, total)) / Double(bound)
      } else if hit.grade >= 0 {
        above += 1
      }
    }
    return sum / Double(total)
  }
}
