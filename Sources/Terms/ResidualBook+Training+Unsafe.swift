import CKernels
import Platform
import Tensors

extension ResidualBook {
  /// Learns a book from a sample of term vectors.
  ///
  /// - Parameters:
  ///   - sample: [rows × dimension]; every twentieth row tells the residuals, the others the
  ///     centroids. Where all have length 1, centroids and decoded vectors are scaled to that.
  ///   - count: the number of centroids, at most that of the sample's rows.
  package static func train(
    _ sample: Matrix, count: Int, bits: Int, threads: Int, progress: (Int) -> Void = { _ in }
  ) throws(RetortError) -> ResidualBook {
    let dimension = sample.columns
    let normalizes = hasUnitLength(sample)
    let step = TermSampling.heldOut
    // A handful of rows learns and tells alike.
    let splits = sample.rows >= 2 * step
    let learning = (0..<sample.rows).filter { !splits || $0 % step != step - 1 }
    let telling = (0..<sample.rows).filter { !splits || $0 % step == step - 1 }
    let rows = Matrix(rows: learning.count, columns: dimension)
    for (place, row) in learning.enumerated() { rows.copyRow(row, of: sample, to: place) }
    let centroids = try KMeans.centroids(
      of: rows, count: min(count, max(learning.count, 1)), threads: threads, progress: progress)
    if normalizes { normalize(centroids) }
    retort_round_to_bf16(centroids.pointer, centroids.count)
    let most = max(1, TermSampling.mostResiduals / max(dimension, 1))
    let chosen = telling.prefix(most)
    let held = Matrix(rows: chosen.count, columns: dimension)
    for (place, row) in chosen.enumerated() { held.copyRow(row, of: sample, to: place) }
    let nearest = try KMeans.assign(held, to: centroids, threads: threads)
    var residuals = held.values
    for (row, number) in nearest.enumerated() {
      let centroid = centroids.row(Int(number))
      for i in 0..<dimension { residuals[row * dimension + i] -= centroid[i] }
    }
    return ResidualBook(
      centroids: centroids, buckets: ResidualBuckets(bits: bits, sample: residuals),
      normalizes: normalizes)
  }

  /// Whether all rows have length 1, as far as half precision tells.
  private static func hasUnitLength(_ rows: Matrix) -> Bool {
    guard rows.rows > 0 else { return false }
    return (0..<rows.rows).allSatisfy {
      let row = rows.row($0)
      return abs(retort_dot_f32(row, row, rows.columns) - 1) < 0.004
    }
  }

  private static func normalize(_ rows: Matrix) {
    for number in 0..<rows.rows {
      let row = rows.row(number)
      let square = retort_dot_f32(row, row, rows.columns)
      guard square > 0 else { continue }
      let scale = 1 / square.squareRoot()
      for i in 0..<rows.columns { row[i] *= scale }
    }
  }
}
