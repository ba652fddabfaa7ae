import ArgumentParser
import CommandSupport
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
      streamed; memory grows by some 500 bytes a passage (ids and the graph), with --lexical by 0.3 bytes \
      for every byte of text besides, and --terms takes a sample of up to 512 MiB.

      Other fields of JSON lines are kept for `retort search --filter`: texts of up to 1,024 bytes, \
      numbers, true and false, lists of up to 64 of them, and such fields of nested objects, named \
      outer.inner.

      With --vectors no model is needed: the vectors of a .npy, .fvecs or .fbin file are indexed, with \
      ids from --ids, or ids, texts and fields from a --corpus of as many passages, or numbers as \
      ids. Such an index is searched with `retort search --query-vectors`.

        retort index build --vectors v.npy --ids v.ids --metric cosine -o indexes/v

      With --lexical the index can be searched by words, too (`retort search --lexical` and --hybrid). \
      With --terms it stores what a re-ranker keeps of the passages, see `retort index add-terms \
      --help`.

      A build that is interrupted or killed keeps every finished batch: run the same command with \
      --resume. The index appears at once when it is finished, and its bytes depend on the input \
      and these options alone, not on --threads or interruptions.
      """)

  @Option(help: "The corpus: a file, a BEIR folder, or - for standard input.")
  var corpus: String?

  @Option(help: "Vectors to index instead of encoding: .npy, .fvecs or .fbin.")
  var vectors: String?

  @Option(help: "With --vectors: their ids, one a line.")
  var ids: String?

  @Option(help: "With --vectors: how scores are computed: ip, cosine or l2.")
  var metric: Metric?

  @OptionGroup var encoder: EncoderArguments

  @Option(name: .shortAndLong, help: "The index folder to make.")
  var output: String

  @OptionGroup var shards: ShardArguments

  @Option(name: .customLong("m"), help: "Links a node makes on each layer of the graph (2...256).")
  var m = 16

  @Option(help: "Candidates kept while a node looks for its neighbours.")
  var efConstruction = 200

  @Option(
    help: ArgumentHelp(
      "Metadata fields to keep for filters, separated by commas, or none (default: all).",
      valueName: "names"))
  var fields: String?

  @Flag(help: "Make the index searchable by words, too.")
  var lexical = false

  @OptionGroup var words: LexicalArguments

  @OptionGroup var stored: TermArguments

  @Option(help: "Decides the levels of the graph.")
  var seed: UInt64 = 42

  @Option(help: "How the texts are written: auto, tsv, jsonl or beir.")
  var format: TextFormat = .auto

  @OptionGroup var job: JobArguments

  @Flag(help: "Replace a finished index (it stays until the new one is), or start again.")
  var overwrite = false

  func validate() throws {
    if corpus == nil, vectors == nil { throw ValidationError("give --corpus or --vectors") }
    if vectors != nil {
      if encoder.model != nil { throw ValidationError("give --model or --vectors, not both") }
      if job.resume || job.skipBadLines || shards.isGiven {
        throw ValidationError(
          "--vectors does not go with --resume, --skip-bad-lines, --shard-id and --shard-num")
      }
      if ids != nil, corpus != nil { throw ValidationError("give --ids or --corpus, not both") }
    } else if ids != nil || metric != nil {
      throw ValidationError("--ids and --metric need --vectors")
    }
    if stored.isGiven, vectors != nil {
      throw ValidationError(
        "--terms does not go with --vectors; store them afterwards with `retort index add-terms`")
    }
    if words.isGiven, !lexical {
      throw ValidationError("--stemmer and --stop-words need --lexical")
    }
    if lexical, corpus == nil { throw ValidationError("--lexical needs texts: give a --corpus") }
  }

  /// The fields that --fields names.
  private var keptFields: [String]? {
    fields.map { names in
      names == "none" ? [] : names.split(separator: ",").map { trimmed($0) }
    }
  }

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      try FileSystem.checkOutputFolder(output)
      if let vectors { return try importVectors(vectors) }
      let shard = try shards.shard()
      var options = IndexBuildOptions(corpus: corpus ?? "", output: output + shard.suffix)
      options.shard = shard
      options.format = format
      options.m = m
      options.efConstruction = efConstruction
      options.batchSize = job.batchSize
      options.threads = job.threading.threads
      options.seed = seed
      options.fields = keptFields
      options.lexical = lexical ? words.settings : nil
      options.terms = try stored.requests()
      options.resume = job.resume
      options.overwrite = overwrite
      options.skipBadLines = job.skipBadLines
      let folder = try encoder.folder()
      try job.run {
        let report = try IndexBuilder.build(
          options, encoder: try TextEncoder(directory: folder, options: encoder.options()),
          modelPath: try encoder.recordedName(), quiet: job.quiet)
        try BuildReportPrinter(
          report: report, output: options.output, quiet: job.quiet, json: job.json
        ).show()
      }
    }
  }

  private func importVectors(_ path: String) throws {
    var options = VectorImportOptions(vectors: path, output: output)
    options.ids = ids
    options.corpus = corpus
    options.format = format
    options.fields = keptFields
    options.lexical = lexical ? words.settings : nil
    options.metric = metric ?? .innerProduct
    options.graph = Manifest.GraphSettings(m: m, efConstruction: efConstruction, seed: seed)
    options.threads = job.threading.threads
    options.overwrite = overwrite
    let report = try VectorImport.build(options, quiet: job.quiet)
    try BuildReportPrinter(report: report, output: output, quiet: job.quiet, json: job.json).show()
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
        "\(report.truncatedTexts) of \(counted(report.added, "text was", "texts were")) longer than "
          + "the model takes; their vectors know only the start")
    }
    if report.emptyTexts > 0 {
      warnings.append(counted(report.emptyTexts, "passage has no text", "passages have no text"))
    }
    if report.skippedLines > 0 {
      warnings.append(
        counted(report.skippedLines, "bad line was skipped", "bad lines were skipped"))
    }
    for warning in warnings { writeError("warning: " + warning) }
    // A build that had finished before has nothing more to tell.
    guard !quiet, report.threads > 0 else { return }
    writeError(
      "\(output): \(counted(report.passages, "passage")), \(megabytes(report.bytes)), \(summary)")
    guard report.added > 0 else { return }
    if report.stages.total > 0 {
      writeError("time of the \(counted(report.threads, "thread")): \(stageShares(report.stages))")
    }
    writeError(
      "reachable: \(report.reachable) of \(report.added), \(report.linkedByPass) linked by the "
        + "reachability pass; peak memory \(megabytes(report.peakBytes))")
  }

  private var summary: String {
    let done = report.stages.total > 0 ? report.encoded : report.added
    let rate = ProgressReporter.rate(Double(done) / max(report.seconds, 1e-9))
    let time = "\(ProgressReporter.duration(report.seconds)) (\(rate) passages/s)"
    if report.added == report.passages, report.unchanged == 0 { return "built in " + time }
    return "\(report.added) added (\(report.replaced) in the place of others), "
      + "\(report.unchanged) unchanged, \(report.reused) not encoded again, in " + time
  }
}

/// A text without white space around it.
private func trimmed(_ text: Substring) -> String {
  text.trimmingCharacters(in: .whitespaces)
}
