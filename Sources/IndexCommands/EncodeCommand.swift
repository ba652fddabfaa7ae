import ArgumentParser
import CommandSupport
import Formats
import Indexing
import Platform
import Retort

/// `retort encode`: texts in, vectors out.
struct EncodeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "encode",
    abstract: "Encode a corpus, or queries, into a file of vectors for other programs.",
    discussion: """
      Writes the vectors as .npy (NumPy), .fvecs or .fbin, by the name's ending, and beside them \
      NAME.ids, an id a line in the same order, and NAME.json, which says what they are.

        retort encode --model minilm --corpus passages.tsv -o vectors.npy
        retort encode --model minilm --topics queries.tsv -o queries.npy

      Texts come in the formats of `retort index build`. With --shard-num N a run encodes every Nth \
      text, from number --shard-id on, into NAME-00003-of-00016.npy; the tasks of a Slurm array and \
      the pods of an indexed Kubernetes job find their number in the environment.

      A run that is interrupted or killed keeps every finished batch in NAME.npy.part: run the same \
      command with --resume. The files appear when they are finished, and their bytes depend on the \
      input and these options alone, not on --threads or interruptions.
      """)

  @Option(help: "The passages: a file, a BEIR folder, or - for standard input.")
  var corpus: String?

  @Option(help: "Queries instead: MS MARCO tsv, JSON lines, a BEIR folder, or - .")
  var topics: String?

  @OptionGroup var encoder: EncoderArguments

  @Option(name: .shortAndLong, help: "The file to make, ending in .npy, .fvecs or .fbin.")
  var output: String

  @OptionGroup var shards: ShardArguments

  @Option(help: "How the texts are written: auto, tsv, jsonl or beir.")
  var format: TextFormat = .auto

  @OptionGroup var job: JobArguments

  @Flag(help: "Replace finished files (they stay until the new ones are), or start again.")
  var overwrite = false

  func validate() throws {
    guard (corpus == nil) != (topics == nil) else {
      throw ValidationError("give one of --corpus and --topics")
    }
  }

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      var options = CorpusEncodingOptions(input: corpus ?? topics ?? "", output: output)
      options.kind = corpus == nil ? .queries : .corpus
      options.format = format
      options.shard = try shards.shard()
      options.batchSize = job.batchSize
      options.threads = job.threading.threads
      options.resume = job.resume
      options.overwrite = overwrite
      options.skipBadLines = job.skipBadLines
      try FileSystem.checkOutputFolder(FileSystem.parent(of: output))
      let folder = try encoder.folder()
      try job.run {
        let report = try CorpusEncoder.encode(
          options, encoder: try TextEncoder(directory: folder, options: encoder.options()),
          modelPath: try encoder.recordedName(), quiet: job.quiet)
        try show(report)
      }
    }
  }

  private func show(_ report: CorpusEncodingReport) throws {
    if job.json { return try printJSON(report) }
    if report.truncatedTexts > 0 {
      writeError(
        "warning: \(report.truncatedTexts) of "
          + counted(report.count, "text was", "texts were")
          + " longer than the model takes; their vectors know only the start")
    }
    if report.emptyTexts > 0 {
      writeError("warning: \(counted(report.emptyTexts, "text is", "texts are")) empty")
    }
    if report.skippedLines > 0 {
      writeError(
        "warning: \(counted(report.skippedLines, "bad line was", "bad lines were")) skipped")
    }
    guard !job.quiet else { return }
    writeError(
      "\(report.vectors): \(counted(report.count, "vector")) of "
        + "\(counted(report.dimension, "value")), "
        + megabytes(report.bytes))
    guard report.seconds > 0 else { return }
    let rate = Double(report.encoded) / report.seconds
    writeError(
      """
      \(ProgressReporter.duration(report.seconds)) (\(ProgressReporter.rate(rate)) texts/s), time \
      of the \(counted(report.threads, "thread")): \
      \(stageShares(report.stages, withGraph: false)); peak memory \(megabytes(report.peakBytes))
      """)
  }
}
