import CKernels

/// A query's token vectors in int8, packed for MaxSim with rows of bytes.
///
/// Query and rows have 8 bits a component each, with a scale a row: for vectors of length 1 a product
/// of 128 components is off by about 0.001, far less than what compressing to 2 bits costs.
package struct CodedMaxSim: Sendable {
  /// Components of a vector.
  package var width: Int { query.inputs }

  private let query: PackedWeights
  private let level: retort_level

  /// Packs a query, [tokens × width].
  package init(_ query: Matrix, level: retort_level = retort_level_in_use()) {
    self.query = PackedWeights(
      weight: query, bias: Matrix(rows: 1, columns: query.rows), precision: .int8,
      // The limits of one level at all of them: scores are the same on every CPU.
      level: RETORT_LEVEL_AVX2)
    self.level = level
  }

  /// Bytes of a row of codes.
  package static func stride(width: Int) -> Int { (width + 3) / 4 * 4 }

  /// Memory for the codes of one passage, owned by one worker.
  package final class Scratch {
    fileprivate var codes = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
    fileprivate var scales = UnsafeMutablePointer<Float>.allocate(capacity: 1)
    fileprivate var zeros = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
    fileprivate var best = UnsafeMutablePointer<Float>.allocate(capacity: 1)
    fileprivate var room = (bytes: 1, rows: 1, outputs: 1)

    /// No room yet.
    package init() {}

    deinit {
      codes.deallocate()
      scales.deallocate()
      zeros.deallocate()
      best.deallocate()
    }

    fileprivate func reserve(rows: Int, stride: Int, outputs: Int) {
      if room.bytes < rows * stride {
        room.bytes = rows * stride
        codes.deallocate()
        codes = .allocate(capacity: room.bytes)
      }
      if room.rows < rows {
        room.rows = rows
        scales.deallocate()
        zeros.deallocate()
        scales = .allocate(capacity: rows)
        zeros = .allocate(capacity: rows)
      }
      if room.outputs < outputs {
        room.outputs = outputs
        best.deallocate()
        best = .allocate(capacity: outputs)
      }
    }
  }

  /// The score of one passage of `rows` vectors at `x`; -inf where there are none.
  package func score(_ x: UnsafePointer<Float>, rows: Int, scratch: Scratch) -> Float {
    let stride = Self.stride(width: width)
    scratch.reserve(rows: rows, stride: stride, outputs: PackedWeights.filled(query.outputs))
    retort_quantize_rows(
      level, scratch.codes, stride, scratch.scales, scratch.zeros, x, rows, width, width)
    return score(scratch.codes, scratch.scales, rows: rows, scratch)
  }

  /// The score of one passage whose rows are codes, each value scale · (code − 128).
  package func score(
    codes: UnsafePointer<UInt8>, scales: UnsafePointer<Float>, rows: Int, scratch: Scratch
  ) -> Float {
    scratch.reserve(rows: rows, stride: 0, outputs: PackedWeights.filled(query.outputs))
    scratch.zeros.update(repeating: 128, count: rows)
    return score(codes, scales, rows: rows, scratch)
  }

  /// The score of one passage whose codes and scales `fill` writes; nil where it returns false. The
  /// codes are of 7 bits, each value scale · (code − 64), which are multiplied faster.
  package func score(
    rows: Int, scratch: Scratch,
    fill: (UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<Float>) -> Bool
  ) -> Float? {
    scratch.reserve(
      rows: rows, stride: Self.stride(width: width), outputs: PackedWeights.filled(query.outputs))
    scratch.zeros.update(repeating: 64, count: rows)
    guard fill(scratch.codes, scratch.scales) else { return nil }
    return score(scratch.codes, scratch.scales, rows: rows, areSmall: true, scratch)
  }

  /// By token of the query the largest product with the passage that was scored last.
  package func largest(_ scratch: Scratch) -> [Float] {
    precondition(scratch.room.outputs >= query.outputs, "nothing was scored")
    return (0..<query.outputs).map { scratch.best[$0] * query.scales[$0] }
  }

  private func score(
    _ codes: UnsafePointer<UInt8>, _ scales: UnsafePointer<Float>, rows: Int,
    areSmall: Bool = false, _ scratch: Scratch
  ) -> Float {
    var score: Float = 0
    var kernel = query.kernel
    let offsets = [0, rows]
    retort_max_sim_int8(
      level, &score, &kernel, codes, Self.stride(width: width), scales, scratch.zeros, offsets, 1,
      areSmall, scratch.best)
    return score
  }
}
