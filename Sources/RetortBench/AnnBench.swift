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
      of each query): two 32-bit numbers, count and dimension, then the rows. Builds \
      PREFIX.retort, or searches it, over the files as an index has them, mapped, and prints a \
      line of JSON: two processes, so that what the build left in memory is not counted.
      """)

  enum Phase: String, ExpressibleByArgument { case build, search }

  @Argument(help: "What to do: build or search.") var phase: Phase
  @Argument(help: "What the files' names begin with.") var prefix: String
  @Option(help: "ip or l2.") var metric = "ip"
  @Option(help: "Links a node makes.") var m = 16
  @Option(help: "Candidates kept while a node looks for its neighbours.") var efConstruction = 200
  @Option(help: "Blocks of 32 bytes of a vector's code (default: by the dimension).")
  var codeBlocks: Int?
  @Option(help: "Threads that build.") var threads = 2
  @Option(help: "When searching: bytes of memory that the data may take (default: no limit).")
  var memoryLimit: Int?
  @Option(help: "When searching: candidates kept (default: several, from 10 up).")
  var efSearch: [Int] = []
  @Option(help: "Use only the first vectors (the exact nearest must be among them).")
  var vectors: Int?

  struct Point: Encodable {
    var efSearch: Int
    var recall, queriesPerSecond, firstPassPerSecond, codes, vectors, bytes: Double
  }

  struct BuildReport: Encodable {
    var lib = "retort"
    var buildSeconds, diskMB, graphMB, linksPerNode: Double
  }

  struct SearchReport: Encodable {
    var lib = "retort"
    var openMilliseconds, anonymousMB, residentMB, peakMB, twoThreads: Double
    var points: [Point]
  }

  private var folder: String { prefix + ".retort" }

  func run() throws {
    switch phase {
    case .build: try report(build())
    case .search: try report(search())
    }
  }

  private func report(_ report: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    print(String(decoding: try encoder.encode(report), as: UTF8.self))
  }

  /// Writes the vectors, then builds and writes the graph, which is timed.
  private func build() throws -> BuildReport {
    let base = try BinaryVectors(prefix + ".x.fbin")
    try FileSystem.removeTree(folder)
    try FileSystem.makeFolder(folder)
    let writer = try VectorFileWriter(path: folder + "/vectors.seg", dimension: base.dimension)
    for row in 0..<min(vectors ?? base.count, base.count) {
      try writer.append(bytes: base.bytes(row))
    }
    try writer.finish()
    var parameters = HNSWParameters(
      m: m, efConstruction: efConstruction, metric: metric == "l2" ? .euclidean : .innerProduct)
    parameters.codeBlocks = codeBlocks
    let start = monotonicSeconds()
    let file = try VectorFile(path: folder + "/vectors.seg")
    let output = try HNSWBuilder.build(file.vectors, parameters: parameters, threads: threads)
    try GraphFileWriter.write(output, to: folder + "/graph.seg", threads: threads)
    let seconds = monotonicSeconds() - start
    let graphMB = try size(folder + "/graph.seg")
    return BuildReport(
      buildSeconds: seconds, diskMB: try size(folder + "/vectors.seg") + graphMB, graphMB: graphMB,
      linksPerNode: Double(output.layers.first?.targets.count ?? 0)
        / Double(max(file.vectors.count, 1)))
  }

  private func search() throws -> SearchReport {
    let queries = try BinaryVectors(prefix + ".q.fbin")
    let truth = try BinaryVectors(prefix + ".gt.ibin")
    let before = memory()
    let opening = monotonicSeconds()
    let budget = memoryLimit.map { MemoryBudget(limit: $0) }
    let file = try VectorFile(path: folder + "/vectors.seg", budget: budget)
    let graph = try GraphFile(path: folder + "/graph.seg", budget: budget).graph
    let search = Search(graph: graph, vectors: file.vectors, queries: queries, truth: truth)
    _ = try search.one(0, efSearch: 100, SearchScratch())
    let openMilliseconds = (monotonicSeconds() - opening) * 1000
    var points: [Point] = []
    var after = before
    var speedup = 0.0
    let usual = [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 480, 700, 1000]
    for ef in efSearch.isEmpty ? usual : efSearch {
      let point = try search.measure(efSearch: ef)
      if point.recall >= 0.95, speedup == 0 {
        after = memory()
        speedup =
          try search.throughput(efSearch: ef, threads: 2)
          / search.throughput(efSearch: ef, threads: 1)
      }
      points.append(point)
      if point.recall >= 0.9995 { break }
    }
    return SearchReport(
      openMilliseconds: openMilliseconds, anonymousMB: after.anonymous - before.anonymous,
      residentMB: after.resident - before.resident,
      peakMB: Double(peakResidentBytes() ?? 0) / 1e6 - before.resident * 1.048576,
      twoThreads: speedup, points: points)
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
