import Formats
import Foundation
import Platform

/// How the scores of several teachers become one.
public enum EnsembleMethod: String, Sendable, Codable, CaseIterable {
  /// The arithmetic mean: the ensemble of Hofstätter et al. 2020.
  case mean
  /// The mean of scores standardised per teacher over all its pairs, for teachers of unequal scale.
  case zMean = "z-mean"
  /// The teacher with the highest nDCG@10 against the labels, as it is.
  case bestSingle = "best-single"
  /// Per query, weights by how well teachers agree with the labels.
  case labelWeighted = "label-weighted"
  /// Reciprocal-rank fusion per query, on the scale of the mean.
  case rankFusion = "rank-fusion"
  /// The majority of teachers on one side of a student's score.
  case vote
  /// PILE (a reconstruction): the mean, with pairs in the wrong order moved by the teachers that have
  /// them right.
  case pile
  /// PILE-W (a reconstruction): per query, weights that put pairs into order.
  case pileWeights = "pile-weights"

  /// Whether it looks at labels.
  public var usesLabels: Bool {
    switch self {
    case .bestSingle, .labelWeighted, .pile, .pileWeights: true
    default: false
    }
  }
}

/// What `TeacherEnsemble` is to do.
public struct EnsembleOptions: Sendable {
  /// Teachers' files (`score TAB score TAB query TAB positive TAB negative`); the first one's lines
  /// are the result's.
  public var teachers: [String]
  /// The file to write.
  public var output: String
  /// How scores are combined.
  public var method = EnsembleMethod.mean
  /// Judgements; nil: the triples themselves say that their positive passage is the better one.
  public var qrels: String?
  /// A student's scores of the same pairs, for `vote`.
  public var student: String?
  /// What `pile` does with pairs that all teachers have wrong.
  public var policy = PairwiseIterativeEnsemble.Policy.abstain
  /// The margin δ that `pile` asks for by grade.
  public var floor = 0.0
  /// η: how far one step of `pile` and `pile-weights` goes; nil: 0.5 and 1.
  public var rate: Double?
  /// Leave out triples that a teacher lacks, instead of stopping.
  public var skipMissing = false
  /// Skip and count lines that cannot be read.
  public var skipBadLines = false
  /// Replace `output` if it exists.
  public var overwrite = false

  /// Options with everything else at its default.
  public init(teachers: [String], output: String) {
    self.teachers = teachers
    self.output = output
  }
}

/// What an ensemble was made of; written beside it as `OUTPUT.json`.
public struct EnsembleReport: Sendable, Codable, Equatable {
  /// One teacher.
  public struct Teacher: Sendable, Codable, Equatable {
    /// Its file.
    public var path: String
    /// The mean of its scores over all its pairs of query and passage.
    public var mean: Double
    /// Their standard deviation.
    public var deviation: Double
    /// Pairs of the other files that it lacks.
    public var missing: Int
    /// Pairs it scores differently in several lines; the last counts.
    public var conflicts: Int
    /// Labelled pairs of passages that it has in the wrong order, or tied.
    public var wrongPairs: Int
  }

  /// How scores were combined.
  public var method: EnsembleMethod
  /// `logit`, or `deviation` for standardised scores.
  public var unit: String
  /// Who was combined.
  public var teachers: [Teacher]
  /// The teacher that `best-single` took.
  public var chosen: String?
  /// Triples written.
  public var triples: Int
  /// Triples left out because a teacher lacks one of their pairs.
  public var leftOut: Int
  /// Bad lines skipped.
  public var skippedLines: Int
  /// Pairs of query and passage.
  public var pairs: Int
  /// Queries.
  public var queries: Int
  /// Pairs of passages whose order labels give.
  public var labelledPairs: Int
  /// Of these, in the wrong order or tied in the mean of the teachers.
  public var wrongInMean: Int
  /// The same in the result.
  public var wrongInResult: Int
  /// The mean of the result's scores over pairs of query and passage.
  public var mean: Double
  /// Their standard deviation.
  public var deviation: Double
}

