extension JudgedRanking {
  /// 1/rank of the first relevant document; 0 when none is among the first `cutoff`.
  func reciprocalRank(cutoff: Int?, relevance: Int) -> Double {
    upTo(cutoff).first { $0.grade >= relevance }.map { 1 / Double($0.rank) } ?? 0
  }
}
