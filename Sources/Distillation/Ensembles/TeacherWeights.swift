import Platform

/// Ensembles that weigh the teachers of a list by how they agree with its labels.
package enum TeacherWeights {
  /// PILE-W, a reconstruction like `PairwiseIterativeEnsemble`, with weights in the place of margins.
  ///
  /// Starts from equal weights; while pairs are in the wrong order, teachers gain weight by
  /// exp(η rₖ), rₖ their mean margin over these pairs, clipped at ±`clip` and divided by it. The
  /// weights that leave the fewest wrong pairs count, the first of equals; at most 50 rounds. What it
  /// gives is always within what the teachers said, and so it may be unable to order every pair.
  ///
  /// - Parameter clip: nil: the largest margin that a teacher gives to any pair of the list.
  /// - Returns: a weight per teacher, adding up to 1.
  package static func iterative(
    _ list: TeacherList, rate: Double = 1, clip: Double? = nil
  ) -> [Double] {
    let even = [Double](repeating: 1 / Double(list.teachers), count: list.teachers)
    let largest = list.pairs.reduce(0) { largest, pair in
      (0..<list.teachers).reduce(largest) { max($0, abs(list.margin($1, pair))) }
    }
    let limit = clip ?? largest
    guard limit > 0 else { return even }
    var weights = even
    var best = (weights: even, violations: Int.max)
    for round in 0...50 {
      let logits = list.weighted(weights)
      let wrong = list.pairs.filter { logits[$0.better] <= logits[$0.worse] }
      if wrong.count < best.violations { best = (weights, wrong.count) }
      if wrong.isEmpty || round == 50 { break }
      for teacher in 0..<list.teachers {
        let gain = wrong.reduce(0) { $0 + min(max(list.margin(teacher, $1), -limit), limit) }
        weights[teacher] *= exp(rate * gain / limit / Double(wrong.count))
      }
      let total = weights.reduce(0, +)
      weights = weights.map { $0 / total }
    }
    return best.weights
  }

  /// (1 − softmax(loss)ₖ)/(K − 1), the loss of a teacher being its mean RankNet loss over the pairs:
  /// after Zhang et al. 2022, *Confidence-Aware Multi-Teacher Knowledge Distillation*
  /// (arXiv:2201.00007). Equal weights where there are no pairs.
  package static func byLabels(_ list: TeacherList) -> [Double] {
    let count = list.teachers
    guard count > 1, !list.pairs.isEmpty else {
      return [Double](repeating: 1 / Double(count), count: count)
    }
    let losses = (0..<count).map { teacher in
      list.pairs.reduce(0) { $0 + softplus(-list.margin(teacher, $1)) } / Double(list.pairs.count)
    }
    let largest = losses.reduce(-Double.infinity, max)
    let powers = losses.map { exp($0 - largest) }
    let total = powers.reduce(0, +)
    return powers.map { (1 - $0 / total) / Double(count - 1) }
  }

  private static func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }
}
