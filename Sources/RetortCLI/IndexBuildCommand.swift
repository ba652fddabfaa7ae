import ArgumentParser
import Foundation
import Retort

/// `retort index build`: corpus in, index out.
struct IndexBuildCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "build",
    abstract: "Encode a corpus and build an index of it.",
    discussion: """
      Reads passages, encodes them with a model and writes a folder that `retort search` opens: \
      vectors, an HNSW graph over their inner products, ids and texts.

        retort index build --corpus passages.tsv --model minilm -o indexes/msmarco

      The corpus is MS MARCO tsv (id TAB text), JSON lines (id|_id|docid, text|contents, optional \
      title), a BEIR folder, or - for standard input; a name ending in .gz is decompressed. Texts are \
      streamed; memory grows by some 300 bytes a passage (ids and the graph).

      A build that is interrupted or killed keeps every finished batch: run the same command with \
      --resume. The index appears at once when it is finished, and its bytes depend on the input \
      and these options alone, not on --threads or interruptions.
      """)

  @Option(help: "The corpus: a file, a BEIR folder, or - for standard input.")
  var corpus: String

  @Option(help: "How the corpus is written: auto, tsv, jsonl or beir.")
  var format: TextFormat = .auto

  @OptionGroup var encoder: EncoderArguments

  @Option(name: .shortAndLong, help: "The index folder to make.")
  var output: String

  @Option(name: .customLong("m"), help: "Links a node makes on each layer of the graph (2...256).")
  var m = 16

  @Option(help: "Candidates kept while a node looks for its neighbours.")
  var efConstruction = 200

  @Option(help: "Passages encoded, and made safe against a crash, together.")
  var batchSize = 512

  @OptionGroup var threading: ThreadArguments

  @Option(help: "Decides the levels of the graph.")
  var seed: UInt64 = 42

  @Flag(help: "Go on with a build that did not finish.")
  var resume = false

  @Flag(help: "Replace a finished index (it stays until the new one is), or start again.")
  var overwrite = false

  @Flag(help: "Skip and count lines that cannot be read instead of stopping at the first.")
  var skipBadLines = false

  @Flag(help: "No progress, only warnings and errors.")
  var quiet = false

  @Flag(help: "Print the report as JSON on standard output.")
  var json = false

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      var options = IndexBuildOptions(corpus: corpus, output: output)
      options.format = format
      options.m = m
      options.efConstruction = efConstruction
      options.batchSize = batchSize
      options.threads = threading.threads
      options.seed = seed
      options.resume = resume
      options.overwrite = overwrite
      options.skipBadLines = skipBadLines
      let folder = try encoder.folder()
      do {
        let report = try IndexBuilder.build(
          options, encoder: try TextEncoder(directory: folder, options: encoder.options()),
          modelPath: absolutePath(folder), quiet: quiet)
        try BuildReportPrinter(report: report, output: output, quiet: quiet, json: json).show()
      } catch let error as RetortError where error.code == .cancelled {
        throw RetortError(
          .cancelled,
          "interrupted; finished batches are kept: run the same command with --resume to go on")
      }
    }
  }
}

/// Prints what a build or an addition did.
struct BuildReportPrinter {
  let report: IndexBuildReport
  let output: String
  let quiet: Bool
  let json: Bool

  func show() throws {
    if json { return try printJSON(report) }
    guard report.passages > 0 else { return }
    var warnings: [String] = []
    if report.truncatedTexts > 0 {
      warnings.append(
        "\(report.truncatedTexts) of \(report.added) texts were longer than the model takes; "
          + "their vectors know only the start")
    }
    if report.emptyTexts > 0 { warnings.append("\(report.emptyTexts) passages have no text") }
    if report.skippedLines > 0 { warnings.append("\(report.skippedLines) bad lines were skipped") }
    for warning in warnings { writeError("warning: " + warning) }
    // A build that had finished before has nothing more to tell.
    guard !quiet, report.threads > 0 else { return }
    writeError("\(output): \(report.passages) passages, \(megabytes(report.bytes)), \(summary)")
    guard report.added > 0 else { return }
    writeError("time of the \(report.threads) threads: \(stageShares(report.stages))")
    writeError(
      "reachable: \(report.reachable) of \(report.added), \(report.linkedByPass) linked by the "
        + "reachability pass; peak memory \(megabytes(report.peakBytes))")
  }

  private var summary: String {
    let rate = ProgressReporter.rate(Double(report.encoded) / max(report.seconds, 1e-9))
    let time = "\(ProgressReporter.duration(report.seconds)) (\(rate) passages/s)"
    if report.added == report.passages, report.unchanged == 0 { return "built in " + time }
    return "\(report.added) added (\(report.replaced) in the place of others), "
      + "\(report.unchanged) unchanged, \(report.reused) not encoded again, in " + time
  }
}
