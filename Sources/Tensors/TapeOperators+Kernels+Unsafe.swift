import CBLAS
import CKernels
import Platform

extension TapeOperators {
  package func mix(_ a: Value, _ b: Value, share: Matrix) -> Value {
    let (rows, width) = (a.matrix.rows, a.matrix.columns)
    precondition((b.matrix.rows, b.matrix.columns) == (rows, width) && share.count == 1)
    let out = tape.matrix(rows: rows, columns: width)
    let (one, other) = (a.matrix, b.matrix)
    let alpha = share.pointer[0]
    tape.overRows(rows) { _, rows, _ in
      let (x, y, z) = (
        one.row(rows.lowerBound), other.row(rows.lowerBound), out.row(rows.lowerBound)
      )
      for index in 0..<rows.count * width { z[index] = alpha * x[index] + (1 - alpha) * y[index] }
    }
    let value = Value(out)
    tape.record { tape in
      guard let dout = value.takeGradient() else { return }
      let db = tape.matrix(rows: rows, columns: width)
      let parts = OrderedResults<Double>(count: RowBlocks.count(rows))
      tape.overRows(rows) { block, rows, _ in
        let (x, y) = (one.row(rows.lowerBound), other.row(rows.lowerBound))
        let (g, h) = (dout.row(rows.lowerBound), db.row(rows.lowerBound))
        var sum = 0.0
        for index in 0..<rows.count * width {
          sum += Double(g[index]) * Double(x[index] - y[index])
          h[index] = (1 - alpha) * g[index]
          g[index] *= alpha
        }
        parts.set(block, sum)
      }
      // In the order of blocks.
      tape.gradient(of: share)?.pointer[0] += Float(parts.values.reduce(0, +))
      a.add(dout, tape)
      b.add(db, tape)
    }
    return value
  }

  package func kernelFeatures(
    _ queries: Value, _ queryOffsets: [Int], _ passages: Value, _ passageOffsets: [Int],
    pairs: [(Int32, Int32)], _ kernels: KernelWeights
  ) -> Value {
    let pooling = PooledPairs(
      x: queries.matrix, y: passages.matrix, queryOffsets, passageOffsets, pairs, kernels, tape)
    let value = Value(pooling.features(tape))
    tape.record { tape in
      guard let dout = value.takeGradient() else { return }
      pooling.scaleGradients(dout, tape)
      pooling.turnIntoSlopes(dout, tape)
      queries.add(pooling.queryGradients(tape), tape)
      passages.add(pooling.passageGradients(tape), tape)
    }
    return value
  }
}

/// The pairs of a kernel pooling on a tape, with what the way back needs of each.
private struct PooledPairs: Sendable {
  let x: Matrix
  let y: Matrix
  let kernels: KernelWeights
  /// By pair its rows of x and of y.
  let spans: [(query: Range<Int>, passage: Range<Int>)]
  /// By query and by passage their rows and the pairs that they are in.
  let queries: [(rows: Range<Int>, pairs: [Int32])]
  let passages: [(rows: Range<Int>, pairs: [Int32])]
  /// The cosines of all pairs, and on the way back their gradients; pair p from `firstCosine[p]`.
  let cosines: Matrix
  let firstCosine: [Int]
  /// The kernels' sums of the pairs' query rows, from row `firstCount[p]`.
  let counts: Matrix
  let firstCount: [Int]

  init(
    x: Matrix, y: Matrix, _ queryOffsets: [Int], _ passageOffsets: [Int],
    _ pairs: [(Int32, Int32)], _ kernels: KernelWeights, _ tape: Tape
  ) {
    precondition(queryOffsets.last == x.rows && passageOffsets.last == y.rows)
    precondition(x.columns == y.columns, "rows of one width")
    self.x = x
    self.y = y
    self.kernels = kernels
    let queryRows = zip(queryOffsets, queryOffsets.dropFirst()).map { $0..<$1 }
    let passageRows = zip(passageOffsets, passageOffsets.dropFirst()).map { $0..<$1 }
    spans = pairs.map { (queryRows[Int($0.0)], passageRows[Int($0.1)]) }
    queries = Array(
      zip(queryRows, TapeOperators.uses(pairs.map(\.0), of: queryRows.count)).map { ($0, $1) })
    passages = Array(
      zip(passageRows, TapeOperators.uses(pairs.map(\.1), of: passageRows.count)).map { ($0, $1) })
    var (cosine, count) = (0, 0)
    var (firstCosine, firstCount): ([Int], [Int]) = ([], [])
    for span in spans {
      firstCosine.append(cosine)
      firstCount.append(count)
      cosine += span.query.count * span.passage.count
      count += span.query.count
    }
    (self.firstCosine, self.firstCount) = (firstCosine, firstCount)
    cosines = tape.matrix(rows: cosine, columns: 1)
    counts = tape.matrix(rows: count, columns: kernels.count)
  }

