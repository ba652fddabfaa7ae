import Graph
import Platform

/// The searches of one measurement.
struct Search: Sendable {
  let graph: HNSWGraph
  let vectors: VectorSet
  let queries: BinaryVectors
  let truth: BinaryVectors

  /// The ten nearest of query `q`.
  func one(_ q: Int, efSearch: Int, _ scratch: SearchScratch) throws(RetortError) -> [Neighbor] {
    try graph.search(
      queries.floats(q), vectors: vectors, k: 10, efSearch: efSearch, scratch: scratch)
  }

  /// recall@10, speed on one thread and cost a query.
  func measure(efSearch: Int) throws(RetortError) -> AnnBench.Point {
    let scratch = SearchScratch()
    var hits = 0
    let start = monotonicSeconds()
    for q in 0..<queries.count {
      let exact = truth.numbers(q).prefix(10)
      hits += try one(q, efSearch: efSearch, scratch).count { exact.contains($0.id) }
    }
    let total = Double(queries.count)
    let firstPass = total / (monotonicSeconds() - start)
    let codes = Double(scratch.scored) / total
    let exact = Double(scratch.rescored) / total
    let stride = graph.codes?.book.stride ?? vectors.dimension * 4
    let row = 132.0  // M = 16: a length and at most 32 links
    return AnnBench.Point(
      efSearch: efSearch, recall: Double(hits) / (10 * total),
      queriesPerSecond: try throughput(efSearch: efSearch, threads: 1),
      firstPassPerSecond: firstPass, codes: codes, vectors: exact,
      bytes: codes * Double(stride) + exact * Double(vectors.dimension * 4)
        + Double(scratch.hops) / total * row)
  }

  /// Queries a second, the best of several rounds.
  func throughput(efSearch: Int, threads: Int) throws(RetortError) -> Double {
    let scratches = (0..<threads).map { _ in UncheckedScratch() }
    var best = 0.0
    var spent = 0.0
    while spent < 0.5 {
      let start = monotonicSeconds()
      try parallelForThrowing(queries.count, threads: threads) { q, worker throws(RetortError) in
        _ = try one(q, efSearch: efSearch, scratches[worker].scratch)
      }
      let seconds = monotonicSeconds() - start
      best = max(best, Double(queries.count) / seconds)
      spent += seconds
    }
    return best
  }
}

/// A scratch that one worker uses at a time.
private struct UncheckedScratch: @unchecked Sendable {
  let scratch = SearchScratch()
}
