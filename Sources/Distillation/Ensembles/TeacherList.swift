/// What K teachers say of one query's n passages, and how the passages are judged.
package struct TeacherList: Sendable {
  /// Two passages of different grades.
  package struct Pair: Sendable, Equatable {
    /// The place of the passage with the higher grade.
    package var better: Int
    /// The place of the other.
    package var worse: Int
    /// The difference of their grades, above 0.
    package var gap: Double

    /// Makes a pair.
    package init(better: Int, worse: Int, gap: Double) {
      self.better = better
      self.worse = worse
      self.gap = gap
    }
  }

  /// Raw logits, [K × n].
  package let logits: [[Double]]
  /// Every two judged passages whose grades differ, by places.
  package let pairs: [Pair]

  /// The number of teachers.
  package var teachers: Int { logits.count }
  /// The number of passages.
  package var passages: Int { logits.first?.count ?? 0 }

  /// Makes a list; `grades` has one for every passage, nil where nobody judged it. Passages that are
  /// not judged belong to no pair: they are not grade 0, teachers may have found what judges missed.
  package init(logits: [[Double]], grades: [Double?]) {
    self.logits = logits
    var pairs: [Pair] = []
    for (better, high) in grades.enumerated() {
      guard let high else { continue }
      for (worse, low) in grades.enumerated() {
        guard let low, high > low else { continue }
        pairs.append(Pair(better: better, worse: worse, gap: high - low))
      }
    }
    self.pairs = pairs
  }

  /// How much higher teacher `teacher` scores the better passage of a pair.
  func margin(_ teacher: Int, _ pair: Pair) -> Double {
    logits[teacher][pair.better] - logits[teacher][pair.worse]
  }

  /// Σₖ wₖ Tₖ, [n].
  package func weighted(_ weights: [Double]) -> [Double] {
    (0..<passages).map { passage in
      zip(weights, logits).reduce(0) { $0 + $1.0 * $1.1[passage] }
    }
  }

  /// The mean over teachers, [n]: Hofstätter et al. 2020's ensemble (T2).
  package var mean: [Double] {
    (0..<passages).map { passage in
      logits.reduce(0) { $0 + $1[passage] } / Double(teachers)
    }
  }

  /// Pairs that `scores` have in the wrong order or tied.
  package func violations(_ scores: [Double]) -> Int {
    pairs.count { scores[$0.better] <= scores[$0.worse] }
  }
}
