import Models
import Platform

/// What a ranker is taught to make small.
///
/// A batch is a list of scores per query, the positive passage's first. Losses of pairs compare the
/// positive with every other passage and take the mean over all pairs; losses of lists take the mean
/// over queries. s are the student's scores, t the teacher's, m = s⁺ − s⁻ and M = t⁺ − t⁻.
public enum Loss: String, Sendable, Codable, CaseIterable {
  /// (m − M)²: Hofstätter et al. 2020 (arXiv:2010.02666). With several negatives the mean over them.
  case marginMSE = "margin-mse"
  /// ln(1 + e⁻ᵐ), without a teacher: Burges et al. 2005.
  case rankNet = "ranknet"
  /// |M| ln(1 + e^(−sign(M)·m)): weighted by the teacher, in its direction.
  case weightedRankNet = "weighted-ranknet"
  /// |M| ln(1 + e⁻ᵐ): weighted by the teacher, in the direction of the labels.
  case weightedRankNetPaper = "weighted-ranknet-paper"
  /// M ln(1 + e⁻ᵐ): as some published code has it; unbounded below where the teacher disagrees.
  case weightedRankNetSigned = "weighted-ranknet-signed"
  /// The mean of (s − t)² over all passages of all queries.
  case pointwiseMSE = "mse"
  /// Pointwise MSE plus RankNet.
  case pointwiseMSEWithRankNet = "mse-ranknet"
  /// max(0, 1 − m), without a teacher.
  case hinge
  /// ((sᵢ − sⱼ) − (tᵢ − tⱼ))² over all pairs i < j of a list.
  case allPairsMarginMSE = "all-pairs-margin-mse"
  /// KL(softmax(t/T) ‖ softmax(s/T)).
  case listKL = "list-kl"
  /// −Σ softmax(t/T) ln softmax(s/T): Cao et al. 2007.
  case listNet = "listnet"
  /// −ln softmax₀(s/T) over the query's own passages and all others of the batch, without a teacher.
  case infoNCE = "infonce"

  /// Whether it needs the teacher's scores.
  public var needsTeacher: Bool {
    switch self {
    case .rankNet, .hinge, .infoNCE: false
    default: true
    }
  }

  /// Whether queries are also scored with the passages of other queries of the batch.
  public var sharesPassages: Bool { self == .infoNCE }

  /// Which passages of a batch a query is scored with.
  var sharing: PassageSharing { sharesPassages ? .others : .own }

  /// A loss and its slope.
  package struct Evaluation: Sendable, Equatable {
    /// The loss.
    package var value: Double
    /// Its derivative with respect to every score.
    package var gradient: [[Double]]
  }

  /// The loss of a batch.
  ///
  /// - Parameters:
  ///   - scores: the student's, a list per query; a list of one passage counts nothing.
  ///   - teacher: the teacher's, of the same shape, where the loss needs them.
  ///   - temperature: T of the losses of lists.
  package func evaluate(
    _ scores: [[Double]], teacher: [[Double]] = [], temperature: Double = 1
  ) -> Evaluation {
    precondition(!needsTeacher || teacher.map(\.count) == scores.map(\.count))
    precondition(temperature > 0)
    var result = Evaluation(value: 0, gradient: scores.map { $0.map { _ in 0 } })
    switch self {
    case .pointwiseMSE: addPointwise(scores, teacher, to: &result)
    case .pointwiseMSEWithRankNet:
      addPointwise(scores, teacher, to: &result)
      Loss.rankNet.addPairs(scores, teacher, to: &result)
    case .allPairsMarginMSE, .listKL, .listNet, .infoNCE:
      addLists(scores, teacher, temperature, to: &result)
    default: addPairs(scores, teacher, to: &result)
    }
    return result
  }

  private func addPointwise(
    _ scores: [[Double]], _ teacher: [[Double]], to result: inout Evaluation
  ) {
    let count = Double(max(scores.reduce(0) { $0 + $1.count }, 1))
    for (query, (list, targets)) in zip(scores, teacher).enumerated() {
      for (passage, (score, target)) in zip(list, targets).enumerated() {
        result.value += (score - target) * (score - target) / count
        result.gradient[query][passage] += 2 * (score - target) / count
      }
    }
  }

