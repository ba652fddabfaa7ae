import ArgumentParser
import CKernels
import Graph
import Platform

/// Builds a graph over vectors from a file and measures recall and speed.
struct AnnBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ann", abstract: "Nearest-neighbour search over PREFIX.x.fbin and PREFIX.q.fbin.")

  @Argument(help: "The files' common prefix.") var prefix: String
  @Option var m = 16
  @Option var efConstruction = 200
  @Option var efSearch = "50,100,200,400"
  @Option var threads = 2

  func run() throws {
    let (values, dimension) = try VectorBinary.read(prefix + ".x.fbin")
    let (queries, _) = try VectorBinary.read(prefix + ".q.fbin")
    let vectors = VectorSet(values, dimension: dimension)
    let exact = exactTop(queries, vectors, k: 10)
    let start = monotonicSeconds()
    let output = try HNSWBuilder.build(
      vectors, parameters: HNSWParameters(m: m, efConstruction: efConstruction), threads: threads)
    let seconds = monotonicSeconds() - start
    let graph = output.graph()
    print(
      "build \(seconds) s, links/node \(Double(output.layers[0].targets.count) / Double(vectors.count)), \(output.reachability)"
    )
    for ef in efSearch.split(separator: ",").compactMap({ Int($0) }) {
      let scratch = SearchScratch()
      var hits = 0
      var scoreHits = 0
      let start = monotonicSeconds()
      let count = queries.count / dimension
      for q in 0..<count {
        let found = try graph.search(
          Array(queries[(q * dimension)..<((q + 1) * dimension)]), vectors: vectors, k: 10,
          efSearch: ef, scratch: scratch)
        hits += Set(found.map(\.id)).intersection(exact[q].map(\.id)).count
        scoreHits += found.count { $0.score >= exact[q][exact[q].count - 1].score }
      }
      let seconds = monotonicSeconds() - start
      print(
        "ef \(ef)\trecall \(Double(hits) / Double(count * 10))\tby score "
          + "\(Double(scoreHits) / Double(count * 10))\tq/s \(Int(Double(count) / seconds))\tdist "
          + "\(scratch.distanceEvaluations / count)")
    }
  }

  func exactTop(_ queries: [Float], _ vectors: VectorSet, k: Int) -> [[Neighbor]] {
    let count = queries.count / vectors.dimension
    let results = OrderedResults<[Neighbor]>(count: count)
    parallelFor(count, threads: 2) { q, _ in
      queries.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return }
        var best: [Neighbor] = []
        for id in 0..<UInt32(vectors.count) {
          let n = Neighbor(
            id: id,
            score: retort_dot_f32(
              base + q * vectors.dimension, vectors.pointer(id), vectors.dimension))
          if best.count < k || n.score > best[k - 1].score {
            let place = best.firstIndex { Neighbor.ranksBefore(n, $0) } ?? best.count
            best.insert(n, at: place)
            if best.count > k { best.removeLast() }
          }
        }
        results.set(q, best)
      }
    }
    return results.values
  }
}
