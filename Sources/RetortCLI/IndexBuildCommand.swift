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
        try show(report)
      } catch let error as RetortError where error.code == .cancelled {
        throw RetortError(
          .cancelled,
          "interrupted; finished batches are kept: run the same command with --resume to go on")
      }
    }
  }

  private func show(_ report: IndexBuildReport) throws {
    if json { return try printJSON(report) }
    guard report.passages > 0 else { return }
    var warnings: [String] = []
    if report.truncatedTexts > 0 {
      warnings.append(
        "\(report.truncatedTexts) of \(report.passages) texts were longer than the model takes; "
          + "their vectors know only the start")
    }
    if report.emptyTexts > 0 { warnings.append("\(report.emptyTexts) passages have no text") }
    if report.skippedLines > 0 { warnings.append("\(report.skippedLines) bad lines were skipped") }
    for warning in warnings { writeError("warning: " + warning) }
    guard !quiet else { return }
    let rate = Double(report.encoded) / max(report.encodeSeconds, 1e-9)
    let total = report.encodeSeconds + report.storeSeconds + report.graphSeconds
    writeError(
      """
      \(output): \(report.passages) passages, \(megabytes(report.bytes)), built in \
      \(ProgressReporter.duration(total)) (encode \(ProgressReporter.duration(report.encodeSeconds)) \
      at \(ProgressReporter.rate(rate)) passages/s, store \
      \(ProgressReporter.duration(report.storeSeconds)), graph \
      \(ProgressReporter.duration(report.graphSeconds)))
      reachable: \(report.reachable) of \(report.passages), \(report.linkedByPass) linked by the \
      reachability pass; peak memory \(megabytes(report.peakBytes))
      """)
  }
}

/// `retort index info`: what an index is.
struct IndexInfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Print what an index is and how it was made.")

  @Argument(help: "The index folder.", completion: .directory)
  var index: String

  @Flag(help: "Print the manifest as JSON.")
  var json = false

  func run() throws {
    try runReportingErrors {
      let manifest = try PassageIndex(path: index).manifest
      if json { return try printJSON(manifest) }
      let graph = manifest.graph
      print("passages:     \(manifest.passages)")
      print("dimension:    \(manifest.dimension), \(manifest.similarity)")
      print("generation:   \(manifest.generation), format \(manifest.formatVersion)")
      print("model:        \(manifest.model.path)")
      print(
        "              \(manifest.model.architecture), \(manifest.model.pooling) pooling, "
          + "\(manifest.model.normalized ? "normalised" : "not normalised"), "
          + "up to \(manifest.model.maxLength) tokens, \(manifest.model.precision ?? "f32"), \(manifest.model.fingerprint.prefix(16))")
      print(
        "corpus:       \(manifest.corpus.path), \(manifest.corpus.truncatedTexts) texts truncated, "
          + "\(manifest.corpus.emptyTexts) empty, \(manifest.corpus.skippedLines) bad lines skipped"
      )
      print(
        "graph:        M \(graph.m), efConstruction \(graph.efConstruction), seed \(graph.seed), "
          + "\(graph.layers) layers, \(graph.links) links "
          + "(\(decimals(Double(graph.links) / Double(max(manifest.passages, 1)), 1)) a passage)")
      print(
        "reachable:    \(graph.reachable) of \(manifest.passages) "
          + "(\(graph.linkedByPass) linked by the reachability pass)")
      for (role, file) in manifest.files.sorted(by: { $0.key < $1.key }) {
        let name = (role + ":").padding(toLength: 14, withPad: " ", startingAt: 0)
        print("\(name)\(megabytes(file.bytes)) (\(file.name))")
      }
    }
  }
}

/// `retort index verify`: reads everything.
struct IndexVerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check every checksum, neighbour list, id and text of an index.",
    discussion: "Prints one line and exits with 0 when the index is whole, else with 65.")

  @Argument(help: "The index folder.", completion: .directory)
  var index: String

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      let opened = try PassageIndex(path: index)
      let reachable = try opened.verify()
      guard reachable == opened.count else {
        throw RetortError(
          .badData,
          "only \(reachable) of \(opened.count) passages are reachable; build the index again",
          path: index)
      }
      print("ok: \(opened.count) passages, all checksums match, all reachable")
    }
  }
}
