import Formats
import Platform

/// A score file that is not finished, in batches of triples.
struct PartialScores {
  private let output: String
  private var lines: ResumableLines

  /// Whole lines in the file.
  var count: Int { lines.count }

  /// Starts the file, or goes on with it where `--resume` asks for that and the plan is the same.
  init(_ options: TeacherScoringOptions, plan: [UInt8]) throws(RetortError) {
    output = options.output
    lines = try ResumableLines(
      output: options.output, plan: plan, resume: options.resume, overwrite: options.overwrite,
      difference: "another teacher, other triples, or another length or batch size",
      whole: { $0 / options.batchSize * options.batchSize })
  }

  mutating func append(_ line: String) throws(RetortError) { try lines.append(line) }

  /// Makes the lines so far safe.
  func flush() throws(RetortError) { try lines.sync() }

  /// Fills in what only the finished file knows; it is read back, so that a resumed run says the same.
  func describe(_ report: inout TeacherScoringReport) throws(RetortError) {
    try lines.sync()
    let reader = try TripleReader(path: lines.path, layout: .teacherScores)
    var (sum, squares, margins) = (0.0, 0.0, 0.0)
    while let triple = try reader.next() {
      guard let scores = triple.scores else { continue }
      sum += scores.positive + scores.negative
      squares += scores.positive * scores.positive + scores.negative * scores.negative
      margins += scores.positive - scores.negative
      if scores.positive <= scores.negative { report.reversed += 1 }
    }
    let values = Double(max(2 * report.triples, 1))
    report.mean = sum / values
    report.deviation = max(squares / values - report.mean * report.mean, 0).squareRoot()
    report.meanMargin = 2 * margins / values
  }

  /// Gives the file its name, the report first.
  func publish(report: [UInt8]) throws(RetortError) {
    try lines.sync()
    try FileSystem.replace(output + ".json", with: report)
    try lines.publish()
  }
}