/// Combines teachers' score files into one.
public enum TeacherEnsemble {
  /// Reads all teachers, combines them query by query, and writes the first one's triples with the
  /// combined scores; the file appears when it is finished.
  public static func combine(
    _ options: EnsembleOptions, quiet: Bool = false
  ) throws(RetortError) -> EnsembleReport {
    try check(options)
    // A student is read like a teacher, so that its pairs are known by the same numbers.
    let student = options.method == .vote ? options.student : nil
    let table = try TeacherTable(
      paths: options.teachers + (student.map { [$0] } ?? []), skipBadLines: options.skipBadLines,
      quiet: quiet)
    let reporter = ProgressReporter(quiet: quiet)
    for warning in table.warnings { reporter.warn(warning) }
    for teacher in table.teachers where teacher.conflicts > 0 {
      reporter.warn(
        "\(teacher.path) gives several scores to "
          + counted(teacher.conflicts, "pair", "pairs") + " of query and passage; the last counts")
    }
    if !options.skipMissing { try requireAll(table) }
    let grades = try grades(table, options)
    var run = EnsembleRun(table: table, teachers: options.teachers.count, grades: grades)
    try run.combine(options, hasStudent: student != nil, reporter)
    return try run.write(options)
  }

  private static func check(_ options: EnsembleOptions) throws(RetortError) {
    guard !options.teachers.isEmpty else {
      throw RetortError(.usage, "no teacher's scores are named; name at least one file")
    }
    guard (options.student != nil) == (options.method == .vote) else {
      throw RetortError(
        .usage,
        options.student == nil
          ? "vote needs a student's scores: name them with --student"
          : "--student goes with --method vote alone")
    }
    guard options.qrels == nil || options.method.usesLabels else {
      throw RetortError(
        .usage, "\(options.method.rawValue) does not look at labels; leave --qrels out")
    }
    let isPile = options.method == .pile
    guard isPile || options.policy == .abstain && options.floor == 0 else {
      throw RetortError(.usage, "--policy and --floor go with --method pile alone")
    }
    guard options.rate == nil || isPile || options.method == .pileWeights else {
      throw RetortError(.usage, "--rate goes with --method pile or pile-weights")
    }
    let highest = isPile ? 1.0 : 10
    guard options.floor >= 0, options.floor.isFinite, (options.rate ?? 1) > 0,
      (options.rate ?? 1) <= highest
    else {
      throw RetortError(
        .usage, "--floor must be 0 or more, and --rate above 0 and at most \(Int(highest))")
    }
    guard options.overwrite || FileSystem.kind(of: options.output) == .nothing else {
      throw RetortError(
        .usage, "exists; give another name, or --overwrite to replace it", path: options.output)
    }
    try FileSystem.checkOutput(options.output)
  }

  private static func requireAll(_ table: TeacherTable) throws(RetortError) {
    for (number, teacher) in table.teachers.enumerated() where teacher.missing > 0 {
      guard let pair = table.firstMissing(number) else { continue }
      let names = table.names(pair)
      throw RetortError(
        .badData,
        "lacks \(teacher.missing) of the \(table.count) pairs of query and passage, the first "
          + "(\(short(names.query)), \(short(names.passage))); score all triples with every "
          + "teacher, or give --skip-missing to leave such triples out", path: teacher.path)
    }
  }

  private static func grades(
    _ table: TeacherTable, _ options: EnsembleOptions
  ) throws(RetortError) -> [Double?] {
    guard let path = options.qrels else { return table.tripleGrades() }
    let grades = table.grades(of: try Qrels(path: path))
    guard grades.contains(where: { $0 != nil }) else {
      throw RetortError(
        .badData,
        "judges none of the pairs of query and passage that teachers score; its ids must be those "
          + "of the score files", path: path)
    }
    return grades
  }

  private static func short(_ text: String) -> String {
    text.count > 40 ? text.prefix(40) + "…" : text
  }
}
