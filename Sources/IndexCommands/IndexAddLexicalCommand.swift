import ArgumentParser
import CommandSupport
import Retort

/// `retort index add-lexical`: makes an index that exists searchable by words.
struct IndexAddLexicalCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add-lexical",
    abstract: "Make an index searchable by words.",
    discussion: """
      Writes an inverted file of every segment's texts, for `retort search --lexical` and --hybrid. \
      Nothing is encoded. From then on `retort index add` and merge keep it up. Where the index has \
      such files, made with another stemmer or stop list, new ones take their place.

        retort index add-lexical indexes/msmarco

      Words are runs of letters and digits in any script, in lower case and without accents; Han and \
      kana count a character each. `retort index build --lexical` does the same from the start. An \
      addition that is interrupted or killed leaves the index as it was.
      """)

  @Argument(help: "The index folder.", completion: .directory)
  var index: String

  @OptionGroup var words: LexicalArguments

  @OptionGroup var threading: ThreadArguments

  @Flag(help: "No progress, only warnings and errors.")
  var quiet = false

  @Flag(help: "Print the report as JSON on standard output.")
  var json = false

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      let report = try LexicalAddition.add(
        words.settings, to: index, threads: threading.threads, quiet: quiet)
      if json { return try printJSON(report) }
      guard !quiet else { return }
      guard !report.wasThere else {
        writeError("\(index): has this lexical data already; nothing to do")
        return
      }
      let rate = ProgressReporter.rate(Double(report.passages) / max(report.seconds, 1e-9))
      writeError(
        "\(index): \(counted(report.passages, "passage")) in \(counted(report.segments, "segment")), "
          + "\(megabytes(report.bytes)) of lexical data, generation \(report.generation), in "
          + "\(ProgressReporter.duration(report.seconds)) (\(rate) passages/s)")
    }
  }
}
