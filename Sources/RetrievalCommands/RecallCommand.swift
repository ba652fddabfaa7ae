import ArgumentParser
import CommandSupport
import Foundation
import Retort

/// `retort recall`: how much of the exact answer the graph finds, and how fast.
struct RecallCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recall",
    abstract: "Measure recall and speed of the graph against an exact scan.",
    discussion: """
      Answers the queries exactly, then by graph walks that keep more and more candidates, and \
      prints for each the share of the exact 10 and 100 best that was found, queries a second \
      (search alone, queries encoded before) and passages a query scored, by compact codes \
      where the graph has any, and scored again by their vectors.

        retort recall indexes/msmarco --topics queries.tsv --svg recall.svg

      With --retrieve colbert:MODEL it compares searches for the 100 best by stored term vectors, which \
      go through centroids, with scoring every passage.

        retort recall indexes/msmarco --topics queries.tsv --retrieve colbert:models/colbert
      """)

  @Argument(help: "The index folder.", completion: .directory)
  var index: String

  @Option(help: "Queries: MS MARCO tsv, JSON lines, a BEIR folder, or - .")
  var topics: String

  @Option(help: "The efSearch values, separated by commas.")
  var efSearch = "10,20,40,60,80,100,150,200,400,800"

  @Option(
    help: ArgumentHelp(
      "Measure searches by stored term vectors: colbert:MODEL.", valueName: "kind:model"))
  var retrieve: String?

  @Option(
    help:
      "With --retrieve: numbers of candidates, separated by commas; auto is derived from 100 hits.")
  var candidates = "400,1000,2000,auto,10000"

  @Option(help: "Where the index's model is now, if it was moved.")
  var model: String?

  @Option(help: "Queries to use at most, from the start of the file.")
  var queries = 1000

  @Flag(help: "Skip and count lines of --topics that cannot be read.")
  var skipBadLines = false

  @OptionGroup var threading: ThreadArguments

  @OptionGroup var memory: MemoryArguments

  @Flag(help: "Print JSON instead of a table.")
  var json = false

  @Option(help: "Write the curve of recall@10 and queries a second as an SVG file.")
  var svg: String?

  private struct Point: Encodable {
    var efSearch: Int
    var recall10: Double
    /// Absent where fewer than 100 candidates are kept.
    var recall100: Double?
    /// Counting any passage whose score reaches the exact tenth's.
    var scoreRecall10: Double
    var queriesPerSecond: Double
    var scoredPerQuery: Double
    var rescoredPerQuery: Double
  }

  private struct Report: Encodable {
    var passages, queries, threads: Int
    var exactQueriesPerSecond: Double
    var points: [Point]
  }

  func validate() throws {
    if let retrieve, (try? RerankerName(retrieve))?.kind != .colbert {
      throw ValidationError("--retrieve is colbert:MODEL, not \(retrieve)")
    }
    if retrieve != nil, svg != nil {
      throw ValidationError("--svg draws the graph's curve, not that of --retrieve")
    }
    if queries < 1 { throw ValidationError("--queries must be at least 1") }
  }

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      let values = try efSearch.split(separator: ",").map { text in
        guard let value = Int(decimal: text.trimmingCharacters(in: .whitespaces)), value > 0 else {
          throw RetortError(.usage, "--ef-search takes positive numbers, not \"\(text)\"")
        }
        return value
      }
      guard !values.isEmpty else {
        throw RetortError(.usage, "--ef-search is empty; name numbers such as 10,100")
      }
      if let svg { try FileSystem.checkOutput(svg) }
      let all = try readQueries(
        path: topics, skipBadLines: skipBadLines, report: { writeError("warning: \($0)") })
      let texts = all.prefix(queries).map(\.text)
      if texts.count < all.count {
        writeError("using \(grouped(texts.count)) of \(grouped(all.count)) queries")
      }
      if let retrieve { return try measureTerms(texts, model: retrieve) }
      let opened = try PassageIndex(path: index, memoryLimit: memory.memoryLimit?.bytes)
      let encoder = try Searcher.encoder(of: opened, at: try model.map(modelFolder))
      let report = try measure(opened, encoder, texts, values)
      if let svg { try write(report, to: svg) }
      if json { try printJSON(report) } else { show(report) }
    }
  }

  private func measure(
    _ index: PassageIndex, _ encoder: TextEncoder, _ texts: [String], _ values: [Int]
  ) throws -> Report {
    let progress = ProgressReporter()
    progress.begin("encode", unit: "queries", total: texts.count)
    let tokenized = encoder.tokenize(texts, threads: threading.threads)
    let vectors = try encoder.encode(tokenized.map(\.ids), threads: threading.threads)
    progress.update(texts.count)
    let truncated = tokenized.count { $0.isTruncated }
    if truncated > 0 { progress.warn(SearchCommand.cutQueries(truncated)) }
    progress.begin("exact", unit: "queries", total: texts.count)
    let start = monotonicSeconds()
    let exact = try index.search(vectors, k: 100, mode: .exact, threads: threading.threads)
    let exactSeconds = monotonicSeconds() - start
    progress.update(texts.count)
    progress.finishPhase()
    var points: [Point] = []
    for ef in values {
      points.append(try measure(ef, index, vectors, exact))
    }
    return Report(
      passages: index.count, queries: texts.count, threads: threading.threads,
      exactQueriesPerSecond: Double(texts.count) / max(exactSeconds, 1e-9), points: points)
  }

  private func measure(
    _ ef: Int, _ index: PassageIndex, _ vectors: [Float], _ exact: [[SearchHit]]
  ) throws -> Point {
    // recall@100 needs 100 candidates; smaller ef values answer for recall@10 with 10.
    let k = ef >= 100 ? 100 : 10
    let found = try index.search(
      vectors, k: k, mode: .graph(efSearch: ef), threads: threading.threads)
    let statistics = SearchStatistics()
    let start = monotonicSeconds()
    var seconds = 0.0
    repeat {
      _ = try index.search(
        vectors, k: 10, mode: .graph(efSearch: ef), threads: threading.threads,
        statistics: statistics)
      seconds = monotonicSeconds() - start
    } while seconds < 0.3
    func numbers(_ hits: [[SearchHit]]) -> [[UInt32]] { hits.map { $0.map { UInt32($0.number) } } }
    return Point(
      efSearch: max(ef, k),
      recall10: recallAtK(exact: numbers(exact), approximate: numbers(found), k: 10),
      recall100: k == 100
        ? recallAtK(exact: numbers(exact), approximate: numbers(found), k: 100) : nil,
      scoreRecall10: scoreRecallAtK(
        exact: exact.map { $0.map(\.score) }, approximate: found.map { $0.map(\.score) }, k: 10,
        tolerance: 0),
      queriesPerSecond: Double(statistics.queries) / seconds,
      scoredPerQuery: Double(statistics.scored) / Double(statistics.queries),
      rescoredPerQuery: Double(statistics.rescored) / Double(statistics.queries))
  }

  private func show(_ report: Report) {
    print("efSearch\trecall@10\trecall@100\tqueries/s\tscored\trescored")
    for point in report.points {
      let deep = point.recall100.map { decimals($0, 4) } ?? "-"
      print(
        "\(point.efSearch)\t\(decimals(point.recall10, 4))\t\(deep)\t"
          + "\(Int(point.queriesPerSecond))\t\(Int(point.scoredPerQuery))\t"
          + "\(Int(point.rescoredPerQuery))")
    }
    print("exact\t1.0000\t1.0000\t\(Int(report.exactQueriesPerSecond))\t0\t\(report.passages)")
  }

  private func write(_ report: Report, to path: String) throws {
    let chart = SVGChart(
      title: [
        counted(report.passages, "passage"), counted(report.queries, "query"),
        counted(report.threads, "thread"),
      ].joined(separator: ", "),
      xLabel: "recall@10", yLabel: "queries/s", logX: false, logY: true,
      series: [
        (
          name: "HNSW",
          points: report.points.map { (x: $0.recall10, y: $0.queriesPerSecond) }
        ),
        (name: "exact", points: [(x: 1, y: report.exactQueriesPerSecond)]),
      ])
    try FileSystem.replace(path, with: Array(chart.render().utf8))
  }
}
