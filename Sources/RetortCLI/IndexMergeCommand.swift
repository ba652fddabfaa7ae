import ArgumentParser
import Retort

/// `retort index merge`: one segment of many.
struct IndexMergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Make one segment of all, and free the room of deleted passages.",
    discussion: """
      Copies what is not deleted and builds its graph anew; nothing is encoded. The result has the \
      bytes of a build of the same passages in the same order. Searches that are running keep what \
      they opened. A merge that is interrupted or killed leaves the index as it was.
      """)

  @Argument(help: "The index folder.", completion: .directory)
  var index: String

  @OptionGroup var threading: ThreadArguments

  @Flag(help: "No progress, only warnings and errors.")
  var quiet = false

  @Flag(help: "Print the report as JSON on standard output.")
  var json = false

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      let report = try IndexMerge.merge(index, threads: threading.threads, quiet: quiet)
      if json { return try printJSON(report) }
      guard !quiet else { return }
      guard report.segments > 1 || report.removed > 0 else {
        writeError("\(index): one segment without deletions; nothing to merge")
        return
      }
      writeError(
        "\(index): \(report.segments) segments merged, \(report.removed) deleted passages removed, "
          + "\(megabytes(report.bytesBefore)) before, \(megabytes(report.bytes)) now, generation "
          + "\(report.generation), in \(ProgressReporter.duration(report.seconds))")
    }
  }
}
