import CBLAS
import CKernels
import Platform

/// The kernels of K-NRM and TK: bells around means of the cosine.
package struct KernelWeights: Sendable {
  /// The bells' centres μ.
  package let means: [Float]
  /// 1/(2σ²) of every bell.
  package let sharpness: [Float]
  /// What a bell's sum is multiplied with before its logarithm, [1 × kernels].
  ///
  /// Its magnitude counts: a negative one would fall under the logarithm's floor, where no gradient
  /// leads back.
  package let scales: Matrix

  /// Bells; `scales` must be as many as `means` and `deviations`.
  package init(means: [Float], deviations: [Float], scales: Matrix) {
    precondition(means.count == deviations.count && scales.count == means.count)
    self.means = means
    sharpness = deviations.map { 1 / (2 * $0 * $0) }
    self.scales = scales
  }

  /// The number of bells.
  package var count: Int { means.count }

  /// The least argument of the logarithm.
  static let floor = 1e-10

  /// counts[i × kernels + k] = Σⱼ exp(−(mᵢⱼ − μₖ)²/(2σₖ²)).
  func count(
    _ level: retort_level, _ cosines: Matrix, into counts: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<cosines.rows {
      retort_kernel_counts(
        level, counts + row * count, cosines.row(row), cosines.columns, means, sharpness, count)
    }
  }

  /// φₖ = Σᵢ ln max(|aₖ| countsᵢₖ, 1e-10).
  func features(
    _ counts: UnsafePointer<Float>, rows: Int, into features: UnsafeMutablePointer<Float>
  ) {
    for kernel in 0..<count {
      let scale = Double(abs(scales.pointer[kernel]))
      var sum = 0.0
      for row in 0..<rows {
        sum += log(max(scale * Double(counts[row * count + kernel]), Self.floor))
      }
      features[kernel] = Float(sum)
    }
  }
}

/// Kernel pooling of one query's rows with passages' (Hofstätter et al. 2020, arXiv:2002.01854).
///
/// Rows are unit vectors, so that inner products are cosines.
package struct KernelPooling {
  private let query: Matrix
  private let rows: Range<Int>
  private let kernels: KernelWeights
  private let level: retort_level
  private let workspace: Workspace
  /// The query's rows for our matrix kernels; nil where the reference computes.
  private let packed: PackedWeights?

  /// Pools with some rows of a matrix.
  init(
    _ query: Matrix, rows: Range<Int>, _ kernels: KernelWeights, level: retort_level,
    workspace: Workspace
  ) {
    self.query = query
    self.rows = rows
    self.kernels = kernels
    self.level = level
    self.workspace = workspace
    guard level != RETORT_LEVEL_SCALAR, !rows.isEmpty else {
      packed = nil
      return
    }
    let own = workspace.matrix(rows: rows.count, columns: query.columns)
    own.pointer.update(from: query.row(rows.lowerBound), count: own.count)
    packed = PackedWeights(
      weight: own, bias: Matrix(rows: 1, columns: rows.count), precision: .float32, level: level)
  }

  /// The features of passages → [passages × kernels]; passage p is rows `offsets[p]..<offsets[p + 1]`
  /// of `values`, for p in `passages`.
  package func features(
    _ values: [Float], offsets: [Int], passages: [Int]
  ) -> Matrix {
    let out = workspace.matrix(rows: passages.count, columns: kernels.count)
    values.withUnsafeBufferPointer { values in
      for (place, passage) in passages.enumerated() {
        let rows = offsets[passage]..<offsets[passage + 1]
        precondition(rows.upperBound * query.columns <= values.count)
        let start = values.baseAddress.map { $0 + rows.lowerBound * query.columns }
        pool(start, rows.count, into: out.row(place))
      }
    }
    return out
  }

  /// Σⱼ exp(…) of every row of the query and every kernel, [tokens × kernels]: what was found where.
  package func counts(_ passage: Matrix) -> Matrix {
    let counts = workspace.matrix(rows: rows.count, columns: kernels.count)
    guard let cosines = cosines(passage.pointer, passage.rows) else {
      counts.pointer.update(repeating: 0, count: counts.count)
      return counts
    }
    kernels.count(level, cosines, into: counts.pointer)
    return counts
  }

  /// The kernels' features of one passage.
  func pool(
    _ passage: UnsafePointer<Float>?, _ length: Int, into features: UnsafeMutablePointer<Float>
  ) {
    let counts = workspace.matrix(rows: rows.count, columns: kernels.count)
    if let cosines = cosines(passage, length) {
      kernels.count(level, cosines, into: counts.pointer)
    } else {
      counts.pointer.update(repeating: 0, count: counts.count)
    }
    kernels.features(counts.pointer, rows: rows.count, into: features)
  }

  private func cosines(_ passage: UnsafePointer<Float>?, _ length: Int) -> Matrix? {
    guard let passage, length > 0, !rows.isEmpty else { return nil }
    let cosines = workspace.matrix(rows: rows.count, columns: length)
    if let packed {
      // The other way round, because a query is packed once for all passages.
      let products = workspace.matrix(rows: length, columns: rows.count)
      withUnsafePointer(to: packed.kernel) { kernel in
        retort_product_f32(
          level, products.pointer, rows.count, passage, query.columns, length, kernel,
          RETORT_IDENTITY)
      }
      retort_transpose(cosines.pointer, products.pointer, length, rows.count)
      return cosines
    }
    rowProducts(
      query.row(rows.lowerBound), rows.count, passage, length, query.columns, cosines.pointer)
    return cosines
  }
}

