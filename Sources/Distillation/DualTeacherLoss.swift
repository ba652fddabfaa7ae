/// The loss of TAS-Balanced: a teacher for pairs and one for the passages of the batch (Hofstätter
/// et al. 2021, arXiv:2104.06967).
///
/// L = Σᵢ (mᵢ − Mᵢ)²/B + λ · ½ (mean over i ≠ j of ((S⁺ᵢᵢ − S⁺ᵢⱼ) − (C⁺ᵢᵢ − C⁺ᵢⱼ))² and of
/// ((S⁺ᵢᵢ − S⁻ᵢⱼ) − (C⁺ᵢᵢ − C⁻ᵢⱼ))²). The own negative belongs to the first term alone.
package enum DualTeacherLoss {
  /// Scores of every query with every positive and every negative of the batch.
  package struct Scores: Sendable, Equatable {
    /// S⁺, row i: query i.
    package var positive: [[Double]]
    /// S⁻, row i: query i.
    package var negative: [[Double]]

    /// Both are square and equally large.
    package init(positive: [[Double]], negative: [[Double]]) {
      precondition(
        negative.count == positive.count
          && (positive + negative).allSatisfy { $0.count == positive.count })
      self.positive = positive
      self.negative = negative
    }
  }

  /// The same over a list of scores a query: of the positive and the negative of every triple of
  /// the batch, in their order (`PassageSharing.all`).
  static func evaluate(
    _ lists: [[Double]], inBatchTeacher teacher: Scores, margins: [Double], weight: Double
  ) -> Loss.Evaluation {
    let triples = lists.indices
    let student = Scores(
      positive: lists.map { list in triples.map { list[2 * $0] } },
      negative: lists.map { list in triples.map { list[2 * $0 + 1] } })
    let answer = evaluate(student, inBatchTeacher: teacher, margins: margins, weight: weight)
    let gradient = zip(answer.gradient.positive, answer.gradient.negative).map {
      positive, negative in
      zip(positive, negative).flatMap { [$0, $1] }
    }
    return Loss.Evaluation(value: answer.value, gradient: gradient)
  }

  /// The loss, its parts, and its derivative with respect to the student's scores.
  package static func evaluate(
    _ student: Scores, inBatchTeacher teacher: Scores, margins: [Double], weight: Double = 0.75
  ) -> (value: Double, pairs: Double, inBatch: Double, gradient: Scores) {
    let count = student.positive.count
    precondition(teacher.positive.count == count && margins.count == count)
    let zeros = [[Double]](repeating: [Double](repeating: 0, count: count), count: count)
    var gradient = Scores(positive: zeros, negative: zeros)
    var (pairs, inBatch) = (0.0, 0.0)
    for i in 0..<count {
      let difference = student.positive[i][i] - student.negative[i][i] - margins[i]
      pairs += difference * difference / Double(count)
      gradient.positive[i][i] += 2 * difference / Double(count)
      gradient.negative[i][i] -= 2 * difference / Double(count)
    }
    let others = Double(max(count * (count - 1), 1))
    for i in 0..<count {
      for j in 0..<count where j != i {
        let own = student.positive[i][i] - teacher.positive[i][i]
        let positive = own - student.positive[i][j] + teacher.positive[i][j]
        let negative = own - student.negative[i][j] + teacher.negative[i][j]
        inBatch += (positive * positive + negative * negative) / (2 * others)
        gradient.positive[i][i] += weight * (positive + negative) / others
        gradient.positive[i][j] -= weight * positive / others
        gradient.negative[i][j] -= weight * negative / others
      }
    }
    return (pairs + weight * inBatch, pairs, inBatch, gradient)
  }
}
