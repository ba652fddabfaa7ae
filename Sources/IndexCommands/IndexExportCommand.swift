import ArgumentParser
import CommandSupport
import Retort

/// `retort index export`: what an index holds, for other programs.
struct IndexExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write vectors, passages or the graph of an index to files.",
    discussion: """
      Vectors go to .npy, .fvecs or .fbin, as the name says; --ids writes an id a line in the same \
      order. Passages go to JSON lines (_id, text and fields) that `retort index build` reads. The \
      graph goes to JSON lines of a passage's id and the ids it links to. Deleted passages are left \
      out, except from the graph, through which walks still lead.

        retort index export indexes/msmarco --vectors v.npy --ids v.ids --passages p.jsonl
      """)

  @Argument(help: "The index folder.", completion: .directory)
  var index: String

  @Option(help: "The file for the vectors.")
  var vectors: String?

  @Option(help: "The file for the vectors' ids.")
  var ids: String?

  @Option(help: "The file for the passages; - is standard output.")
  var passages: String?

  @Option(help: "The file for the graph; - is standard output.")
  var graph: String?

  @Flag(help: "Only warnings and errors.")
  var quiet = false

  func validate() throws {
    if vectors == nil, passages == nil, graph == nil {
      throw ValidationError("say what to write: --vectors, --passages or --graph")
    }
    if ids != nil, vectors == nil { throw ValidationError("--ids needs --vectors") }
  }

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      for path in [vectors, ids, passages, graph] {
        if let path { try FileSystem.checkOutput(path) }
      }
      let opened = try PassageIndex(path: index)
      func tell(_ count: Int, _ what: String, _ path: String) {
        if !quiet, path != "-" { writeError("\(path): \(counted(count, what))") }
      }
      if let vectors {
        tell(try IndexExport.vectors(of: opened, to: vectors, ids: ids), "vector", vectors)
      }
      if let passages {
        tell(try IndexExport.passages(of: opened, to: passages), "passage", passages)
      }
      if let graph { tell(try IndexExport.graph(of: opened, to: graph), "node", graph) }
    }
  }
}
