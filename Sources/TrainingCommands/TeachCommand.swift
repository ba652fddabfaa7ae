import ArgumentParser
import CommandSupport
import Distillation
import Platform
import Retort

/// `retort teach`: triples in, a teacher's scores of them out.
struct TeachCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "teach",
    abstract: "Score triples with a teacher, for students to learn from.",
    discussion: """
      Scores the positive and the negative passage of every triple with a cross-encoder and writes a \
      line each: positive score, negative score, query, positive, negative, separated by TAB. Scores \
      are raw logits; columns are ids or texts, as in the triples.

        retort teach --model teacher --triples triples.tsv -o scores.tsv
        retort teach --model teacher --triples ids.tsv --collection c.tsv --queries q.tsv -o t1.tsv

      OUTPUT.json names the teacher and gives mean and deviation of its scores. A run that is \
      interrupted or killed keeps every finished batch in OUTPUT.part: run the same command with \
      --resume. The file's bytes depend on the teacher, the triples and --batch-size alone.
      """)

  @Option(help: "The teacher, a cross-encoder: a folder, or a fetched one.")
  var model: String

  @Option(help: "Triples: query, positive and negative passage, separated by TAB.")
  var triples: String

  @Option(help: "The passages' texts, where columns are ids: tsv, JSON lines or a BEIR folder.")
  var collection: String?

  @Option(help: "The queries' texts, where columns are ids: tsv, JSON lines or a BEIR folder.")
  var queries: String?

  @Option(name: .shortAndLong, help: "The file to make.")
  var output: String

  @Option(help: "Tokens of a query with its passage at most (default: what the model says).")
  var maxLength: Int?

  @Option(help: "The share of triples that may name unknown ids; they are left out.")
  var maxUnknown = 0.01

  @OptionGroup var job: JobArguments

  @Flag(help: "Replace a finished file, or start again.")
  var overwrite = false

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      var options = TeacherScoringOptions(
        model: absolutePath(try modelFolder(model)), triples: triples, output: output)
      options.collection = collection
      options.queries = queries
      options.maxLength = maxLength
      options.batchSize = job.batchSize
      options.maxUnknown = maxUnknown
      options.threads = job.threading.threads
      options.resume = job.resume
      options.overwrite = overwrite
      options.skipBadLines = job.skipBadLines
      try job.run {
        let (report, truncated) = try TeacherScoring.score(options, quiet: job.quiet)
        try show(report, truncated)
      }
    }
  }

  private func show(_ report: TeacherScoringReport, _ truncated: Int) throws {
    if truncated > 0 {
      writeError(
        "warning: \(counted(truncated, "pair")) of query and passage were longer than the model "
          + "takes; only their starts were scored")
    }
    if job.json { return try printJSON(report) }
    guard !job.quiet else { return }
    writeError(
      """
      \(output): \(counted(report.triples, "triple")), mean \(decimals(report.mean, 3)), deviation \
      \(decimals(report.deviation, 3)), mean margin \(decimals(report.meanMargin, 3)), \
      \(report.reversed) with the negative passage first
      """)
  }
}
