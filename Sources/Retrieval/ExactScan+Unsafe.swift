import Graph
import Platform
import Store
import Tensors

// The exact top k by scanning all vectors: matrix products over tiles find candidates, the distance
// kernel of the graph walk then scores those again. The two round differently, by at most ε =
// 4·d·2⁻²⁴·‖q‖·‖x‖max (each by half of that; Euclidean distance adds half a square, with an error of
// its own), so every tile keeps whatever lies within ε of its k-th best; after the second
// scoring the order is exact in the arithmetic that all searches share, ties included.

/// Scans all vectors of a segment for the exact nearest ones.
struct ExactScan {
  let vectors: VectorSet
  let largestNorm: Float
  let metric: GraphMetric
  /// The vectors that may be found; nil: all.
  var allowed: NodeSet?

  private static let queryBatch = 64
  /// Bytes of a tile at most where memory is bounded: all of it is in memory at a time.
  private static let boundedTile = 1 << 17

  private var tileRows: Int {
    let usual = 1024
    guard vectors.isBounded else { return usual }
    let bounded = Self.boundedTile / (vectors.dimension * MemoryLayout<Float>.stride)
    return max(16, min(usual, bounded))
  }

  /// The `k` best of each query, ordered by `Neighbor.ranksBefore`.
  ///
  /// - Parameter queries: row-major, a multiple of `vectors.dimension` floats.
  func search(_ queries: [Float], k: Int, threads: Int) throws(RetortError) -> [[Neighbor]] {
    let dimension = vectors.dimension
    let count = queries.count / dimension
    var results: [[Neighbor]] = []
    results.reserveCapacity(count)
    for start in stride(from: 0, to: count, by: Self.queryBatch) {
      let end = min(count, start + Self.queryBatch)
      results += try searchBatch(
        Array(queries[(start * dimension)..<(end * dimension)]), k: k, threads: threads)
    }
    return results
  }

  private func searchBatch(
    _ queries: [Float], k: Int, threads: Int
  ) throws(RetortError) -> [[Neighbor]] {
    let dimension = vectors.dimension
    let count = queries.count / dimension
    guard k > 0, vectors.count > 0 else { return Array(repeating: [], count: count) }
    let slack = (0..<count).map { q in
      let query = queries[(q * dimension)..<((q + 1) * dimension)]
      let norm = query.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let products = 4 * Float(dimension) * 0x1p-24 * norm * largestNorm
      return metric == .innerProduct ? products : products + 0x1p-21 * largestNorm * largestNorm
    }
    let tileRows = tileRows
    let tiles = (vectors.count + tileRows - 1) / tileRows
    let workers = (0..<max(1, min(threads, tiles))).map { _ in
      ScanWorker(
        slack: slack, k: min(k, vectors.count), tileRows: tileRows, metric: metric,
        allowed: allowed)
    }
    try parallelForThrowing(tiles, threads: threads) { tile, worker throws(RetortError) in
      try Interruption.check()
      let rows = (tile * tileRows)..<min(vectors.count, (tile + 1) * tileRows)
      try vectors.ensure(range: rows)
      workers[worker].scan(queries, rows: rows, vectors)
    }
    let final = OrderedResults<[Neighbor]>(count: count)
    try parallelForThrowing(count, threads: threads) { q, _ throws(RetortError) in
      var candidates = workers.flatMap { $0.candidates(of: q) }
      candidates.trim(k, slack: slack[q])
      final.set(q, try rescore(queries, q, candidates, k: k))
    }
    return final.values
  }

  private func rescore(
    _ queries: [Float], _ q: Int, _ candidates: [Neighbor], k: Int
  ) throws(RetortError) -> [Neighbor] {
    let ids = candidates.map(\.id).ordered()
    let result: Result<[Float], RetortError> = queries.withUnsafeBufferPointer { buffer in
      Result { () throws(RetortError) in
        guard let base = buffer.baseAddress else { return [] }
        return try vectors.scores(of: ids, for: base + q * vectors.dimension, metric: metric)
      }
    }
    var scored = zip(ids, try result.get()).map { Neighbor(id: $0, score: $1) }
    scored.rank()
    return Array(scored.prefix(k))
  }
}

/// One thread's candidates and buffers; used by one tile at a time.
private final class ScanWorker: @unchecked Sendable {
  private let slack: [Float]
  private let k: Int
  private var kept: [[Neighbor]]
  /// How many candidates may gather before they are trimmed.
  private var limits: [Int]
  private var thresholds: [Float]
  private var scores: [Float]
  private let tileRows: Int
  private let metric: GraphMetric
  private let allowed: NodeSet?

  init(slack: [Float], k: Int, tileRows: Int, metric: GraphMetric, allowed: NodeSet?) {
    self.allowed = allowed
    self.metric = metric
    self.slack = slack
    self.k = k
    self.tileRows = tileRows
    kept = Array(repeating: [], count: slack.count)
    limits = Array(repeating: 4 * k + 1024, count: slack.count)
    thresholds = Array(repeating: -.infinity, count: slack.count)
    scores = Array(repeating: 0, count: slack.count * tileRows)
  }

  func candidates(of query: Int) -> [Neighbor] { kept[query] }

  func scan(_ queries: [Float], rows: Range<Int>, _ vectors: VectorSet) {
    queries.withUnsafeBufferPointer { queryBuffer in
      scores.withUnsafeMutableBufferPointer { scoreBuffer in
        guard let query = queryBuffer.baseAddress, let score = scoreBuffer.baseAddress else {
          return
        }
        ScoreProducts.compute(
          queries: query, count: slack.count, vectors: vectors.pointer(UInt32(rows.lowerBound)),
          rows: rows.count, dimension: vectors.dimension, into: score)
        if metric != .innerProduct { add(rows.map { bias(of: $0, vectors) }, to: score) }
        for q in 0..<slack.count {
          let line = score + q * rows.count
          for r in 0..<rows.count where line[r] >= thresholds[q] {
            if let allowed, !allowed.contains(rows.lowerBound + r) { continue }
            kept[q].append(Neighbor(id: UInt32(rows.lowerBound + r), score: line[r]))
          }
          if kept[q].count > limits[q] { trim(q) }
        }
      }
    }
  }

  private func bias(of row: Int, _ vectors: VectorSet) -> Float {
    metric.bias(vectors.pointer(UInt32(row)), vectors.dimension)
  }

  /// Adds a bias a row to every query's scores.
  private func add(_ biases: [Float], to scores: UnsafeMutablePointer<Float>) {
    for q in 0..<slack.count {
      let line = scores + q * biases.count
      for r in biases.indices { line[r] += biases[r] }
    }
  }

  /// Drops what can no longer be among the k best.
  private func trim(_ q: Int) {
    thresholds[q] = kept[q].trim(k, slack: slack[q])
    // Equal scores cannot be dropped. Where most are equal (copies of a passage), sorting them again
    // after every tile would take quadratic time.
    limits[q] = max(4 * k + 1024, 2 * kept[q].count)
  }
}

extension [Neighbor] {
  /// Sorts, best first, and drops what lies further than `slack` behind the k-th best.
  ///
  /// - Returns: the score below which they are dropped.
  @discardableResult
  fileprivate mutating func trim(_ k: Int, slack: Float) -> Float {
    sort(by: Neighbor.ranksBefore)
    guard count >= k else { return -.infinity }
    let threshold = self[k - 1].score - slack
    if let end = firstIndex(where: { $0.score < threshold }) { removeSubrange(end...) }
    return threshold
  }
}
