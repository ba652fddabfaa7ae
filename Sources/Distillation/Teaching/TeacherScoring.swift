import Foundation
import Models
import Platform

/// What `TeacherScoring` is to do.
public struct TeacherScoringOptions: Sendable {
  /// The teacher: a model directory of a cross-encoder.
  public var model: String
  /// Triples: query, positive and negative passage, as ids or texts.
  public var triples: String
  /// Where columns are ids: the passages' texts.
  public var collection: String?
  /// Where columns are ids: the queries' texts.
  public var queries: String?
  /// The file to make.
  public var output: String
  /// Tokens of a query with its passage at most; nil: what the model says.
  public var maxLength: Int?
  /// Triples scored, and made safe against a crash, together.
  public var batchSize = 512
  /// The share of triples that may name unknown ids.
  public var maxUnknown = 0.01
  /// Skip and count lines that cannot be read.
  public var skipBadLines = false
  /// Threads; scores do not depend on it.
  public var threads = availableProcessors()
  /// Go on with a run that did not finish.
  public var resume = false
  /// Replace a finished file, or start again.
  public var overwrite = false

  /// Options with everything else at its default.
  public init(model: String, triples: String, output: String) {
    self.model = model
    self.triples = triples
    self.output = output
  }
}

/// What a teacher's scores are; written beside them as `OUTPUT.json`.
public struct TeacherScoringReport: Sendable, Codable, Equatable {
  /// The teacher's folder.
  public var teacher: String
  /// SHA-256 of its weights, configuration and tokenizer.
  public var teacherDigest: String
  /// A digest of the triples and their texts.
  public var data: String
  /// Tokens of a query with its passage at most.
  public var maxLength: Int
  /// Always `logit`: what the teacher's head gives, neither scaled nor squashed.
  public var unit = "logit"
  /// Triples scored.
  public var triples: Int
  /// Triples left out because an id is unknown.
  public var unknownTriples: Int
  /// Bad lines skipped.
  public var skippedLines: Int
  /// The mean of all scores.
  public var mean: Double
  /// Their standard deviation.
  public var deviation: Double
  /// The mean of positive minus negative scores.
  public var meanMargin: Double
  /// Triples whose negative passage the teacher scores at least as high.
  public var reversed: Int
}

/// A teacher's scores of triples, in the file format of Hofstätter et al. 2020.
public enum TeacherScoring {
  /// What the scores depend on; a run goes on only with the same.
  private struct Plan: Codable, Equatable {
    var teacherDigest: String
    var data: String
    var maxLength: Int
    /// Scores of one batch depend on each other in their last bits.
    var batchSize: Int
  }

  /// Scores every triple; the file appears when it is finished, and its bytes depend on the teacher,
  /// the triples and the batch size alone.
  ///
  /// - Returns: the report, and how many texts were longer than the model takes, of those scored now.
  public static func score(
    _ options: TeacherScoringOptions, quiet: Bool = false
  ) throws(RetortError) -> (report: TeacherScoringReport, truncated: Int) {
    try check(options)
    if let report = try finished(options) { return (report, 0) }
    let reporter = ProgressReporter(quiet: quiet)
    let teacher = try CrossEncoder(directory: options.model, maxLength: options.maxLength)
    var dataOptions = TrainingOptions(
      model: .bertCat, initial: options.model, output: options.output)
    dataOptions.triples = options.triples
    dataOptions.collection = options.collection
    dataOptions.queries = options.queries
    dataOptions.maxUnknown = options.maxUnknown
    dataOptions.skipBadLines = options.skipBadLines
    let data = try TrainingData(dataOptions)
    for warning in data.warnings { reporter.warn(warning) }
    let plan = Plan(
      teacherDigest: try digest(ofModel: options.model), data: data.digest,
      maxLength: teacher.maxLength, batchSize: options.batchSize)
    var file = try PartialScores(options, plan: try encoded(plan))
    if file.count > 0 { reporter.note("going on behind \(counted(file.count, "triple"))") }
    let truncated = try fill(&file, data, teacher, options, reporter)
    var report = TeacherScoringReport(
      teacher: options.model, teacherDigest: plan.teacherDigest, data: data.digest,
      maxLength: teacher.maxLength, triples: file.count, unknownTriples: data.unknownTriples,
      skippedLines: data.skippedLines, mean: 0, deviation: 0, meanMargin: 0, reversed: 0)
    try file.describe(&report)
    try file.publish(report: try encoded(report))
    return (report, truncated)
  }

