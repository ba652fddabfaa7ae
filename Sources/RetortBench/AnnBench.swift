import ArgumentParser
import Foundation
import Graph
import Platform
import Store

/// Builds, writes, opens and searches a graph over vectors from files; see tools/bench ann.
struct AnnBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ann",
    abstract: "Time nearest-neighbour search.",
    discussion: """
      Reads PREFIX.x.fbin (vectors), PREFIX.q.fbin (queries) and PREFIX.gt.ibin (the exact nearest \
      of each query): two 32-bit numbers, count and dimension, then the rows. Prints one line of \
      JSON. Search runs over the files as an index has them, mapped.
      """)

  @Argument(help: "What the files' names begin with.") var prefix: String
  @Option(help: "ip or l2.") var metric = "ip"
  @Option(help: "Links a node makes.") var m = 16
  @Option(help: "Candidates kept while a node looks for its neighbours.") var efConstruction = 200
  @Option(help: "Blocks of 32 bytes of a vector's code.") var codeBlocks = 3
  @Option(help: "Threads that build.") var threads = 2
  @Option(help: "Use only the first vectors (the exact nearest must be among them).")
  var vectors: Int?

  struct Point: Encodable {
    var efSearch: Int
    var recall, queriesPerSecond, codes, vectors, bytes: Double
  }

  struct Report: Encodable {
    var lib = "retort"
    var buildSeconds, openMilliseconds, anonymousMB, residentMB, diskMB, graphMB,
      linksPerNode: Double
    var twoThreads: Double
    var points: [Point]
  }

  func run() throws {
    let nearness: GraphMetric = metric == "l2" ? .euclidean : .innerProduct
    let base = try BinaryVectors(prefix + ".x.fbin")
    let queries = try BinaryVectors(prefix + ".q.fbin")
    let truth = try BinaryVectors(prefix + ".gt.ibin")
    let folder = prefix + ".retort"
    try FileSystem.removeTree(folder)
    try FileSystem.makeFolder(folder)
    defer { try? FileSystem.removeTree(folder) }
    let count = min(vectors ?? base.count, base.count)
    let writer = try VectorFileWriter(path: folder + "/vectors.seg", dimension: base.dimension)
    for row in 0..<count { try writer.append(bytes: base.bytes(row)) }
    try writer.finish()

    var parameters = HNSWParameters(m: m, efConstruction: efConstruction, metric: nearness)
    parameters.codeBlocks = codeBlocks
    let start = monotonicSeconds()
    let links = try build(folder, parameters)
    let buildSeconds = monotonicSeconds() - start

    let before = memory()
    let opening = monotonicSeconds()
    let file = try VectorFile(path: folder + "/vectors.seg")
    let graph = try GraphFile(path: folder + "/graph.seg").graph
    let search = Search(graph: graph, vectors: file.vectors, queries: queries, truth: truth)
    _ = try search.one(0, efSearch: 100, SearchScratch())
    let openMilliseconds = (monotonicSeconds() - opening) * 1000

    var points: [Point] = []
    for ef in [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 480, 700, 1000] {
      points.append(try search.measure(efSearch: ef))
      if let last = points.last, last.recall >= 0.9995 { break }
    }
    let efBest = points.first { $0.recall >= 0.95 }?.efSearch ?? 100
    let one = try search.throughput(efSearch: efBest, threads: 1)
    let two = try search.throughput(efSearch: efBest, threads: 2)
    let after = memory()
    let report = Report(
      buildSeconds: buildSeconds, openMilliseconds: openMilliseconds,
      anonymousMB: max(0, after.anonymous - before.anonymous), residentMB: after.resident,
      diskMB: try size(folder + "/vectors.seg") + size(folder + "/graph.seg"),
      graphMB: try size(folder + "/graph.seg"), linksPerNode: links, twoThreads: two / one,
      points: points)
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    print(String(decoding: try encoder.encode(report), as: UTF8.self))
  }

  /// Builds and writes the graph; returns the links a node.
  private func build(_ folder: String, _ parameters: HNSWParameters) throws -> Double {
    let file = try VectorFile(path: folder + "/vectors.seg")
    let output = try HNSWBuilder.build(file.vectors, parameters: parameters, threads: threads)
    try GraphFileWriter.write(output, to: folder + "/graph.seg", threads: threads)
    return Double(output.layers.first?.targets.count ?? 0) / Double(max(file.vectors.count, 1))
  }

  private func size(_ path: String) throws -> Double {
    Double(try FileSystem.size(of: path)) / 1e6
  }

  /// Resident memory of this process in MB, as Linux tells it.
  private func memory() -> (anonymous: Double, resident: Double) {
    var values: [Substring: Double] = [:]
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    for line in status.split(separator: "\n") {
      let words = line.split(whereSeparator: \.isWhitespace)
      if words.count > 1 { values[words[0]] = Double(words[1]) }
    }
    return ((values["RssAnon:"] ?? 0) / 1024, (values["VmRSS:"] ?? 0) / 1024)
  }
}
