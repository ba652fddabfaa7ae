import ArgumentParser
import Formats
import Platform
import Retort

/// Writes the vectors of an index and of its queries as `.fbin` files, for `ann`.
struct AnnExport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ann-export",
    abstract: "Write an index's vectors and its queries' as PREFIX.x.fbin and PREFIX.q.fbin.")

  @Argument(help: "The index folder.") var index: String
  @Option(help: "Queries.") var topics: String
  @Option(help: "Where the files go.") var output: String
  @Option(help: "Queries at most.") var queries = 1000

  func run() throws {
    let searcher = try Searcher(path: index)
    let texts = try readQueries(path: topics).prefix(queries).map(\.text)
    let encoded = try searcher.encoder.encode(texts: Array(texts), threads: 2)
    try VectorBinary.write(encoded, dimension: searcher.index.dimension, to: output + ".q.fbin")
    var values: [Float] = []
    for number in 0..<searcher.index.count { values += try searcher.index.vector(number) }
    try VectorBinary.write(values, dimension: searcher.index.dimension, to: output + ".x.fbin")
  }
}