/// out[i × n + j] = aᵢ · bⱼ for m rows of `a` and n of `b`, on the calling thread.
func rowProducts(
  _ a: UnsafePointer<Float>, _ m: Int, _ b: UnsafePointer<Float>, _ n: Int, _ width: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  retort_sgemm(
    false, true, Int32(m), Int32(n), Int32(width), 1, a, Int32(width),
    b, Int32(width), 0, out, Int32(n))
}

extension InferenceOperators {
  /// Pooling with a query, [tokens × width], whose memory must stay as it is.
  package func kernelPooling(_ query: Matrix, _ kernels: KernelWeights) -> KernelPooling {
    KernelPooling(query, rows: 0..<query.rows, kernels, level: level, workspace: workspace)
  }

  package func kernelFeatures(
    _ queries: Matrix, _ queryOffsets: [Int], _ passages: Matrix, _ passageOffsets: [Int],
    pairs: [(Int32, Int32)], _ kernels: KernelWeights
  ) -> Matrix {
    let out = workspace.matrix(rows: pairs.count, columns: kernels.count)
    // Pairs of one query follow each other.
    var last: (query: Int32, pooling: KernelPooling)?
    for (number, pair) in pairs.enumerated() {
      let rows = queryOffsets[Int(pair.0)]..<queryOffsets[Int(pair.0) + 1]
      let other = passageOffsets[Int(pair.1)]..<passageOffsets[Int(pair.1) + 1]
      let pooling: KernelPooling
      if let last, last.query == pair.0 {
        pooling = last.pooling
      } else {
        pooling = KernelPooling(queries, rows: rows, kernels, level: level, workspace: workspace)
        last = (pair.0, pooling)
      }
      pooling.pool(passages.row(other.lowerBound), other.count, into: out.row(number))
    }
    return out
  }

  package func mix(_ a: Matrix, _ b: Matrix, share: Matrix) -> Matrix {
    precondition((a.rows, a.columns) == (b.rows, b.columns) && share.count == 1)
    let out = workspace.matrix(rows: a.rows, columns: a.columns)
    let (one, other) = (share.pointer[0], 1 - share.pointer[0])
    for index in 0..<a.count {
      out.pointer[index] = one * a.pointer[index] + other * b.pointer[index]
    }
    return out
  }
}
