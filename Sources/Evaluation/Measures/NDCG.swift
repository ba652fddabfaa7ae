import Platform

extension JudgedRanking {
  /// DCG over the DCG of the ideal ranking, Σ gain(r) / log2(r + 1) both, up to `cutoff`
  /// (Järvelin & Kekäläinen 2002, with the discount from rank 1, as trec_eval has it).
  ///
  /// The ideal ranks all judged documents of the query by grade. Grades below 1 gain nothing. 0
  /// when nothing is relevant. `nDCG` ignores relevance thresholds.
  func nDCG(cutoff: Int?, gain: Measure.Gain) -> Double {
    var ideal = 0.0
    let best = grades.filter { $0 > 0 }.ordered(by: >)
    for (index, grade) in best.prefix(cutoff ?? best.count).enumerated() {
      ideal += Self.gain(grade, gain) / Self.discount(index + 1)
    }
    guard ideal > 0 else { return 0 }
    var found = 0.0
    for hit in upTo(cutoff) where hit.grade > 0 {
      found += Self.gain(hit.grade, gain) / Self.discount(hit.rank)
    }
    return found / ideal
  }

  private static func gain(_ grade: Int, _ gain: Measure.Gain) -> Double {
    switch gain {
    case .linear: Double(grade)
    case .exponential: exp2(Double(grade)) - 1
    }
  }

  private static func discount(_ rank: Int) -> Double { log2(Double(rank) + 1) }
}
