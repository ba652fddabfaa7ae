import Formats
import Foundation
import Platform
import Retrieval

// Mining goes through the queries in batches: rank, look at each ranking, ask the teacher, draw.
// What was drawn is a line of numbers in OUTPUT.part, which survives a kill; the triples are
// written from it when all queries are there. A query's negatives depend on nothing but the query,
// its ranking and the seed, so neither batches nor threads nor interruptions change them.

/// Finds passages that look like answers and are none, for training.
package enum HardNegatives {
  /// What the negatives depend on; work goes on only with the same.
  private struct Plan: Codable {
    var index: String
    var queries: String
    var source: String
    var teacher: String
    var options: String
  }

  /// Mines and writes triples; the file appears when it is finished.
  ///
  /// - Returns: what was found; nil where `resume` finds that all was done before.
  package static func mine(
    _ options: MiningOptions, quiet: Bool = false
  ) throws(RetortError) -> MiningReport? {
    try options.validate()
    let isFile =
      options.output != "-" && !FileSystem.isOpenFile(options.output)
      && FileSystem.kind(of: FileSystem.resolved(options.output)) != .other
    let isStarted = isFile && ResumableLines.isStarted(options.output)
    if isFile, options.resume, !options.overwrite, !isStarted,
      FileSystem.kind(of: options.output) == .file
    {
      return nil
    }
    // A folder in the output's place fails now, not after hours.
    _ = try TripleWriter(path: options.output)
    let reporter = ProgressReporter(quiet: quiet)
    let index = try PassageIndex(path: options.index)
    var report = MiningReport()
    let queries = try MiningQueries(options, index, &report)
    for warning in queries.warnings { reporter.warn(warning) }
    let source = try CandidateSource(options, index)
    if let warning = try source.check(queries, maxUnknown: options.maxUnknown) {
      reporter.warn(warning)
    }
    let teacher = try TeacherOpinion(options, index, queries)
    let miner = QueryMiner(
      options: options, index: index, queries: queries, source: source, teacher: teacher)
    var output = MiningOutput(options: options, index: index, queries: queries, report: report)
    if isFile {
      output.kept = try ResumableLines(
        output: options.output, plan: try plan(options, queries, source, teacher),
        // Both are there where a run was killed behind the output's last byte.
        resume: options.resume, overwrite: options.overwrite || options.resume && isStarted,
        difference: "another index, other queries, judgements or scores, or other options",
        whole: { $0 >= queries.items.count ? queries.items.count : $0 / miner.batch * miner.batch })
    } else {
      output.writer = try TripleWriter(path: options.output)
    }
    try output.fill(from: miner, reporter)
    return try output.finish()
  }

  private static func plan(
    _ options: MiningOptions, _ queries: MiningQueries, _ source: CandidateSource,
    _ teacher: TeacherOpinion?
  ) throws(RetortError) -> [UInt8] {
    var manifest = SHA256Digest()
    manifest.update(try FileSystem.read(options.index + "/manifest.json"))
    let decided: [String] = [
      "negatives \(options.negatives)", "ranks \(options.ranks)", "bins \(options.bins)",
      "sampling \(options.drawing.rawValue)", "texts \(options.readsTexts)", "seed \(options.seed)",
      "ratio \(options.maxRatio.map { "\($0)" } ?? "none")",
      "margin \(options.minMargin.map { "\($0)" } ?? "none")",
    ]
    let plan = Plan(
      index: hexadecimalText(manifest.finalize()), queries: queries.digest,
      source: source.identity, teacher: teacher?.identity ?? "none",
      options: decided.joined(separator: ", "))
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    do {
      return Array(try encoder.encode(plan)) + [10]
    } catch {
      throw RetortError(.badData, "a plan cannot be written as JSON", cause: error)
    }
  }
}

/// Where mined queries go: into the file that is kept until all are there, or out at once.
private struct MiningOutput {
  let options: MiningOptions
  let index: PassageIndex
  let queries: MiningQueries
  var report: MiningReport
  var kept: ResumableLines?
  var writer: TripleWriter?

  init(
    options: MiningOptions, index: PassageIndex, queries: MiningQueries, report: MiningReport
  ) {
    self.options = options
    self.index = index
    self.queries = queries
    self.report = report
  }

  /// Mines what is left.
  mutating func fill(
    from miner: QueryMiner, _ reporter: ProgressReporter
  ) throws(RetortError) {
    let done = kept?.count ?? 0
    let count = queries.items.count
    if done > 0 { reporter.note("going on behind \(counted(done, "query"))") }
    reporter.begin("mine", unit: "queries", total: count, done: done)
    let start = monotonicSeconds()
    for first in stride(from: done, to: count, by: miner.batch) {
      try Interruption.check()
      for mined in try miner.mine(first..<min(first + miner.batch, count)) {
        if writer == nil {
          try kept?.append(mined.line)
        } else {
          try write(mined)
        }
      }
      try kept?.sync()
      reporter.update(min(first + miner.batch, count))
    }
    reporter.finishPhase()
    report.queriesNow = count - done
    report.seconds = monotonicSeconds() - start
  }

  /// Writes the triples of what was kept.
  mutating func finish() throws(RetortError) -> MiningReport {
    if let kept {
      writer = try TripleWriter(path: options.output)
      let lines = try LineReader(path: kept.path)
      while try lines.next() {
        let place = lines.lineNumber - 1
        guard
          let mined = MinedQuery(lines.text, place: place, capacity: index.capacity),
          place < queries.items.count
        else {
          throw lines.error("is damaged; start again with --overwrite and without --resume")
        }
        try write(mined)
      }
    }
    guard report.triples > 0 else {
      // Nothing of it is worth going on with.
      try kept?.discard()
      throw RetortError(
        .badData,
        "not one negative is left of \(counted(report.counts.candidates, "passage")) found "
          + "(\(report.counts.summary)); allow more with --ranks, --max-ratio or --min-margin, or "
          + "give a teacher's scores of these passages", path: options.qrels)
    }
    try writer?.finish()
    try kept?.discard()
    return report
  }

  private mutating func write(_ mined: MinedQuery) throws(RetortError) {
    let item = queries.items[mined.place]
    for pair in mined.pairs {
      var triple = Triple(
        query: options.columns == .ids ? item.query.id : TripleWriter.column(item.query.text),
        positive: try column(pair.positive), negative: try column(pair.negative))
      if let positive = pair.scores.first, let negative = pair.scores.last {
        triple.scores = Triple.Scores(positive: Double(positive), negative: Double(negative))
      }
      try writer?.write(triple)
    }
    report.triples += mined.pairs.count
    report.queriesWithout += mined.pairs.isEmpty ? 1 : 0
    report.counts += mined.counts
  }

  private func column(_ passage: Int) throws(RetortError) -> String {
    options.columns == .ids
      ? try index.id(passage) : TripleWriter.column(try index.passage(passage).text)
  }
}

extension MiningCounts {
  /// What was left out, and why.
  package var summary: String {
    let parts: [(count: Int, what: String)] = [
      (missing, "not in the index"), (relevant, "relevant"),
      (repeated, "with the text of a relevant passage"), (blank, "without a text"),
      (unscored, "without a teacher's score"), (aboveRatio, "above --max-ratio"),
      (withinMargin, "within --min-margin"),
    ]
    let told = parts.filter { $0.count > 0 }.map { "\($0.count) \($0.what)" }
    return told.isEmpty ? "none was left out" : told.joined(separator: ", ")
  }
}
