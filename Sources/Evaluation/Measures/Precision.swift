extension JudgedRanking {
  /// The relevant among the first `cutoff`, over `cutoff` (also when fewer were retrieved).
  func precision(cutoff: Int, relevance: Int) -> Double {
    Double(relevantRetrieved(cutoff: cutoff, relevance: relevance)) / Double(cutoff)
  }

  /// Precision at R, the number of relevant documents; 0 without any.
  func rPrecision(relevance: Int) -> Double {
    let total = relevant(relevance)
    return total == 0 ? 0 : precision(cutoff: total, relevance: relevance)
  }

  /// The relevant among the first `cutoff`, over all relevant; 0 without any.
  func recall(cutoff: Int?, relevance: Int) -> Double {
    let total = relevant(relevance)
    guard total > 0 else { return 0 }
    return Double(relevantRetrieved(cutoff: cutoff, relevance: relevance)) / Double(total)
  }

  /// 1 when a relevant document is among the first `cutoff`, else 0.
  func success(cutoff: Int?, relevance: Int) -> Double {
    relevantRetrieved(cutoff: cutoff, relevance: relevance) > 0 ? 1 : 0
  }
}
