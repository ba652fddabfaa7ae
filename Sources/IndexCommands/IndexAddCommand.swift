import ArgumentParser
import CommandSupport
import Retort

/// `retort index add`: more passages for an index.
struct IndexAddCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Add passages to an index, or replace them by id.",
    discussion: """
      Reads a corpus, as `retort index build` does, and adds its passages as a segment of their own. \
      A passage whose id the index has takes the place of the old one; if its text is the same, it \
      stays as it is. Texts the index knows are not encoded again, but their stored term vectors are.

        retort index add indexes/msmarco --corpus more.tsv

      Searches that are running keep what they opened; later ones see all of the addition. Several \
      small segments cost time when searched: `retort index merge` makes one of them. An addition \
      that is interrupted or killed leaves the index as it was and goes on with --resume.
      """)

  @Argument(help: "The index folder.", completion: .directory)
  var index: String

  @Option(help: "The corpus: a file, a BEIR folder, or - for standard input.")
  var corpus: String

  @Option(help: "Where the index's model is now, if it was moved: a folder or a fetched name.")
  var model: String?

  @OptionGroup var stored: TermModelArguments

  @Option(help: "How the texts are written: auto, tsv, jsonl or beir.")
  var format: TextFormat = .auto

  @OptionGroup var job: JobArguments

  @Flag(help: "Drop an addition that did not finish, and start again.")
  var restart = false

  func validate() throws {
    if job.resume, restart { throw ValidationError("give --resume or --restart, not both") }
  }

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      var options = IndexAdditionOptions(index: index, corpus: corpus)
      options.format = format
      options.batchSize = job.batchSize
      options.threads = job.threading.threads
      options.resume = job.resume
      options.restart = restart
      options.skipBadLines = job.skipBadLines
      let opened = try PassageIndex(path: index)
      let folder = try model.map(modelFolder)
      let named = try stored.named(in: opened.manifest)
      let terms = try (opened.manifest.terms ?? []).map {
        try TermModelArguments.source(of: $0, among: named)
      }
      try job.run {
        let report = try IndexAddition.add(
          options, encoder: try Searcher.encoder(of: opened, at: folder),
          modelPath: try model.map(recordedModel) ?? opened.manifest.model?.path ?? "",
          terms: terms, quiet: job.quiet)
        try BuildReportPrinter(report: report, output: index, quiet: job.quiet, json: job.json)
          .show()
      }
    }
  }
}
