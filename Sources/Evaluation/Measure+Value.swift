extension Measure {
  /// The measure's value for one query. `defaultRelevance` applies where the measure names none.
  func value(of ranking: JudgedRanking, defaultRelevance: Int) -> Double {
    let relevance = self.relevance ?? defaultRelevance
    switch family {
    case .reciprocalRank: return ranking.reciprocalRank(cutoff: cutoff, relevance: relevance)
    case .nDCG: return ranking.nDCG(cutoff: cutoff, gain: gain)
    case .averagePrecision: return ranking.averagePrecision(cutoff: cutoff, relevance: relevance)
    case .recall: return ranking.recall(cutoff: cutoff, relevance: relevance)
    case .precision: return ranking.precision(cutoff: cutoff ?? 1, relevance: relevance)
    case .success: return ranking.success(cutoff: cutoff, relevance: relevance)
    case .judged: return ranking.judged(cutoff: cutoff)
    case .rPrecision: return ranking.rPrecision(relevance: relevance)
    case .bpref: return ranking.bpref(relevance: relevance)
    case .retrievedCount:
      // Without `rel` every retrieved document counts, whatever the default threshold.
      return Double(
        self.relevance == nil
          ? ranking.retrieved : ranking.relevantRetrieved(cutoff: nil, relevance: relevance))
    case .relevantCount: return Double(ranking.relevant(relevance))
    case .queryCount: return 1
    }
  }
}