  // MARK: Pairs

  private func addPairs(
    _ scores: [[Double]], _ teacher: [[Double]], to result: inout Evaluation
  ) {
    let count = Double(max(scores.reduce(0) { $0 + max($1.count - 1, 0) }, 1))
    for (query, list) in scores.enumerated() {
      for negative in list.indices.dropFirst() {
        let target = needsTeacher ? teacher[query][0] - teacher[query][negative] : 0
        let (value, slope) = pair(margin: list[0] - list[negative], teacher: target)
        result.value += value / count
        result.gradient[query][0] += slope / count
        result.gradient[query][negative] -= slope / count
      }
    }
  }

  /// The loss of one pair and its derivative with respect to m.
  private func pair(margin m: Double, teacher target: Double) -> (value: Double, slope: Double) {
    switch self {
    case .rankNet: return (softplus(-m), -logistic(-m))
    case .weightedRankNetPaper: return (abs(target) * softplus(-m), -abs(target) * logistic(-m))
    case .weightedRankNetSigned: return (target * softplus(-m), -target * logistic(-m))
    case .weightedRankNet:
      let directed = target < 0 ? -m : m
      return (abs(target) * softplus(-directed), -target * logistic(-directed))
    case .hinge: return m < 1 ? (1 - m, -1) : (0, 0)
    default: return ((m - target) * (m - target), 2 * (m - target))
    }
  }

  // MARK: Lists

  private func addLists(
    _ scores: [[Double]], _ teacher: [[Double]], _ temperature: Double,
    to result: inout Evaluation
  ) {
    let count = Double(max(scores.count, 1))
    for (query, list) in scores.enumerated() where list.count > 1 {
      let targets = needsTeacher ? teacher[query] : []
      let (value, gradient) =
        self == .allPairsMarginMSE
        ? allPairs(list, targets) : divergence(list, targets, temperature)
      result.value += value / count
      for (passage, slope) in gradient.enumerated() {
        result.gradient[query][passage] += slope / count
      }
    }
  }

  /// The mean over pairs is 2n/(n − 1) times the variance of s − t.
  private func allPairs(_ list: [Double], _ teacher: [Double]) -> (Double, [Double]) {
    let n = Double(list.count)
    let differences = zip(list, teacher).map { $0 - $1 }
    let mean = differences.reduce(0, +) / n
    let variance = differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / n
    return (2 * n / (n - 1) * variance, differences.map { 4 / (n - 1) * ($0 - mean) })
  }

  private func divergence(
    _ list: [Double], _ teacher: [Double], _ temperature: Double
  ) -> (Double, [Double]) {
    let student = logSoftmax(list, temperature)
    var wanted = list.indices.map { $0 == 0 ? 1.0 : 0 }
    var entropy = 0.0
    if self != .infoNCE {
      let logarithms = logSoftmax(teacher, temperature)
      wanted = logarithms.map { exp($0) }
      if self == .listKL { entropy = zip(wanted, logarithms).reduce(0) { $0 + $1.0 * $1.1 } }
    }
    // 0 · −∞ is 0 here: a passage that nobody wants costs nothing.
    let cross = zip(wanted, student).reduce(0) { $1.0 > 0 ? $0 - $1.0 * $1.1 : $0 }
    return (
      cross + entropy, zip(student, wanted).map { (exp($0) - $1) / temperature }
    )
  }
}

/// ln(1 + eˣ) without overflow.
func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }

/// 1/(1 + e⁻ˣ) without overflow.
func logistic(_ x: Double) -> Double {
  x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x))
}

/// ln softmax(x/T).
func logSoftmax(_ x: [Double], _ temperature: Double) -> [Double] {
  let top = x.max() ?? 0
  let scaled = x.map { ($0 - top) / temperature }
  let total = log(scaled.reduce(0) { $0 + exp($1) })
  return scaled.map { $0 - total }
}
