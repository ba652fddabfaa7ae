import Evaluation
import Formats
import Foundation
import Platform

/// A table of teachers on its way to one score a pair.
struct EnsembleRun {
  private let table: TeacherTable
  /// How many of the table's columns are teachers; a student may follow.
  private let teachers: Int
  private let grades: [Double?]
  private let lists: [[Int]]
  /// The combined scores by pair; NaN where a teacher is missing.
  private var combined: [Double]
  private var labelledPairs = 0
  private var wrongInMean = 0
  private var wrongInResult = 0
  private var wrong: [Int]
  private var chosen: Int?

  init(table: TeacherTable, teachers: Int, grades: [Double?]) {
    self.table = table
    self.teachers = teachers
    self.grades = grades
    lists = table.lists()
    combined = Array(repeating: .nan, count: table.count)
    wrong = Array(repeating: 0, count: teachers)
  }

  /// Combines every query's list.
  mutating func combine(
    _ options: EnsembleOptions, hasStudent: Bool, _ reporter: ProgressReporter
  ) throws(RetortError) {
    if options.method == .bestSingle { chosen = try bestTeacher() }
    reporter.begin("combining", unit: "queries", total: lists.count)
    for (number, pairs) in lists.enumerated() {
      if number % 256 == 0 {
        try Interruption.check()
        reporter.update(number)
      }
      let list = TeacherList(
        logits: (0..<teachers).map { teacher in
          pairs.map { Double(table.scores[teacher][$0]) }
        }, grades: pairs.map { grades[$0] })
      let student = hasStudent ? pairs.map { Double(table.scores[teachers][$0]) } : []
      let scores = target(list, options, student)
      for (pair, score) in zip(pairs, scores) { combined[pair] = score }
      labelledPairs += list.pairs.count
      wrongInMean += list.violations(list.mean)
      wrongInResult += list.violations(scores)
      for teacher in 0..<teachers { wrong[teacher] += list.violations(list.logits[teacher]) }
    }
    reporter.update(lists.count)
    reporter.finishPhase()
  }

  private func target(
    _ list: TeacherList, _ options: EnsembleOptions, _ student: [Double]
  ) -> [Double] {
    switch options.method {
    case .mean: return list.mean
    case .zMean:
      let standard = list.logits.enumerated().map { teacher, logits in
        let known = table.teachers[teacher]
        return logits.map { known.deviation > 0 ? ($0 - known.mean) / known.deviation : 0 }
      }
      return TeacherList(logits: standard, grades: []).mean
    case .bestSingle: return list.logits[chosen ?? 0]
    case .labelWeighted: return list.weighted(TeacherWeights.byLabels(list))
    case .rankFusion: return LabelFreeEnsembles.rankFusion(list)
    case .vote: return LabelFreeEnsembles.vote(list, student: student)
    case .pile:
      var ensemble = PairwiseIterativeEnsemble()
      ensemble.policy = options.policy
      ensemble.floor = options.floor
      if let rate = options.rate { ensemble.rate = rate }
      return ensemble.combine(list).logits
    case .pileWeights:
      return list.weighted(TeacherWeights.iterative(list, rate: options.rate ?? 1))
    }
  }

  /// The teacher with the highest nDCG@10 over the labelled queries; the first of equals.
  private func bestTeacher() throws(RetortError) -> Int {
    var judgements: [(query: String, document: String, grade: Int)] = []
    for pair in lists.joined() {
      guard let grade = grades[pair] else { continue }
      let names = table.names(pair)
      judgements.append((names.query, names.passage, Int(grade)))
    }
    let qrels = try Qrels(judgements)
    let measure = try Measure("nDCG@10")
    var best = (teacher: 0, value: -1.0)
    for teacher in 0..<teachers {
      let run = try Run(
        lists.map { pairs in
          (
            table.names(pairs[0]).query,
            pairs.map { (table.names($0).passage, Double(table.scores[teacher][$0])) }
          )
        })
      let value = RunEvaluation(run, against: qrels, measures: [measure]).summary(0)
      if value > best.value { best = (teacher, value) }
    }
    return best.teacher
  }

  /// Writes the triples and the report beside them.
  func write(_ options: EnsembleOptions) throws(RetortError) -> EnsembleReport {
    let writer = try LineFileWriter(path: options.output)
    var leftOut = 0
    for (number, triple) in table.triples.enumerated() {
      if number % 4096 == 0 { try Interruption.check() }
      let (positive, negative) = (Int(triple.positive), Int(triple.negative))
      guard Float(combined[positive]).isFinite, Float(combined[negative]).isFinite else {
        leftOut += 1
        continue
      }
      let (query, passage) = table.names(positive)
      // A float's shortest decimal form reads back as the same float.
      try writer.append(
        [
          "\(Float(combined[positive]))", "\(Float(combined[negative]))", query, passage,
          table.names(negative).passage,
        ].joined(separator: "\t"))
    }
    guard writer.count > 0 else {
      throw RetortError(
        .badData, "no triple has the scores of all teachers; the files must be of the same triples",
        path: options.teachers.first)
    }
    let report = report(options, triples: writer.count, leftOut: leftOut)
    if options.output != "-" { try Self.save(report, path: options.output + ".json") }
    try writer.finish()
    return report
  }

  private func report(_ options: EnsembleOptions, triples: Int, leftOut: Int) -> EnsembleReport {
    let known = combined.filter(\.isFinite)
    let mean = known.reduce(0, +) / Double(max(known.count, 1))
    let squares = known.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return EnsembleReport(
      method: options.method, unit: options.method == .zMean ? "deviation" : "logit",
      teachers: table.teachers.prefix(teachers).enumerated().map { number, teacher in
        EnsembleReport.Teacher(
          path: teacher.path, mean: teacher.mean, deviation: teacher.deviation,
          missing: teacher.missing, conflicts: teacher.conflicts, wrongPairs: wrong[number])
      }, chosen: chosen.map { options.teachers[$0] }, triples: triples, leftOut: leftOut,
      skippedLines: table.skippedLines, pairs: known.count, queries: lists.count,
      labelledPairs: labelledPairs, wrongInMean: wrongInMean, wrongInResult: wrongInResult,
      mean: mean, deviation: (squares / Double(max(known.count, 1))).squareRoot())
  }

  private static func save(_ report: EnsembleReport, path: String) throws(RetortError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let text: Data
    do {
      text = try encoder.encode(report)
    } catch {
      throw RetortError(.badData, "cannot be written as JSON", path: path, cause: error)
    }
    let writer = try LineFileWriter(path: path)
    try writer.append(String(decoding: text, as: UTF8.self))
    try writer.finish()
  }
}
