import ArgumentParser
import CommandSupport
import Retort

/// `retort index merge`: one segment of many.
struct IndexMergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Make one segment of all, or one index of several.",
    discussion: """
        retort index merge indexes/msmarco
        retort index merge indexes/msmarco-*-of-00016 --output indexes/msmarco

      The first frees the room of deleted passages and makes searches of many segments faster. \
      Copies what is not deleted and builds its graph anew; nothing is encoded. The result has the \
      bytes of a build of the same passages in the same order. Searches that are running keep what \
      they opened. A merge that is interrupted or killed leaves the index as it was.

      The second puts the segments of several indexes, such as the shards of a corpus, side by side \
      into a new folder; nothing is computed, and files are linked where the file system can. They \
      must have been built with the same model and settings, and share no id.

      Stored term vectors are copied. Those of joined indexes were compressed apart: the first form \
      encodes their passages again with the model that made them.
      """)

  @Argument(help: "The index folder, or with --output several.", completion: .directory)
  var indexes: [String]

  @OptionGroup var stored: TermModelArguments

  @Option(name: .shortAndLong, help: "The new folder for the segments of all indexes.")
  var output: String?

  @OptionGroup var threading: ThreadArguments

  @Flag(help: "No progress, only warnings and errors.")
  var quiet = false

  @Flag(help: "Print the report as JSON on standard output.")
  var json = false

  func validate() throws {
    if output == nil, indexes.count > 1 {
      throw ValidationError("several indexes need --output, the folder to make of them")
    }
  }

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      if let output {
        try FileSystem.checkOutputFolder(output)
        let report = try IndexJoin.join(indexes, into: output, quiet: quiet)
        if json { return try printJSON(report) }
        if !quiet {
          writeError(
            "\(output): \(counted(report.passages, "passage")) in "
              + "\(counted(report.segments, "segment")), "
              + megabytes(report.bytes))
        }
        return
      }
      let index = indexes[0]
      let named = try stored.named(in: IndexFolder(index).manifest())
      let report = try IndexMerge.merge(index, threads: threading.threads, quiet: quiet) {
        terms throws(RetortError) in
        try TermModelArguments.source(of: terms, among: named)
      }
      if json { return try printJSON(report) }
      guard !quiet else { return }
      guard report.segments > 1 || report.removed > 0 else {
        writeError("\(index): one segment without deletions; nothing to merge")
        return
      }
      writeError(
        "\(index): \(counted(report.segments, "segment")) merged, "
          + "\(counted(report.removed, "deleted passage")) removed, "
          + "\(megabytes(report.bytesBefore)) before, \(megabytes(report.bytes)) now, generation "
          + "\(report.generation), in \(ProgressReporter.duration(report.seconds))")
    }
  }
}