  private static func fill(
    _ file: inout PartialScores, _ data: TrainingData, _ teacher: CrossEncoder,
    _ options: TeacherScoringOptions, _ reporter: ProgressReporter
  ) throws(RetortError) -> Int {
    var truncated = 0
    reporter.begin("scoring", unit: "triples", total: data.count, done: file.count)
    while file.count < data.count {
      try Interruption.check()
      let numbers = file.count..<min(file.count + options.batchSize, data.count)
      var texts: [(query: String, passage: String)] = []
      for number in numbers {
        let item = data.item(number)
        for passage in item.passages { texts.append((item.query, passage)) }
      }
      let answer = try teacher.score(texts: texts, threads: options.threads)
      truncated += answer.truncated
      for (place, number) in numbers.enumerated() {
        let (positive, negative) = (answer.scores[2 * place], answer.scores[2 * place + 1])
        guard positive.isFinite, negative.isFinite else {
          throw RetortError(
            .badData,
            "scores the triple \(data.name(number)) with \(positive) and \(negative); its weights "
              + "are damaged: train or download the model again", path: options.model)
        }
        // A float's shortest decimal form reads back as the same float.
        try file.append(
          (["\(positive)", "\(negative)"] + data.columns(number)).joined(separator: "\t"))
      }
      try file.flush()
      reporter.update(file.count)
    }
    reporter.finishPhase()
    return truncated
  }

  /// The report of a run that was finished before and is only to go on.
  private static func finished(
    _ options: TeacherScoringOptions
  ) throws(RetortError) -> TeacherScoringReport? {
    guard options.resume, !options.overwrite, FileSystem.kind(of: options.output) == .file,
      FileSystem.kind(of: options.output + ".json") == .file
    else { return nil }
    let bytes = try FileSystem.read(options.output + ".json")
    return try? JSONDecoder().decode(TeacherScoringReport.self, from: Data(bytes))
  }

  private static func check(_ options: TeacherScoringOptions) throws(RetortError) {
    guard options.batchSize > 0, options.threads > 0 else {
      throw RetortError(.usage, "--batch-size and --threads must be at least 1")
    }
    guard (options.collection == nil) == (options.queries == nil) else {
      throw RetortError(.usage, "--collection and --queries go together; give both or none")
    }
    try FileSystem.checkOutput(options.output)
  }

  /// SHA-256 over the names and digests of what decides a model's scores.
  private static func digest(ofModel folder: String) throws(RetortError) -> String {
    var digest = SHA256Digest()
    for name in try FileSystem.names(in: folder).ordered()
    where [".safetensors", ".json", ".txt", ".model"].contains(where: name.hasSuffix)
      // How it was made does not decide what it says.
      && !name.hasPrefix("retort_training")
    {
      let path = folder + "/" + name
      guard FileSystem.kind(of: path) == .file else { continue }
      digest.update(Array("\(name) \(try SHA256Digest.hexadecimal(ofFile: path))\n".utf8))
    }
    return hexadecimalText(digest.finalize())
  }

  private static func encoded(_ value: some Encodable) throws(RetortError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
      return Array(try encoder.encode(value)) + [10]
    } catch {
      throw RetortError(.badData, "a report cannot be written as JSON", cause: error)
    }
  }
}
