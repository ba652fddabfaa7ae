import CKernels
import Platform

/// The directions in which vectors vary most, by simultaneous iteration on their covariance.
///
/// Exact eigenvectors are not needed: codes only ask for subspaces that hold most of the variance,
/// best first, and a few iterations give these to a per mille whatever the spectrum.
package struct PrincipalAxes: Sendable {
  /// Components of the vectors.
  package let dimension: Int
  /// The mean of the sample.
  package let mean: [Float]
  /// `count` orthonormal rows of `dimension` floats, by falling variance.
  package let rows: [Float]
  /// The variance along each row.
  package let variances: [Float]
  /// The mean square along each row before the mean was taken off: what queries bring.
  package let energies: [Float]

  private static let sampleSize = 8192
  private static let iterations = 8

  /// The first `count` axes of a sample of `vectors` spread evenly over them.
  package init(
    _ vectors: VectorSet, count: Int, seed: UInt64, threads: Int
  ) throws(RetortError) {
    let dimension = vectors.dimension
    let sample = min(vectors.count, Self.sampleSize)
    // One row a component, so that covariances are inner products of rows.
    var columns = [Float](repeating: 0, count: dimension * sample)
    for i in 0..<sample {
      let id = i * vectors.count / sample
      try vectors.ensure(range: id..<(id + 1))
      let vector = vectors.pointer(UInt32(id))
      for j in 0..<dimension { columns[j * sample + i] = vector[j] }
    }
    var mean = [Float](repeating: 0, count: dimension)
    for j in 0..<dimension {
      let row = (j * sample)..<((j + 1) * sample)
      mean[j] = Float(columns[row].reduce(0.0) { $0 + Double($1) } / Double(max(sample, 1)))
      for i in row { columns[i] -= mean[j] }
    }
    let covariance = try Self.products(
      columns, columns, rows: dimension, by: dimension, length: sample, threads: threads
    ).map { $0 / Float(max(sample, 1)) }
    // By a power of two, so that squares of squares neither vanish nor overflow whatever the vectors'
    // length, and no bit of usual ones changes.
    let trace = (0..<dimension).reduce(0.0) { $0 + Double(covariance[$1 * dimension + $1]) }
    let scale = trace > 0 && trace.isFinite ? exp2(-(log2(trace / Double(dimension))).rounded()) : 1
    let scaled = covariance.map { Float(Double($0) * scale) }
    var axes = OrthonormalRows.random(count: count, dimension: dimension, seed: seed)
    for _ in 0..<Self.iterations {
      // The covariance is symmetric: its rows are its columns. Twice, for twice the convergence.
      for _ in 0..<2 {
        axes = try Self.products(
          axes, scaled, rows: count, by: dimension, length: dimension, threads: threads)
      }
      OrthonormalRows.orthonormalize(&axes, count: count, dimension: dimension, seed: seed)
    }
    let images = try Self.products(
      axes, covariance, rows: count, by: dimension, length: dimension, threads: threads)
    var variances: [Float] = []
    var energies: [Float] = []
    for k in 0..<count {
      let row = (k * dimension)..<((k + 1) * dimension)
      var variance = 0.0
      for (axis, image) in zip(axes[row], images[row]) { variance += Double(axis * image) }
      var shift = 0.0
      for (axis, centre) in zip(axes[row], mean) { shift += Double(axis * centre) }
      variances.append(Float(max(variance, 0)))
      energies.append(Float(max(variance, 0) + shift * shift))
    }
    let order = (0..<count).ordered {
      variances[$0] > variances[$1] || (variances[$0] == variances[$1] && $0 < $1)
    }
    self.dimension = dimension
    self.mean = mean
    self.variances = order.map { variances[$0] }
    self.energies = order.map { energies[$0] }
    rows = order.flatMap { axes[($0 * dimension)..<(($0 + 1) * dimension)] }
  }

  /// The inner products of `rows` rows of `a` with `by` rows of `b`, all of `length` floats.
  private static func products(
    _ a: [Float], _ b: [Float], rows: Int, by: Int, length: Int, threads: Int
  ) throws(RetortError) -> [Float] {
    let lines = OrderedResults<[Float]>(count: rows)
    try a.withUnsafeBufferPointer { a throws(RetortError) in
      try b.withUnsafeBufferPointer { b throws(RetortError) in
        guard let firstA = a.baseAddress, let firstB = b.baseAddress else { return }
        let (left, right) = (UncheckedPointer(firstA), UncheckedPointer(firstB))
        try parallelForThrowing(rows, threads: threads) { i, _ throws(RetortError) in
          try Interruption.check()
          lines.set(
            i,
            (0..<by).map {
              retort_dot_f32(left.base + i * length, right.base + $0 * length, length)
            })
        }
      }
    }
    return lines.values.flatMap { $0 }
  }
}

/// A pointer that several threads read from.
private struct UncheckedPointer: @unchecked Sendable {
  let base: UnsafePointer<Float>

  init(_ base: UnsafePointer<Float>) { self.base = base }
}

/// Sets of orthonormal vectors, row-major.
enum OrthonormalRows {
  /// `count` ≤ `dimension` random orthonormal rows.
  static func random(count: Int, dimension: Int, seed: UInt64) -> [Float] {
    var rows = (0..<UInt64(count * dimension)).map { normal(seed, $0) }
    orthonormalize(&rows, count: count, dimension: dimension, seed: seed)
    return rows
  }

  /// A standard normal number from hash(seed, place), Box–Muller.
  private static func normal(_ seed: UInt64, _ place: UInt64) -> Float {
    let first = Hashing.mix(Hashing.mix(seed ^ 0x94D0_49BB_1331_11EB) ^ place)
    let second = Hashing.mix(first)
    let radius = (-2 * log((Double(first >> 11) + 0.5) * 0x1p-53)).squareRoot()
    return Float(radius * cos(2 * Double.pi * Double(second >> 11) * 0x1p-53))
  }

  /// Gram–Schmidt, twice a row for accuracy; a row that vanishes becomes a random one.
  static func orthonormalize(_ rows: inout [Float], count: Int, dimension: Int, seed: UInt64) {
    rows.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      for k in 0..<count {
        let row = base + k * dimension
        var attempt: UInt64 = 0
        while true {
          let before = retort_dot_f32(row, row, dimension).squareRoot()
          for _ in 0..<2 {
            for earlier in 0..<k {
              let other = base + earlier * dimension
              let overlap = retort_dot_f32(row, other, dimension)
              for j in 0..<dimension { row[j] -= overlap * other[j] }
            }
          }
          let norm = retort_dot_f32(row, row, dimension).squareRoot()
          if norm.isFinite, norm > 1e-4 * before, norm > 1e-30 {
            for j in 0..<dimension { row[j] /= norm }
            break
          }
          attempt += 1
          for j in 0..<dimension {
            row[j] = normal(seed &+ attempt, UInt64(k * dimension + j) | 1 << 63)
          }
        }
      }
    }
  }
}
