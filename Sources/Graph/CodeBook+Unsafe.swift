import CKernels
import Platform

// Compact codes: what the walk sees of a vector
//
// A vector is turned onto the principal axes of the collection, and each axis gets as many bits as
// it deserves: 7 for the few along which vectors and queries vary most, then 4, then 2, none for
// the rest. Which mixture fits a fixed number of bytes best is tried out on the spectrum: where
// little of the space is used 96 axes of 7 bits win, on a flat spectrum all axes at 2 bits. Within
// a width the axes are turned at random, which makes their variances alike and their distribution
// bell-shaped, as the quantisers want them. (Random rotation before coarse quantisation and the
// factor that makes inner products unbiased are RaBitQ's, Gao and Long 2024; bits by variance is
// reverse water-filling.)
//
// The record of a vector is laid out in retort_codes.h. Its scale carries the vector's length, so
// lengths may vary at will; inner products need no bias, for Euclidean distance it is −‖x‖²/2, which
// turns the ranking by distance into one by inner product plus bias.

/// How vectors of one collection are coded.
package struct CodeBook: Sendable {
  /// Components of the vectors.
  package let dimension: Int
  /// What nearness means.
  package let metric: GraphMetric
  /// Blocks of 32 bytes of each width: 32 axes of 7 bits, 64 of 4, 128 of 2.
  package let blocks: (wide: Int, middle: Int, narrow: Int)
  /// What is subtracted from a vector first.
  package let mean: [Float]
  /// `axisCount` rows of `rowLength` numbers, in the order of the codes: directions as multiples of
  /// `unit`, padded with zeros. Whole numbers of 11 bits or less are accurate to a thousandth, which
  /// codes do not notice, and turn a query in a third of the time that floats take.
  package let axes: [Int16]
  /// The quantiser's step along each axis, for vectors of length 1.
  package let steps: [Float]
  /// The inner product of each axis with the mean.
  private let shifts: [Float]

  /// Numbers a row of `axes`.
  package var rowLength: Int { (dimension + 15) & ~15 }

  /// The largest whole number in axes and vectors whose products' sums fit into 32 bits.
  private static func largest(dimension: Int) -> Float {
    min((Float(1 << 30) / Float(max(dimension, 1)) * 1.9).squareRoot(), 2047).rounded(.down)
  }

  /// The size of 1 in `axes`.
  private var unit: Float { 1 / Self.largest(dimension: dimension) }

  /// Components of a code.
  package var axisCount: Int { blocks.wide * 32 + blocks.middle * 64 + blocks.narrow * 128 }

  /// Bytes a record.
  package var stride: Int {
    Self.stride(blocks: blocks.wide + blocks.middle + blocks.narrow, metric: metric)
  }

  /// Bytes a record of `blocks` blocks of 32 bytes.
  package static func stride(blocks: Int, metric: GraphMetric) -> Int {
    Int(RETORT_CODES_HEADER) + blocks * 32 + (metric == .innerProduct ? 0 : 4)
  }

  /// Where the bias lies in a record; nil where there is none.
  private var biasOffset: Int? { metric == .innerProduct ? nil : stride - 4 }

  /// A code book of known parts, or nil where they do not fit together.
  package init?(
    dimension: Int, metric: GraphMetric, blocks: (wide: Int, middle: Int, narrow: Int),
    mean: [Float], axes: [Int16], steps: [Float]
  ) {
    self.dimension = dimension
    self.metric = metric
    self.blocks = blocks
    self.mean = mean
    self.axes = axes
    self.steps = steps
    let count = blocks.wide * 32 + blocks.middle * 64 + blocks.narrow * 128
    let length = (dimension + 15) & ~15
    let largest = Self.largest(dimension: dimension)
    guard count > 0, mean.count == dimension, axes.count == count * length, steps.count == count,
      axes.allSatisfy({ Float(abs(Int32($0))) <= largest })
    else { return nil }
    shifts = (0..<count).map { (k: Int) -> Float in
      var sum = 0.0
      for j in 0..<dimension { sum += Double(axes[k * length + j]) * Double(mean[j]) }
      return Float(sum / Double(largest))
    }
  }

  /// Levels of a component's quantiser.
  @inline(__always)
  func levels(_ axis: Int) -> Int32 {
    if axis < blocks.wide * 32 { return 128 }
    return axis < blocks.wide * 32 + blocks.middle * 64 ? 16 : 4
  }

  /// Writes the components of `vector` along the axes, `axisCount` floats, mean not taken off.
  func project(_ vector: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>) {
    let length = rowLength
    var extreme: Float = 0
    for j in 0..<dimension { extreme = max(extreme, abs(vector[j])) }
    let largest = Self.largest(dimension: dimension)
    let inverse = extreme > 0 ? largest / extreme : 0
    withUnsafeTemporaryAllocation(of: Int16.self, capacity: length) { whole in
      withUnsafeTemporaryAllocation(of: Int32.self, capacity: axisCount) { sums in
        guard let whole = whole.baseAddress, let sums = sums.baseAddress else { return }
        // Rounding by the float format itself: far faster than a call, and the same everywhere.
        // (A vector of tiny numbers overflows `inverse` and comes out as zeros.)
        for j in 0..<dimension {
          let rounded = (vector[j] * inverse + 0x1.8p23) - 0x1.8p23
          whole[j] = abs(rounded) <= largest ? Int16(rounded) : 0
        }
        for j in dimension..<length { whole[j] = 0 }
        axes.withUnsafeBufferPointer { axes in
          retort_codes_project(axes.baseAddress, axisCount, whole, length, sums)
        }
        let scale = extreme / largest * unit
        for k in 0..<axisCount { target[k] = Float(sums[k]) * scale }
      }
    }
  }
}

