/// Ensembles of teachers that need no labels.
package enum LabelFreeEnsembles {
  /// Reciprocal-rank fusion (Cormack et al. 2009, k = 60) of the teachers' rankings of a list.
  ///
  /// Fused ranks are turned into scores of the teachers' scale: the passage that is i-th by fusion
  /// gets the i-th largest mean logit. Ties, within a teacher and of the fusion, share: passages that
  /// a teacher scores alike have the mean of their ranks, and passages that tie at the end have the
  /// mean of their scores.
  package static func rankFusion(_ list: TeacherList) -> [Double] {
    var fused = [Double](repeating: 0, count: list.passages)
    for logits in list.logits {
      for group in groups(logits) {
        let rank = Double(group.range.lowerBound + group.range.upperBound + 1) / 2
        for place in group.places { fused[place] += 1 / (60 + rank) }
      }
    }
    let scores = list.mean.ordered(by: >)
    var result = fused
    for group in groups(fused) {
      let share = scores[group.range].reduce(0, +) / Double(group.range.count)
      for place in group.places { result[place] = share }
    }
    return result
  }

  /// The mean of the majority of teachers on one side of the student's present score, for each
  /// passage; where the sides are even, of all teachers. A reconstruction after the name of GOVERN
  /// (arXiv:2405.03764), a vote on the gradient's direction.
  ///
  /// - Parameter student: its logits, [n].
  package static func vote(_ list: TeacherList, student: [Double]) -> [Double] {
    (0..<list.passages).map { passage in
      let all = list.logits.map { $0[passage] }
      let above = all.filter { $0 > student[passage] }
      let below = all.filter { $0 < student[passage] }
      let majority = above.count == below.count ? all : above.count > below.count ? above : below
      return majority.reduce(0, +) / Double(majority.count)
    }
  }

  /// Places of equal scores together, the highest score first, with the ranks (from 0) they take.
  private static func groups(_ scores: [Double]) -> [(places: [Int], range: Range<Int>)] {
    let order = scores.indices.ordered { (-scores[$0], $0) < (-scores[$1], $1) }
    var groups: [(places: [Int], range: Range<Int>)] = []
    var start = 0
    while start < order.count {
      var end = start + 1
      while end < order.count, scores[order[end]] == scores[order[start]] { end += 1 }
      groups.append((Array(order[start..<end]), start..<end))
      start = end
    }
    return groups
  }
}
