import ArgumentParser
import CommandSupport
import Retort

/// `retort index delete`: passages that shall not be found any more.
struct IndexDeleteCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Delete passages from an index by their ids.",
    discussion: """
      The passages are gone for every search that starts afterwards. Their room is freed by \
      `retort index merge`. Ids that no passage has are reported and are no error.

        retort index delete indexes/msmarco 8841 9060
        retort index delete indexes/msmarco --ids gone.txt
      """)

  @Argument(help: "The index folder.", completion: .directory)
  var index: String

  @Argument(help: "Ids of passages.")
  var ids: [String] = []

  @Option(
    name: .customLong("ids"),
    help: ArgumentHelp("A file of ids, one a line, or - for standard input.", valueName: "file"))
  var file: String?

  @Flag(help: "Only warnings and errors.")
  var quiet = false

  @Flag(help: "Print the report as JSON on standard output.")
  var json = false

  func validate() throws {
    if ids.isEmpty == (file == nil) { throw ValidationError("give ids or --ids, not both") }
  }

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      try RawArguments.requireUTF8()
      let report = try IndexDeletion.delete(
        try file.map { try readIDs(path: $0) } ?? ids, from: index)
      if json { return try printJSON(report) }
      if let first = report.missing.first {
        writeError(
          "warning: no passage has \(report.missing.count) of the ids, such as "
            + "\"\(Display.sanitised(first))\"")
      }
      guard !quiet else { return }
      writeError(
        "\(index): \(counted(report.deleted, "passage")) deleted, \(report.passages) left, generation "
          + "\(report.generation)")
    }
  }
}
