import Platform
import Tensors

/// Lloyd's algorithm, with the same result for every number of threads.
package enum KMeans {
  private static let rowsAtATime = 1024
  private static let centroidsAtATime = 64

  /// `count` centroids of `rows`, [n × dimension], after `iterations` rounds from every n/count-th row.
  ///
  /// A centroid that loses its last vector stays where it is.
  ///
  /// - Parameter progress: called with the number of rounds that are done.
  package static func centroids(
    of rows: Matrix, count: Int, iterations: Int = 4, threads: Int,
    progress: (Int) -> Void = { _ in }
  ) throws(RetortError) -> Matrix {
    let dimension = rows.columns
    let centroids = Matrix(rows: count, columns: dimension)
    for centroid in 0..<count {
      centroids.copyRow(centroid * rows.rows / count, of: rows, to: centroid)
    }
    for round in 0..<iterations {
      let nearest = try assign(rows, to: centroids, threads: threads)
      // Members in their order: sums do not depend on who found them.
      var starts = [Int](repeating: 0, count: count + 1)
      for number in nearest { starts[Int(number) + 1] += 1 }
      for centroid in 0..<count { starts[centroid + 1] += starts[centroid] }
      var members = [Int32](repeating: 0, count: nearest.count)
      var next = starts
      for (row, number) in nearest.enumerated() {
        members[next[Int(number)]] = Int32(row)
        next[Int(number)] += 1
      }
      let (ends, order) = (starts, members)
      let blocks = (count + centroidsAtATime - 1) / centroidsAtATime
      parallelFor(blocks, threads: threads) { block, _ in
        var sum = [Double](repeating: 0, count: dimension)
        for centroid in block * centroidsAtATime..<min(count, (block + 1) * centroidsAtATime) {
          let own = order[ends[centroid]..<ends[centroid + 1]]
          guard !own.isEmpty else { continue }
          for i in sum.indices { sum[i] = 0 }
          for member in own {
            let row = rows.row(Int(member))
            for i in sum.indices { sum[i] += Double(row[i]) }
          }
          let target = centroids.row(centroid)
          for i in sum.indices { target[i] = Float(sum[i] / Double(own.count)) }
        }
      }
      progress(round + 1)
    }
    return centroids
  }

  /// The nearest centroid of every row.
  package static func assign(
    _ rows: Matrix, to centroids: Matrix, threads: Int
  ) throws(RetortError) -> [UInt32] {
    let packed = NearestRows(centroids)
    let blocks = (rows.rows + rowsAtATime - 1) / rowsAtATime
    let results = OrderedResults<[UInt32]>(count: blocks)
    try parallelForThrowing(blocks, threads: threads) { block, _ throws(RetortError) in
      try Interruption.check()
      let first = block * rowsAtATime
      results.set(
        block, packed.nearest(rows.row(first), count: min(rowsAtATime, rows.rows - first)))
    }
    return results.values.flatMap { $0 }
  }
}
