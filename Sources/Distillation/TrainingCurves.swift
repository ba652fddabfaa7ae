import Evaluation
import Platform

/// Loss and validation over the steps of a run, as a picture.
struct TrainingCurves {
  /// The file's name beside the log.
  static let file = "curves.svg"
  /// More points than these are means of neighbours.
  private static let points = 200

  private var losses: [(step: Int, value: Double)] = []
  private var validations: [(step: Int, scores: ValidationScores)] = []

  mutating func add(_ record: TrainingStepRecord) { losses.append((record.step, record.loss)) }

  mutating func add(_ record: ValidationRecord) {
    validations.append((record.step, record.validation))
  }

  /// The picture: the loss, and under it the measures, where there was validation.
  func render() -> String {
    let isThinned = losses.count > Self.points
    let loss = SVGChart(
      title: "Training", xLabel: "Step", yLabel: "Loss",
      series: [(isThinned ? "loss (means)" : "loss", thinned)])
    guard !validations.isEmpty else { return loss.render() }
    let validation = SVGChart(
      title: "Validation", xLabel: "Step", yLabel: "Mean over queries",
      series: [
        ("nDCG@10", validations.map { (Double($0.step), $0.scores.nDCG10) }),
        ("MRR@10", validations.map { (Double($0.step), $0.scores.mrr10) }),
      ])
    return SVGChart.column([loss, validation])
  }

  /// Means over equal numbers of steps.
  private var thinned: [(x: Double, y: Double)] {
    let size = max(1, (losses.count + Self.points - 1) / Self.points)
    return stride(from: 0, to: losses.count, by: size).map { start in
      let part = losses[start..<min(start + size, losses.count)]
      return (
        part.reduce(0) { $0 + Double($1.step) } / Double(part.count),
        part.reduce(0) { $0 + $1.value } / Double(part.count)
      )
    }
  }
}
