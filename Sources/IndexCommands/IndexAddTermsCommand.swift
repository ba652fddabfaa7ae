import ArgumentParser
import CommandSupport
import Retort

/// `retort index add-terms`: stores what re-rankers keep of passages.
struct IndexAddTermsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add-terms",
    abstract: "Store the term vectors of a re-ranker in an index.",
    discussion: """
      Encodes all passages with a re-ranker and stores what it keeps of them, so that `retort search \
      --rerank` and `retort rerank --index` need not read them again: of ColBERT (colbert:MODEL) a \
      vector for every token, of TK (tk:MODEL) one for every word, of PreTTR (prettr:MODEL) the states \
      of the tokens behind the layers that read passages apart, or their compressor's. `retort index \
      build --terms` does the same from the start. From then on `retort index add` and merge keep them \
      up.

        retort index add-terms indexes/msmarco --terms colbert:models/colbert
        retort index add-terms indexes/msmarco --terms tk:models/tk,prettr:models/prettr

      Bytes of a vector of 128 components, by --term-codec: f32 512; f16 256; int8 132; residual-4 66, \
      residual-2 34 and residual-1 18, one more with more than 65,536 centroids. Residual codecs learn \
      2^floor(log2(16 sqrt(n))) centroids from a sample of the n vectors; lists of the passages of each \
      centroid take about another byte a vector.

      Terms of the same model that were stored otherwise are replaced. An addition that is interrupted \
      or killed leaves the index as it was and goes on with --resume; the bytes do not depend on \
      --threads or on interruptions.
      """)

  @Argument(help: "The index folder.", completion: .directory)
  var index: String

  @OptionGroup var terms: TermArguments

  @Option(help: "Passages encoded, and made safe against a crash, together.")
  var batchSize = 512

  @OptionGroup var threading: ThreadArguments

  @Flag(help: "Go on with an addition that did not finish.")
  var resume = false

  @Flag(help: "Drop an addition that did not finish, and start again.")
  var restart = false

  @Flag(help: "No progress, only warnings and errors.")
  var quiet = false

  @Flag(help: "Print the report as JSON on standard output.")
  var json = false

  func validate() throws {
    guard terms.isGiven else { throw ValidationError("--terms is missing; name the re-ranker") }
    if resume, restart { throw ValidationError("give --resume or --restart, not both") }
  }

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      var options = TermAdditionOptions(
        index: index, terms: try terms.requests(in: IndexFolder(index).manifest()))
      options.batchSize = batchSize
      options.threads = threading.threads
      options.resume = resume
      options.restart = restart
      do {
        try show(try TermAddition.add(options, quiet: quiet))
      } catch let error as RetortError where error.code == .cancelled {
        throw RetortError(
          .cancelled,
          "interrupted; finished batches are kept: run the same command with --resume to go on")
      }
    }
  }

  private func show(_ report: TermAdditionReport) throws {
    if report.truncated > 0 {
      writeError(
        "warning: "
          + counted(
            report.truncated, "text is longer than the model takes; its terms know only the start",
            "texts are longer than the model takes; their terms know only the start"))
    }
    if json { return try printJSON(report) }
    guard !quiet else { return }
    guard !report.wasThere else {
      writeError("\(index): stores these terms already; nothing to do")
      return
    }
    let each = decimals(Double(report.bytes) / Double(max(report.passages, 1)), 0)
    let rate = ProgressReporter.rate(Double(report.passages) / max(report.seconds, 1e-9))
    writeError(
      "\(index): \(counted(report.passages, "passage")), \(megabytes(report.bytes)) of term vectors "
        + "(\(each) bytes a passage), generation \(report.generation), in "
        + "\(ProgressReporter.duration(report.seconds)) (\(rate) passages/s)")
  }
}
