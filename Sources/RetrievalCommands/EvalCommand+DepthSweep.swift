import CommandSupport
import Evaluation
import Formats
import Foundation
import Platform

extension EvalCommand {
  private struct Document: Encodable {
    struct Point: Encodable {
      var depth: Int
      var measures: [String: Double]
    }
    var run, candidates: String
    var queries, missingQueries: Int
    var depths: [Point]
    /// The best depth of every measure.
    var best: [String: Int]
  }

  /// Prints, and draws, the measures of a run at every depth of its candidates.
  func sweep(_ files: [String], _ measures: [Measure], candidates path: String) throws {
    guard files.count == 2 else {
      throw RetortError(.usage, "--depth-sweep takes one run; evaluate the other by itself")
    }
    guard path != "-" || !files.contains("-") else {
      throw RetortError(.usage, "standard input (-) can be read only once")
    }
    if let svg { try FileSystem.checkOutput(svg) }
    let wanted = try depths.map { try Self.numbers($0) }
    let qrels = try self.qrels(files[0])
    let run = try self.run(files[1])
    let candidates = try self.run(path)
    let sweep = DepthSweep(
      run, candidates: candidates, against: qrels, measures: measures, depths: wanted,
      queries: onlyCommon ? .common : .allJudged, scores: scores, relevance: rel)
    try warn(sweep, files[1], path)
    if let svg {
      let chart = sweep.chart(title: "\(files[1]), re-ranked from \(path)")
      try FileSystem.replace(svg, with: Array(chart.render().utf8))
    }
    if json {
      try print(json(sweep, files[1], path), terminator: "")
    } else {
      print(table(sweep), terminator: "")
    }
  }

  private static func numbers(_ list: String) throws(RetortError) -> [Int] {
    var numbers: [Int] = []
    for part in list.split(separator: ",") {
      guard let number = Int(decimal: part.trimmingCharacters(in: .whitespaces)), number > 0 else {
        throw RetortError(.usage, "--depths takes positive numbers, not \"\(part)\"")
      }
      numbers.append(number)
    }
    guard !numbers.isEmpty else {
      throw RetortError(.usage, "--depths is empty; name numbers such as 10,100")
    }
    return numbers
  }

  private func warn(
    _ sweep: DepthSweep, _ run: String, _ candidates: String
  ) throws(RetortError) {
    let judged = sweep.queries + (onlyCommon ? sweep.missingQueries : 0)
    if sweep.missingQueries == judged {
      throw RetortError(
        .badData,
        "holds none of the \(counted(judged, "judged query")); check that run and qrels belong together",
        path: run)
    }
    if sweep.missingQueries > 0 {
      writeError(
        "\(run): \(sweep.missingQueries) of \(counted(judged, "judged query")) missing, "
          + (onlyCommon ? "not counted" : "counted as 0 (--only-common leaves them out)"))
    }
    guard Double(sweep.strangers) <= (maxUnknown ?? 0.01) * Double(sweep.documents) else {
      throw RetortError(
        .badData,
        "has \(sweep.strangers) of \(counted(sweep.documents, "document")) that are not among the "
          + "candidates of \(candidates); name the run that it re-ranked, or allow more with "
          + "--max-unknown", path: run)
    }
    if sweep.strangers > 0 {
      writeError(
        "\(run): "
          + counted(sweep.strangers, "document is", "documents are")
          + " not among the candidates of \(candidates), not counted")
    }
  }

  /// A line a depth, and one with the best of them.
  private func table(_ sweep: DepthSweep) -> String {
    let columns = sweep.measures.indices
    var text = (["depth"] + sweep.measures.map { "\($0)" }).joined(separator: "\t") + "\n"
    for (place, depth) in sweep.depths.enumerated() {
      let values = columns.map { column in
        String(format: "%.\(precision)f", sweep.value(depth: place, measure: column))
      }
      text += (["\(depth)"] + values).joined(separator: "\t") + "\n"
    }
    let best = columns.map { column in sweep.best(measure: column).map { sweep.depths[$0] } ?? 0 }
    return text + (["best"] + best.map(String.init)).joined(separator: "\t") + "\n"
  }

  private func json(_ sweep: DepthSweep, _ run: String, _ candidates: String) throws -> String {
    let names = sweep.measures.map { "\($0)" }
    var document = Document(
      run: run, candidates: candidates, queries: sweep.queries,
      missingQueries: sweep.missingQueries, depths: [], best: [:])
    for (place, depth) in sweep.depths.enumerated() {
      var values: [String: Double] = [:]
      for (column, name) in names.enumerated() {
        values[name] = sweep.value(depth: place, measure: column)
      }
      document.depths.append(.init(depth: depth, measures: values))
    }
    for (column, name) in names.enumerated() {
      document.best[name] = sweep.best(measure: column).map { sweep.depths[$0] }
    }
    let encoder = JSONEncoder()
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(document), as: UTF8.self) + "\n"
  }
}
