import Formats
import Foundation
import Platform
import Store

/// Re-ranks a run: candidates in, the same candidates in a better order out.
public enum RunReranking {
  /// What the scores depend on; work goes on only with the same.
  private struct Plan: Codable {
    var reranker: String
    /// A digest of queries and candidates.
    var candidates: String
    /// The texts of the passages.
    var passages: String
  }

  /// Scores the candidates of every query and writes them in their new order; the file appears when
  /// it is finished, and its bytes do not depend on threads or interruptions.
  ///
  /// Candidates behind the depth follow the others in their order. A query's candidates are scored
  /// together and by themselves, so a query's answer depends on no other.
  ///
  /// - Returns: what became of the candidates; nil where `resume` finds that all was done before.
  public static func rerank(
    _ options: RunRerankingOptions, quiet: Bool = false
  ) throws(RetortError) -> RunRerankingReport? {
    try check(options)
    let isFile =
      options.output != "-" && !FileSystem.isOpenFile(options.output)
      && FileSystem.kind(of: FileSystem.resolved(options.output)) != .other
    if isFile, options.resume, !options.overwrite, FileSystem.kind(of: options.output) == .file,
      !ResumableLines.isStarted(options.output)
    {
      return nil
    }
    // What would fail after hours of scoring fails now: a folder in the output's place, a bad tag.
    _ = try RunWriter(path: options.output, format: options.format, tag: options.tag)
    let reporter = ProgressReporter(quiet: quiet)
    let reranker = try load(options)
    let lists = try CandidateLists(options, reporter)
    if let note = lists.texts.note(of: reranker) { reporter.note(note) }
    for warning in lists.warnings { reporter.warn(warning) }
    var work = Work(lists: lists, reranker: reranker, options: options)
    if isFile {
      work.kept = try ResumableLines(
        output: options.output, plan: try plan(reranker, lists), resume: options.resume,
        // Both are there where a run was killed behind the output's last byte.
        overwrite: options.overwrite
          || (options.resume && ResumableLines.isStarted(options.output)),
        difference:
          "another re-ranker or precision, other queries, candidates or passages, or another depth",
        whole: { lists.wholeQueries(among: $0) })
      try work.readKept()
    }
    try work.score(reporter)
    try work.write()
    return work.report
  }

  private static func check(_ options: RunRerankingOptions) throws(RetortError) {
    guard (options.depth ?? 1) > 0, options.threads > 0 else {
      throw RetortError(.usage, "--depth and --threads must be at least 1")
    }
    guard [options.run, options.topics].count(where: { $0 == "-" }) < 2 else {
      throw RetortError(.usage, "standard input (-) can be read only once")
    }
  }

  private static func load(
    _ options: RunRerankingOptions
  ) throws(RetortError) -> any Reranker {
    var settings = options.settings
    if case .index(let path) = options.passages {
      settings.follow(try IndexFolder(path).manifest())
    }
    return try options.reranker.load(settings)
  }

  /// The plan that an interrupted run of these options leaves behind.
  package static func plan(_ options: RunRerankingOptions) throws(RetortError) -> [UInt8] {
    try plan(
      load(options),
      CandidateLists(options, ProgressReporter(quiet: true)))
  }

  private static func plan(
    _ reranker: any Reranker, _ lists: CandidateLists
  ) throws(RetortError) -> [UInt8] {
    try encoded(
      Plan(
        reranker: reranker.fingerprint, candidates: digest(lists),
        passages: lists.texts.identity))
  }

  private static func digest(_ lists: CandidateLists) -> String {
    var digest = SHA256Digest()
    for list in lists.lists {
      digest.update(Array("\(list.query.id)\0\(list.query.text)\0\(list.depth)\0".utf8))
      for candidate in list.candidates.prefix(list.depth) {
        digest.update(Array(candidate.id.utf8) + [0])
      }
    }
    return hexadecimalText(digest.finalize())
  }

  private static func encoded(_ value: some Encodable) throws(RetortError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    do {
      return Array(try encoder.encode(value)) + [10]
    } catch {
      throw RetortError(.badData, "a plan cannot be written as JSON", cause: error)
    }
  }
}

extension CandidateLists {
  /// Of a number of scored candidates, how many make whole queries.
  func wholeQueries(among count: Int) -> Int {
    var whole = 0
    for list in lists {
      guard whole + list.depth <= count else { break }
      whole += list.depth
    }
    return whole
  }
}

