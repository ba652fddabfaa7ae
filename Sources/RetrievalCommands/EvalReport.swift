import CommandSupport
import Evaluation
import Foundation

/// What `retort eval` prints.
struct EvalReport {
  let runs: [(path: String, evaluation: RunEvaluation)]
  let comparison: [RunComparison]?
  let precision: Int
  let perQuery: Bool

  /// Tab-separated lines: `measure value`, with queries `qid measure value`, or the comparison.
  func text() -> String {
    var text = ""
    if let comparison {
      if perQuery { text += comparedQueries() }
      text += "measure\trun1\trun2\tdifference\tp_t\tp_permutation\twins\tties\tlosses\n"
      for line in comparison {
        text += "\(line.measure)\t\(fixed(line.first))\t\(fixed(line.second))\t"
        text +=
          "\(fixed(line.difference))\t\(probability(line.tTest))\t\(probability(line.randomization))\t"
        text += "\(line.wins)\t\(line.ties)\t\(line.losses)\n"
      }
      return text
    }
    for (_, evaluation) in runs {
      if perQuery {
        for (place, id) in evaluation.queryIDs.enumerated() {
          for (index, measure) in evaluation.measures.enumerated() {
            text += "\(id)\t\(measure)\t\(fixed(evaluation.values(index)[place]))\n"
          }
        }
      }
      for (index, measure) in evaluation.measures.enumerated() {
        text += perQuery ? "all\t" : ""
        text += "\(measure)\t\(fixed(evaluation.summary(index)))\n"
      }
    }
    return text
  }

  /// `qid measure value1 value2` for the queries that both runs count.
  private func comparedQueries() -> String {
    let (one, other) = (runs[0].evaluation, runs[1].evaluation)
    var places: [String: Int] = [:]
    for (place, id) in other.queryIDs.enumerated() { places[id] = place }
    var text = ""
    for (place, id) in one.queryIDs.enumerated() {
      guard let second = places[id] else { continue }
      for (index, measure) in one.measures.enumerated() {
        text += "\(id)\t\(measure)\t\(fixed(one.values(index)[place]))\t"
        text += "\(fixed(other.values(index)[second]))\n"
      }
    }
    return text
  }

  /// A probability, in powers of ten where the decimals would show only zeros.
  private func probability(_ value: Double) -> String {
    value > 0 && value < pow(10, -Double(precision)) ? String(format: "%.1e", value) : fixed(value)
  }

  private func fixed(_ value: Double) -> String {
    value.isNaN ? "-" : String(format: "%.\(precision)f", value)
  }

  // MARK: JSON

  private struct Document: Encodable {
    struct Run: Encodable {
      var run: String
      var queries: Int
      var missingQueries: Int
      var unjudgedQueries: Int
      var measures: [String: Double]
      var perQuery: [String: [String: Double]]?
    }
    struct Comparison: Encodable {
      var difference: Double
      var pT: Double?
      var pPermutation: Double
      var wins: Int
      var ties: Int
      var losses: Int
    }
    var runs: [Run]
    var comparison: [String: Comparison]?
  }

  /// One object: `runs`, each with its `measures`, and for two runs their `comparison`.
  func json() throws -> String {
    var document = Document(runs: runs.map(jsonRun))
    if let comparison {
      document.comparison = Dictionary(
        comparison.map { line in
          (
            "\(line.measure)",
            .init(
              difference: line.difference, pT: line.tTest.isNaN ? nil : line.tTest,
              pPermutation: line.randomization, wins: line.wins, ties: line.ties,
              losses: line.losses)
          )
        }, uniquingKeysWith: { first, _ in first })
    }
    let encoder = JSONEncoder()
    // A gain of 2^grade − 1 overflows for absurd grades; JSON has no word for the result.
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(document), as: UTF8.self) + "\n"
  }

  private func jsonRun(_ path: String, _ evaluation: RunEvaluation) -> Document.Run {
    let names = evaluation.measures.map { "\($0)" }
    func table(_ value: (Int) -> Double) -> [String: Double] {
      Dictionary(
        names.enumerated().map { ($0.element, value($0.offset)) },
        uniquingKeysWith: { first, _ in first })
    }
    var queries: [String: [String: Double]]?
    if perQuery {
      queries = [:]
      for (place, id) in evaluation.queryIDs.enumerated() {
        queries?[id] = table { evaluation.values($0)[place] }
      }
    }
    return .init(
      run: path, queries: evaluation.queryIDs.count, missingQueries: evaluation.missingQueries,
      unjudgedQueries: evaluation.unjudgedQueries, measures: table(evaluation.summary),
      perQuery: queries)
  }
}
