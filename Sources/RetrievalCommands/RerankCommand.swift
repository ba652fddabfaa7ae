import ArgumentParser
import CommandSupport
import Foundation
import Retort

/// `retort rerank`: a run in, the same candidates in a better order out.
struct RerankCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rerank",
    abstract: "Re-rank the candidates of a run with a model that reads query and passage.",
    discussion: """
      Scores every query's candidates again and writes them in the order of the new scores. The RUN is \
      TREC or MS MARCO, of whatever system; no index is needed where --corpus has the texts.

        retort rerank bm25.trec --topics q.tsv --corpus c.tsv --model cat:teacher -o cat.trec
        retort rerank run.trec --topics q.tsv --index indexes/x --model colbert:c -o new.trec

      --model is cat:MODEL, a cross-encoder with one output, colbert:MODEL, which compares the \
      vectors of tokens, prettr:MODEL, a cross-encoder whose first layers read query and passage apart, \
      tk:MODEL, which compares words in their contexts, or dot:MODEL, an encoder as an index has it, \
      whose score is the inner product of two vectors. Candidates are taken by score, equal ones \
      by id, larger first, as evaluators do. Those behind --depth follow the others in their order, \
      with scores that fall by one.

      Candidates whose query or passage is unknown are left out and counted, up to a share of \
      --max-unknown; those deleted from the index are counted apart. A run that is interrupted or \
      killed keeps finished queries in OUTPUT.part: run the same command with --resume. The file's \
      bytes do not depend on --threads.
      """)

  @Argument(
    help: ArgumentHelp("The run to re-rank; - is standard input.", valueName: "run"),
    completion: .file())
  var candidates: String

  @Option(help: "The queries' texts: MS MARCO tsv, JSON lines, a BEIR folder, or - .")
  var topics: String

  @Option(help: "The index that has the passages' texts.")
  var index: String?

  @Option(help: "The passages' texts in the place of an index: tsv, JSON lines or a BEIR folder.")
  var corpus: String?

  @Option(
    help: """
      The re-ranker: cat:MODEL, colbert:MODEL, prettr:MODEL, tk:MODEL or dot:MODEL, where MODEL is a \
      folder or a fetched model.
      """)
  var model: String

  @Option(help: "Candidates of every query that are re-ranked (default: all).")
  var depth: Int?

  @Option(help: "How RUN is written: auto, trec or msmarco.")
  var runFormat = Run.Layout.auto

  @Option(help: "trec, msmarco or jsonl.")
  var outputFormat = RunFormat.trec

  @Option(help: "The name of the run, in its last column.")
  var tag = "retort"

  @Option(
    help: """
      Tokens of a query with its passage (cat) or of a passage (colbert, dot, prettr; tk: words) at \
      most (default: what the model says).
      """)
  var maxLength: Int?

  @OptionGroup var masks: QueryMaskArguments

  @Option(
    help: """
      Number format that the model computes in: f32, bf16, int8, or auto, the fastest that keeps the \
      scores of built-in passages (dot: their vectors), or what stored term vectors were computed in \
      (tk: always f32).
      """)
  var precision = EncoderPrecision.auto

  @Option(help: "The share of candidates that may name unknown queries or passages.")
  var maxUnknown = 0.01

  @OptionGroup var job: QueryJobArguments

  func validate() throws {
    guard (0...1).contains(maxUnknown) else {
      throw ValidationError("--max-unknown must lie in 0...1")
    }
    guard (index == nil) != (corpus == nil) else {
      throw ValidationError("give --index or --corpus, which have the passages' texts")
    }
    guard (depth ?? 1) >= 1 else { throw ValidationError("--depth must be at least 1") }
    try checkPrecision(precision, of: [model], option: "--precision")
  }

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      var options = RunRerankingOptions(
        run: candidates, topics: topics,
        passages: index.map { .index($0) } ?? .corpus(corpus ?? ""),
        reranker: try rerankerNamed(model), output: job.output)
      options.runLayout = runFormat
      options.format = outputFormat
      options.tag = tag
      options.depth = depth
      options.settings.maxLength = maxLength
      options.settings.queryMasks = try masks.parsed()
      options.settings.precision = precision
      options.maxUnknown = maxUnknown
      options.threads = job.threading.threads
      options.resume = job.resume
      options.overwrite = job.overwrite
      options.skipBadLines = job.skipBadLines
      try job.run({ try RunReranking.rerank(options, quiet: job.quiet) }, show: show)
    }
  }

  private func show(_ report: RunRerankingReport) throws {
    if report.truncated > 0 {
      writeError(
        "warning: "
          + counted(
            report.truncated, "text is longer than the model takes; only its start was read",
            "texts are longer than the model takes; only their starts were read"))
    }
    if job.json { return try printJSON(report) }
    guard !job.quiet else { return }
    writeError(
      """
      \(job.output): \(counted(report.queries, "query")), \
      \(counted(report.candidates, "candidate")) re-ranked in \(report.precision.rawValue), \
      \(report.behindDepth) behind the depth; \
      \(ProgressReporter.rate(Double(report.scoredNow) / max(report.seconds, 1e-9)))/s
      """)
  }
}