  /// The features of every pair, [pairs × kernels].
  func features(_ tape: Tape) -> Matrix {
    let out = tape.matrix(rows: spans.count, columns: kernels.count)
    let level = tape.level
    parallelFor(spans.count, threads: tape.memory.threads) { pair, _ in
      let (query, passage) = spans[pair]
      let start = cosines.pointer + firstCosine[pair]
      if !query.isEmpty, !passage.isEmpty {
        rowProducts(
          x.row(query.lowerBound), query.count, y.row(passage.lowerBound), passage.count, x.columns,
          start)
      }
      for row in 0..<query.count {
        retort_kernel_counts(
          level, counts.row(firstCount[pair] + row), start + row * passage.count, passage.count,
          kernels.means, kernels.sharpness, kernels.count)
      }
      kernels.features(
        counts.row(firstCount[pair]), rows: query.count, into: out.row(pair))
    }
    return out
  }

  /// Whether a sum is above the logarithm's floor: below there is no way back.
  private func isFelt(_ row: Int, _ kernel: Int) -> Bool {
    Double(abs(kernels.scales.pointer[kernel])) * Double(counts.row(row)[kernel])
      > KernelWeights.floor
  }

  /// Adds the gradient of aₖ: of ln |a| it is 1/a for every row that is felt.
  func scaleGradients(_ dout: Matrix, _ tape: Tape) {
    guard let gradient = tape.gradient(of: kernels.scales) else { return }
    for kernel in 0..<kernels.count {
      let scale = Double(kernels.scales.pointer[kernel])
      guard scale != 0 else { continue }
      var sum = 0.0
      for (pair, span) in spans.enumerated() {
        let felt = (0..<span.query.count).count { isFelt(firstCount[pair] + $0, kernel) }
        sum += Double(felt) * Double(dout.row(pair)[kernel])
      }
      gradient.pointer[kernel] += Float(sum / scale)
    }
  }

  /// Puts the gradients of the cosines in the cosines' place.
  func turnIntoSlopes(_ dout: Matrix, _ tape: Tape) {
    let level = tape.level
    parallelFor(spans.count, threads: tape.memory.threads) { pair, _ in
      let (query, passage) = spans[pair]
      var weights = [Float](repeating: 0, count: kernels.count)
      for row in 0..<query.count {
        let place = firstCount[pair] + row
        for kernel in 0..<kernels.count {
          weights[kernel] =
            isFelt(place, kernel) ? dout.row(pair)[kernel] / counts.row(place)[kernel] : 0
        }
        retort_kernel_slopes(
          level, cosines.pointer + firstCosine[pair] + row * passage.count, passage.count,
          kernels.means, kernels.sharpness, weights, kernels.count)
      }
    }
  }

  /// dxᵢ = Σⱼ gᵢⱼ yⱼ: a query's rows have one writer, which takes its pairs in order.
  func queryGradients(_ tape: Tape) -> Matrix {
    let dx = tape.zeros(rows: x.rows, columns: x.columns)
    parallelFor(queries.count, threads: tape.memory.threads) { number, _ in
      let (rows, pairs) = queries[number]
      for pair in pairs.map({ Int($0) }) {
        let passage = spans[pair].passage
        guard !rows.isEmpty, !passage.isEmpty else { continue }
        retort_sgemm(
          false, false, Int32(rows.count), Int32(x.columns),
          Int32(passage.count), 1, cosines.pointer + firstCosine[pair], Int32(passage.count),
          y.row(passage.lowerBound), Int32(x.columns), 1, dx.row(rows.lowerBound),
          Int32(x.columns))
      }
    }
    return dx
  }

  /// dyⱼ = Σᵢ gᵢⱼ xᵢ.
  func passageGradients(_ tape: Tape) -> Matrix {
    let dy = tape.zeros(rows: y.rows, columns: y.columns)
    parallelFor(passages.count, threads: tape.memory.threads) { number, _ in
      let (rows, pairs) = passages[number]
      for pair in pairs.map({ Int($0) }) {
        let query = spans[pair].query
        guard !rows.isEmpty, !query.isEmpty else { continue }
        retort_sgemm(
          true, false, Int32(rows.count), Int32(x.columns),
          Int32(query.count), 1, cosines.pointer + firstCosine[pair], Int32(rows.count),
          x.row(query.lowerBound), Int32(x.columns), 1, dy.row(rows.lowerBound),
          Int32(x.columns))
      }
    }
    return dy
  }
}
