extension JudgedRanking {
  /// The share of the first `cutoff` retrieved documents that stands in the qrels, with any grade.
  ///
  /// Where fewer were retrieved, the share of those, as ir_measures has it.
  func judged(cutoff: Int?) -> Double {
    let seen = retrieved(upTo: cutoff)
    return seen == 0 ? 0 : Double(upTo(cutoff).count) / Double(seen)
  }
}