// MARK: - Training

extension CodeBook {
  /// Mean squared error of the quantiser of each width on a normal distribution of variance 1, and
  /// its step.
  private static let quantizers: [(bits: Int, error: Float, step: Float)] = [
    (7, 0.0005, 0.0703), (4, 0.01154, 0.3352), (2, 0.1188, 0.9957),
  ]

  /// The book that codes `vectors`, whose axes are known, best in `blocks` blocks of 32 bytes.
  package static func train(
    _ vectors: VectorSet, _ axes: PrincipalAxes, metric: GraphMetric, blocks: Int, seed: UInt64
  ) throws(RetortError) -> CodeBook? {
    var best: (wide: Int, middle: Int, narrow: Int) = (0, 0, blocks)
    var bestError = Float.infinity
    for wide in 0...blocks {
      for middle in 0...(blocks - wide) {
        let narrow = blocks - wide - middle
        let error = Self.error(axes, wide: wide, middle: middle, narrow: narrow)
        if error < bestError {
          bestError = error
          best = (wide, middle, narrow)
        }
      }
    }
    return try book(axes, metric, blocks: best, vectors, seed: seed)
  }

  /// What inner products of codes miss, by the variance along the axes.
  ///
  /// Turning the axes of a width spreads their energies evenly, so sums over a width multiply.
  private static func error(
    _ axes: PrincipalAxes, wide: Int, middle: Int, narrow: Int
  ) -> Float {
    var total: Float = 0
    var start = 0
    for (size, quantizer) in zip([wide * 32, middle * 64, narrow * 128], quantizers) {
      let range = min(start, axes.variances.count)..<min(start + size, axes.variances.count)
      if !range.isEmpty {
        let variance = axes.variances[range].reduce(0, +)
        let energy = axes.energies[range].reduce(0, +)
        total += quantizer.error * variance * energy / Float(range.count)
      }
      start += size
    }
    for rest in min(start, axes.variances.count)..<axes.variances.count {
      total += axes.variances[rest] * axes.energies[rest]
    }
    return total
  }

  private static func book(
    _ axes: PrincipalAxes, _ metric: GraphMetric, blocks: (wide: Int, middle: Int, narrow: Int),
    _ vectors: VectorSet, seed: UInt64
  ) throws(RetortError) -> CodeBook? {
    let dimension = vectors.dimension
    let length = (dimension + 15) & ~15
    let largest = Self.largest(dimension: dimension)
    let sizes = [blocks.wide * 32, blocks.middle * 64, blocks.narrow * 128]
    var rows: [Int16] = []
    var start = 0
    for (number, size) in sizes.enumerated() where size > 0 {
      let used = max(0, min(size, axes.variances.count - start))
      let turn = OrthonormalRows.random(
        count: used, dimension: used, seed: seed &+ UInt64(number) &+ 1)
      for k in 0..<size {
        var row = [Float](repeating: 0, count: dimension)
        if k < used {
          for j in 0..<used {
            let weight = turn[k * used + j]
            for c in 0..<dimension { row[c] += weight * axes.rows[(start + j) * dimension + c] }
          }
        }
        rows += row.map { Int16(max(min(($0 * largest).rounded(), largest), -largest)) }
        rows += [Int16](repeating: 0, count: length - dimension)
      }
      start += used
    }
    let count = sizes.reduce(0, +)
    guard
      let draft = CodeBook(
        dimension: dimension, metric: metric, blocks: blocks, mean: axes.mean, axes: rows,
        steps: [Float](repeating: 1, count: count))
    else { return nil }
    return CodeBook(
      dimension: dimension, metric: metric, blocks: blocks, mean: axes.mean, axes: rows,
      steps: try draft.measuredSteps(vectors))
  }

