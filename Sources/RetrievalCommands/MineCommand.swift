import ArgumentParser
import CommandSupport
import Mining
import Platform
import Retort

/// `retort mine`: queries and their answers in, triples with hard negatives out.
struct MineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mine",
    abstract: "Find hard negatives: passages that look like answers and are none.",
    discussion: """
      Ranks passages for every query of --qrels and writes triples for `retort train` and `retort \
      teach`: query, positive, negative, separated by TAB, as ids (or, with --columns texts, as texts). \
      What ranks is BM25 (--from words, over an index with lexical data), the model of the index \
      (--from vectors: the student's own mistakes), or a run of whatever system (--run).

        retort mine --index indexes/x --queries q.tsv --qrels qrels.tsv --from words -o t.tsv
        retort mine --index indexes/x --queries q.tsv --qrels qrels.tsv --from vectors \\
            --max-ratio 0.95 --teacher teacher -o scores.tsv

      Judged passages of a grade above 0 are never negatives, and neither is what has the text of one; \
      judged passages of grade 0 may be. Passages that nobody judged may be answers all the same: \
      --max-ratio R leaves out those that score above R times the positive (exactly: above s - (1 - R) \
      * |s|, which lies below s for negative scores, too), --min-margin M those above the positive's \
      score less M, --ranks 11-200 the first ten. Scores are the teacher's where there is one, else the \
      ranking's; a positive that was not found is scored by itself, but one that is missing in a run has \
      no score and gets no negatives where scores are compared.

      A teacher is a cross-encoder that reads what was found (--teacher), or a file of its scores by ids \
      (--teacher-scores): that of `retort teach`, or the run of `retort rerank`. Then the two scores \
      stand before each triple, as `retort train --teacher-scores` reads it. Passages without a score \
      are left out.

      --sampling says which of the passages that are left become negatives: top (the best), random, or \
      bins: one out of each of --bins ranges of equal width between their lowest and highest score, \
      again and again, so that easy and hard ones are seen equally often (the default with a teacher; \
      else random).

      What was left out is counted. A run that is interrupted or killed keeps finished queries in \
      OUTPUT.part: run the same command with --resume. The bytes do not depend on --threads.
      """)

  /// What ranks the passages.
  enum Ranker: String, ExpressibleByArgument, CaseIterable {
    case words
    case vectors
  }

  @Option(help: "The index that has the passages.")
  var index: String

  @Option(help: "The queries: MS MARCO tsv, JSON lines or a BEIR folder.")
  var queries: String

  @Option(help: "Which passages answer them: TREC, MS MARCO or BEIR qrels.")
  var qrels: String

  @Option(help: "What ranks the passages: words (BM25) or vectors (the index's model).")
  var from: Ranker?

  @Option(
    name: .customLong("run"),
    help: "Or a run that ranks them: TREC, or MS MARCO where no scores are compared.")
  var ranking: String?

  @Option(help: "What columns hold: ids or texts.")
  var columns = MiningOptions.Columns.ids

  @Option(name: [.customShort("n"), .long], help: "Negatives for every positive passage.")
  var negatives = 4

  @Option(help: "Positive passages of a query at most, drawn by --seed (default: all).")
  var maxPositives: Int?

  @Option(help: "The lowest grade of a positive passage; lower ones are no negatives either.")
  var minGrade = 1

  @Option(
    help: ArgumentHelp(
      "The ranks of which negatives are drawn, relevant passages counted.", valueName: "first-last")
  )
  var ranks = "1-200"

  @Option(help: "The highest score of a negative as a share of the positive's, such as 0.95.")
  var maxRatio: Double?

  @Option(help: "How much lower than the positive's a negative's score must be.")
  var minMargin: Double?

  @Option(help: "Which of the passages left become negatives: top, random or bins.")
  var sampling: MiningOptions.Sampling?

  @Option(help: "Ranges of scores for --sampling bins.")
  var bins = 10

  @Option(
    help: "A teacher that scores what is found: a folder of a cross-encoder, or a fetched one.")
  var teacher: String?

  @Option(help: "A teacher's scores by ids: a file of `retort teach`, or a TREC run.")
  var teacherScores: String?

  @Option(help: "--teacher: tokens of a query with its passage at most (default: what it says).")
  var maxLength: Int?

  @Option(help: "--from vectors: where the index's model is now, if it was moved.")
  var model: String?

  @Option(help: "--from vectors: candidates the graph walk keeps.")
  var efSearch: Int?

  @Flag(help: "--from vectors: scan every vector instead of walking the graph.")
  var exact = false

  @Option(name: .customLong("k1"), help: "--from words: BM25's k1 (default: 0.9).")
  var k1: Double?

  @Option(name: .customLong("b"), help: "--from words: BM25's b (default: 0.4).")
  var b: Double?

  @Option(help: "Decides which passages are drawn.")
  var seed: UInt64 = 1

  @Option(help: "The share of positives, and of a run's passages, that the index may not have.")
  var maxUnknown = 0.01

  @OptionGroup var job: QueryJobArguments

  func validate() throws {
    guard (0...1).contains(maxUnknown) else {
      throw ValidationError("--max-unknown must lie in 0...1")
    }
    guard (from == nil) != (ranking == nil) else {
      throw ValidationError(
        "say what ranks the passages: --from words, --from vectors or --run FILE")
    }
    guard from == .vectors || (model == nil && efSearch == nil && !exact) else {
      throw ValidationError("--model, --ef-search and --exact need --from vectors")
    }
    guard from == .words || (k1 == nil && b == nil) else {
      throw ValidationError("--k1 and --b need --from words")
    }
    guard !exact || efSearch == nil else {
      throw ValidationError("--exact walks no graph; leave --ef-search out")
    }
    if let efSearch, efSearch < 1 { throw ValidationError("--ef-search must be at least 1") }
    guard maxLength == nil || teacher != nil else {
      throw ValidationError("--max-length is of --teacher")
    }
    _ = try window()
  }

  private func window() throws -> ClosedRange<Int> {
    let parts = ranks.split(separator: "-", omittingEmptySubsequences: false).map {
      Int(decimal: $0)
    }
    guard parts.count == 2, let first = parts[0], let last = parts[1], first >= 1, first <= last
    else { throw ValidationError("--ranks is first-last, such as 1-200, not \(ranks)") }
    return first...last
  }

  private func source() throws -> MiningOptions.Source {
    switch from {
    case .words: .words(BM25(k1: k1 ?? BM25().k1, b: b ?? BM25().b))
    case .vectors:
      .vectors(
        model: try model.map(modelFolder),
        mode: exact ? .exact : .graph(efSearch: efSearch ?? 100))
    case nil: .run(ranking ?? "")
    }
  }

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      var options = MiningOptions(
        index: index, queries: queries, qrels: qrels, source: try source(), output: job.output)
      options.columns = columns
      options.negatives = negatives
      options.maxPositives = maxPositives
      options.minGrade = minGrade
      options.ranks = try window()
      options.maxRatio = maxRatio
      options.minMargin = minMargin
      options.sampling = sampling
      options.bins = bins
      options.teacher = try teacher.map { absolutePath(try modelFolder($0)) }
      options.teacherScores = teacherScores
      options.teacherLength = maxLength
      options.seed = seed
      options.maxUnknown = maxUnknown
      options.threads = job.threading.threads
      options.resume = job.resume
      options.overwrite = job.overwrite
      options.skipBadLines = job.skipBadLines
      try job.run({ try HardNegatives.mine(options, quiet: job.quiet) }, show: show)
    }
  }

  private func show(_ report: MiningReport) throws {
    let counts = report.counts
    let warnings: [(count: Int, one: String, many: String)] = [
      (
        report.unknownQueries, "judged query has no text in \(queries); it is left out",
        "judged queries have no text in \(queries); they are left out"
      ),
      (
        report.deletedPositives, "positive passage was deleted from the index",
        "positive passages were deleted from the index"
      ),
      (
        counts.unscoredPositives, "positive has no score to compare with, or no text",
        "positives have no score to compare with, or no text"
      ),
      (
        counts.without, "positive is left without a negative",
        "positives are left without a negative"
      ),
      (
        report.queriesWithout, "query is left without a negative",
        "queries are left without a negative"
      ),
      (
        counts.truncated, "text was longer than the model takes; only its start was read",
        "texts were longer than the model takes; only their starts were read"
      ),
    ]
    for warning in warnings where warning.count > 0 {
      writeError("warning: \(counted(warning.count, warning.one, warning.many))")
    }
    if job.json { return try printJSON(report) }
    guard !job.quiet else { return }
    writeError(
      """
      \(job.output): \(counted(report.triples, "triple")) of \(counted(report.queries, "query")) and \
      \(counted(report.positives, "positive")), \(counts.short) of them with fewer than \
      \(counted(negatives, "negative"))
      \(counted(counts.candidates, "passage")) looked at; left out: \(counts.summary)
      """)
  }
}

extension MiningOptions.Columns: ExpressibleByArgument {}
extension MiningOptions.Sampling: ExpressibleByArgument {}
