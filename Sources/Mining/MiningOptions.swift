import Lexical
import Platform
import Retrieval

/// What `HardNegatives` is to do.
package struct MiningOptions: Sendable {
  /// What ranks the passages that may be negatives.
  package enum Source: Sendable, Equatable {
    /// BM25 over the index's words.
    case words(BM25)
    /// The index's vectors, by the model they came from; `model` says where that is now.
    case vectors(model: String?, mode: SearchMode)
    /// A run: TREC, or MS MARCO where no score is needed.
    case run(String)
  }

  /// Which of the passages that are left become negatives.
  package enum Sampling: String, Sendable, Codable, CaseIterable {
    /// Those with the best ranks.
    case top
    /// Any, all equally likely (ANCE: Xiong et al. 2021).
    case random
    /// One out of every bin of equal width between their lowest and their highest score, again and
    /// again, so that all scores are seen equally often.
    case bins
  }

  /// What columns hold.
  package enum Columns: String, Sendable, Codable, CaseIterable {
    case ids
    case texts
  }

  /// The index that has the passages.
  package var index: String
  /// The queries' texts.
  package var queries: String
  /// Which passages answer them.
  package var qrels: String
  /// The file to make; `-` is standard output.
  package var output: String
  /// What ranks the passages.
  package var source: Source
  /// What columns hold.
  package var columns = Columns.ids

  /// Negatives for every positive passage.
  package var negatives = 4
  /// Positive passages of a query at most; nil: all.
  package var maxPositives: Int?
  /// The lowest grade of a positive passage.
  package var minGrade = 1
  /// The ranks of which negatives are drawn, from 1.
  package var ranks = 1...200
  /// The highest score of a negative, as a share of the positive's.
  package var maxRatio: Double?
  /// How much lower than the positive's a negative's score is at least.
  package var minMargin: Double?
  /// How negatives are drawn; nil: `bins` with a teacher, else `random`.
  package var sampling: Sampling?
  /// Bins of `Sampling.bins`.
  package var bins = 10

  /// A teacher's scores by ids: its file of triples, or a run.
  package var teacherScores: String?
  /// A teacher that scores what was found: the folder of a cross-encoder.
  package var teacher: String?
  /// Tokens of a query with its passage at most; nil: what the teacher says.
  package var teacherLength: Int?

  /// Of every random choice.
  package var seed: UInt64 = 1
  /// The share of positives, and of a run's passages, that the index may not have.
  package var maxUnknown = 0.01
  /// Skip and count lines that cannot be read.
  package var skipBadLines = false
  /// Threads; the result does not depend on them.
  package var threads = availableProcessors()
  /// Go on with a run that did not finish.
  package var resume = false
  /// Replace a finished file, or start again.
  package var overwrite = false

  /// Options with everything else at its default.
  package init(index: String, queries: String, qrels: String, source: Source, output: String) {
    self.index = index
    self.queries = queries
    self.qrels = qrels
    self.source = source
    self.output = output
  }

  var hasTeacher: Bool { teacherScores != nil || teacher != nil }
  var drawing: Sampling { sampling ?? (hasTeacher ? .bins : .random) }
  /// Whether passages without a text are of no use.
  var readsTexts: Bool { columns == .texts || teacher != nil }

  func validate() throws(RetortError) {
    func check(_ holds: Bool, _ message: String) throws(RetortError) {
      if !holds { throw RetortError(.usage, message) }
    }
    try check((1...100_000).contains(negatives), "--negatives must lie in 1...100000")
    try check((maxPositives ?? 1) > 0, "--max-positives must be at least 1")
    try check(minGrade > 0, "--min-grade must be at least 1: lower grades are not relevant")
    try check(
      ranks.lowerBound >= 1 && ranks.upperBound <= 1_000_000,
      "--ranks must lie in 1...1000000, such as 1-200")
    if let maxRatio {
      try check((0...1).contains(maxRatio), "--max-ratio must lie in 0...1, such as 0.95")
    }
    if let minMargin {
      try check(minMargin.isFinite && minMargin >= 0, "--min-margin must not be negative")
    }
    try check((1...10_000).contains(bins), "--bins must lie in 1...10000")
    try check(
      teacherScores == nil || teacher == nil,
      "give a teacher's scores (--teacher-scores) or a teacher (--teacher), not both")
    try check((0...1).contains(maxUnknown), "--max-unknown must lie in 0...1")
    try check(threads > 0, "--threads must be at least 1")
    var inputs = [queries, qrels]
    if case .run(let path) = source { inputs.append(path) }
    if let teacherScores { inputs.append(teacherScores) }
    try check(inputs.count { $0 == "-" } < 2, "standard input (-) can be read only once")
  }
}
