import CommandSupport
import Foundation
import Retort

extension RecallCommand {
  struct TermPoint: Encodable {
    /// Passages left after the first round over centroids; nil: derived from k.
    var candidates: Int?
    var recall10: Double
    var recall100: Double
    /// Of searches for the 100 best.
    var queriesPerSecond: Double
    var p50Milliseconds, p95Milliseconds: Double
  }

  private struct TermReport: Encodable {
    var passages, queries, threads: Int
    var exactQueriesPerSecond: Double
    var points: [TermPoint]
  }

  /// Passages that are compared.
  private static let termHits = 100

  /// Compares searches through centroids with scores of every passage.
  func measureTerms(_ texts: [String], model: String) throws {
    let counts = try candidateCounts()
    var options = RerankerOptions()
    options.precision = .auto
    options.follow(try IndexFolder(index).manifest())
    let colbert = try ColBERT(
      directory: try rerankerNamed(model).model, options: options.colbert)
    let exhaustive = try Searcher(
      path: index, colbert: colbert, memoryLimit: memory.memoryLimit?.bytes)
    let progress = ProgressReporter()
    progress.begin("exact", unit: "queries", total: texts.count)
    let start = monotonicSeconds()
    let exact = try exhaustive.search(
      texts, k: Self.termHits, mode: .exact, threads: threading.threads
    )
    let seconds = monotonicSeconds() - start - exact.timings.encode
    progress.update(texts.count)
    progress.finishPhase()
    if exact.truncated > 0 { progress.warn(SearchCommand.cutQueries(exact.truncated)) }
    var report = TermReport(
      passages: exhaustive.index.count, queries: texts.count, threads: threading.threads,
      exactQueriesPerSecond: Double(texts.count) / max(seconds, 1e-9), points: [])
    for count in counts {
      let searcher = try Searcher(
        path: index, colbert: colbert, candidates: count, memoryLimit: memory.memoryLimit?.bytes)
      var found: [[SearchHit]] = []
      var latencies: [Double] = []
      for text in texts {
        let answer = try searcher.search(
          [text], k: Self.termHits, mode: .graph(efSearch: 1), threads: threading.threads)
        found += answer.hits
        latencies.append(answer.timings.search)
      }
      report.points.append(point(count, exact.hits, found, latencies))
    }
    if json { try printJSON(report) } else { show(report) }
  }

  /// The values of --candidates; nil stands for auto.
  private func candidateCounts() throws(RetortError) -> [Int?] {
    var counts: [Int?] = []
    for part in candidates.split(separator: ",", omittingEmptySubsequences: false) {
      let text = part.filter { !$0.isWhitespace }
      let value = Int(decimal: text)
      guard text == "auto" || value ?? 0 > 0 else {
        throw RetortError(.usage, "--candidates takes positive numbers or auto, not \"\(part)\"")
      }
      if let value, value < Self.termHits {
        throw RetortError(
          .usage,
          "--candidates \(value) are fewer than the \(Self.termHits) passages that are compared; give at "
            + "least as many")
      }
      counts.append(value)
    }
    return counts
  }

  private func point(
    _ candidates: Int?, _ exact: [[SearchHit]], _ found: [[SearchHit]], _ latencies: [Double]
  ) -> TermPoint {
    func numbers(_ hits: [[SearchHit]]) -> [[UInt32]] { hits.map { $0.map { UInt32($0.number) } } }
    let sorted = latencies.ordered(by: <)
    func percentile(_ share: Int) -> Double {
      sorted.isEmpty ? 0 : 1000 * sorted[min(sorted.count - 1, sorted.count * share / 100)]
    }
    return TermPoint(
      candidates: candidates,
      recall10: recallAtK(exact: numbers(exact), approximate: numbers(found), k: 10),
      recall100: recallAtK(exact: numbers(exact), approximate: numbers(found), k: 100),
      queriesPerSecond: Double(latencies.count) / max(latencies.reduce(0, +), 1e-9),
      p50Milliseconds: percentile(50), p95Milliseconds: percentile(95))
  }

  private func show(_ report: TermReport) {
    print("candidates\trecall@10\trecall@100\tqueries/s\tp50 ms\tp95 ms")
    for point in report.points {
      print(
        "\(point.candidates.map(String.init) ?? "auto")\t\(decimals(point.recall10, 4))\t"
          + "\(decimals(point.recall100, 4))\t\(decimals(point.queriesPerSecond, 1))\t"
          + "\(decimals(point.p50Milliseconds, 2))\t\(decimals(point.p95Milliseconds, 2))")
    }
    print("exact\t1.0000\t1.0000\t\(decimals(report.exactQueriesPerSecond, 1))")
  }
}