/// A run that is being re-ranked.
private struct Work {
  let lists: CandidateLists
  let reranker: any Reranker
  let options: RunRerankingOptions
  /// Scores on disk: query, passage and score a line, in the order of the candidates.
  var kept: ResumableLines?
  /// All scores so far, in the same order.
  private var scores: [Float] = []
  private(set) var report: RunRerankingReport

  /// Candidates whose scores are made safe against a crash together.
  private static let batch = 256

  init(lists: CandidateLists, reranker: any Reranker, options: RunRerankingOptions) {
    self.lists = lists
    self.reranker = reranker
    self.options = options
    report = lists.report
    report.precision = reranker.precision
  }

  /// Reads the scores of an earlier run.
  mutating func readKept() throws(RetortError) {
    guard let kept, kept.count > 0 else { return }
    let bytes = try FileSystem.read(kept.path)
    let starts = lists.lists.lazy.flatMap { list in
      list.candidates.prefix(list.depth).map { "\(list.query.id)\t\($0.id)\t" }
    }
    let lines = bytes.split(separator: 10, omittingEmptySubsequences: false).dropLast()
    for (line, start) in zip(lines, starts) {
      let text = String(decoding: line, as: UTF8.self)
      guard text.utf8.starts(with: start.utf8),
        let score = Float(Substring(text.utf8.dropFirst(start.utf8.count)))
      else {
        throw RetortError(
          .badData, "is damaged; start again with --overwrite and without --resume",
          path: kept.path, at: .line(scores.count + 1))
      }
      scores.append(score)
    }
  }

  /// Scores what is left.
  mutating func score(_ reporter: ProgressReporter) throws(RetortError) {
    if !scores.isEmpty { reporter.note("going on behind \(counted(scores.count, "candidate"))") }
    reporter.begin("re-rank", unit: "candidates", total: lists.count, done: scores.count)
    let start = monotonicSeconds()
    report.scoredNow = lists.count - scores.count
    do throws(RetortError) {
      try scoreLists(reporter)
      try kept?.sync()
    } catch {
      // What was scored is not lost.
      try? kept?.sync()
      throw error
    }
    report.seconds = monotonicSeconds() - start
    reporter.finishPhase()
  }

  private mutating func scoreLists(_ reporter: ProgressReporter) throws(RetortError) {
    let stored = lists.texts.storedTerms(of: reranker)
    var first = 0
    var unsafe = 0
    for list in lists.lists {
      defer { first += list.depth }
      guard first >= scores.count, list.depth > 0 else { continue }
      try Interruption.check()
      let candidates = list.candidates.prefix(list.depth)
      let answer: RerankScores
      if let stored {
        answer = try stored.rerank(
          query: list.query.text, numbers: candidates.map(\.text), threads: options.threads)
      } else {
        var passages: [String] = []
        for candidate in candidates { passages.append(try lists.texts.text(candidate.text)) }
        answer = try reranker.rerank(
          query: list.query.text, passages: passages, threads: options.threads)
      }
      report.truncated += answer.truncated
      // Refuses scores that are no numbers before they are kept.
      _ = try order(answer.scores, list)
      for (candidate, score) in zip(candidates, answer.scores) {
        try kept?.append("\(list.query.id)\t\(candidate.id)\t\(score)")
      }
      scores += answer.scores
      unsafe += candidates.count
      if unsafe >= Self.batch {
        try kept?.sync()
        unsafe = 0
      }
      reporter.update(scores.count)
    }
  }

  private func order(
    _ scores: [Float], _ list: CandidateLists.List
  ) throws(RetortError) -> Reordering {
    try Reordering(scores: scores, count: list.candidates.count) {
      "passage \"\(list.candidates[$0].id)\" for query \"\(list.query.id)\""
    }
  }

  /// Writes the run, and removes what was kept on the way.
  func write() throws(RetortError) {
    let writer = try RunWriter(path: options.output, format: options.format, tag: options.tag)
    var first = 0
    for list in lists.lists {
      let order = try order(Array(scores[first..<first + list.depth]), list)
      first += list.depth
      try writer.write(
        query: list.query,
        hits: order.hits.map { (id: list.candidates[$0.place].id, score: $0.score) })
    }
    try writer.finish()
    try kept?.discard()
  }
}