  /// The step of each axis from the spread of a sample of vectors scaled to length 1.
  private func measuredSteps(_ vectors: VectorSet) throws(RetortError) -> [Float] {
    let sample = min(vectors.count, 2048)
    var squares = [Double](repeating: 0, count: axisCount)
    var values = [Float](repeating: 0, count: axisCount)
    for i in 0..<sample {
      let id = i * vectors.count / sample
      try vectors.ensure(range: id..<(id + 1))
      values.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return }
        project(vectors.pointer(UInt32(id)), into: base)
      }
      for k in 0..<axisCount { values[k] -= shifts[k] }
      let norm = values.reduce(0.0) { $0 + Double($1 * $1) }
      guard norm > 0 else { continue }
      for k in 0..<axisCount { squares[k] += Double(values[k] * values[k]) / norm }
    }
    return (0..<axisCount).map { k in
      let deviation = (squares[k] / Double(max(sample, 1))).squareRoot()
      let quantizer = Self.quantizers[levels(k) == 128 ? 0 : levels(k) == 16 ? 1 : 2]
      return Float(deviation) * quantizer.step
    }
  }
}

// MARK: - Coding

extension CodeBook {
  /// Writes the record of `vector`; `values` has room for `axisCount` floats.
  func encode(
    _ vector: UnsafePointer<Float>, into record: UnsafeMutablePointer<UInt8>,
    values: UnsafeMutablePointer<Float>
  ) {
    project(vector, into: values)
    var square: Float = 0
    for k in 0..<axisCount {
      values[k] -= shifts[k]
      square += values[k] * values[k]
    }
    let norm = square.squareRoot()
    let code = record + Int(RETORT_CODES_HEADER)
    code.update(repeating: 0, count: stride - Int(RETORT_CODES_HEADER))
    var overlap: Float = 0
    if norm > 0 {
      for k in 0..<axisCount where steps[k] > 0 {
        let half = levels(k) / 2
        let place = (values[k] / (norm * steps[k])).rounded(.down)
        let level =
          place.isNaN ? half : Int32(max(min(place, Float(half - 1)), Float(-half))) + half
        overlap += values[k] * (Float(level - half) + 0.5) * steps[k]
        put(UInt8(level), axis: k, code)
      }
    }
    // Unbiased for queries along the vector: ⟨y, scale·code⟩ = ‖y‖².
    let scale = overlap > 0 ? square / overlap : 0
    let header = UnsafeMutableRawPointer(record)
    header.storeBytes(of: scale.bitPattern.littleEndian, as: UInt32.self)
    if let biasOffset {
      let bias = metric.bias(vector, dimension)
      header.storeBytes(
        of: bias.bitPattern.littleEndian, toByteOffset: biasOffset, as: UInt32.self)
    }
  }

  @inline(__always)
  private func put(_ level: UInt8, axis: Int, _ code: UnsafeMutablePointer<UInt8>) {
    let wide = blocks.wide * 32
    let middle = blocks.middle * 64
    if axis < wide {
      code[axis] = level
    } else if axis < wide + middle {
      let place = axis - wide
      code[wide + place / 64 * 32 + place % 32] |= level << UInt8(place % 64 / 32 * 4)
    } else {
      let place = axis - wide - middle
      code[wide + middle / 2 + place / 128 * 32 + place % 32] |=
        level << UInt8(place % 128 / 32 * 2)
    }
  }

  /// Turns a query (or a vector that looks for its neighbours) into weights.
  ///
  /// `values` and `weights` have room for `axisCount`; the result points to `weights`.
  func prepare(
    _ query: UnsafePointer<Float>, values: UnsafeMutablePointer<Float>,
    weights: UnsafeMutablePointer<Int8>
  ) -> retort_codes_query {
    project(query, into: values)
    var prepared = retort_codes_query()
    prepared.weights = UnsafePointer(weights)
    prepared.blocks7 = UInt32(blocks.wide)
    prepared.blocks4 = UInt32(blocks.middle)
    prepared.blocks2 = UInt32(blocks.narrow)
    prepared.stride = UInt32(stride)
    prepared.bias_at = UInt32(biasOffset ?? 0)
    var start = 0
    var offset: Float = 0
    var factors: (Float, Float, Float) = (0, 0, 0)
    for width in 0..<3 {
      let size = [blocks.wide * 32, blocks.middle * 64, blocks.narrow * 128][width]
      var largest: Float = 0
      for k in start..<(start + size) {
        values[k] *= steps[k]
        largest = max(largest, abs(values[k]))
      }
      let factor = largest / 127
      let inverse = largest > 0 ? 127 / largest : 0
      var sum: Int32 = 0
      for k in start..<(start + size) {
        let rounded = (values[k] * inverse + 0x1.8p23) - 0x1.8p23
        // A forged book can make anything of a query; the search must only survive it.
        weights[k] = rounded.isNaN ? 0 : Int8(max(min(rounded, 127), -127))
        sum += Int32(weights[k])
      }
      let middle = size > 0 ? 0.5 - Float(levels(start) / 2) : 0
      offset += factor * Float(sum) * middle
      switch width {
      case 0: factors.0 = factor
      case 1: factors.1 = factor
      default: factors.2 = factor
      }
      start += size
    }
    prepared.factor7 = factors.0
    prepared.factor4 = factors.1
    prepared.factor2 = factors.2
    prepared.offset = offset
    return prepared
  }
}
