import CBLAS
import CKernels
import Platform

/// A linear layer as training holds it, for the system's matrix product.
struct PlainLinear: Sendable {
  private let weight: Matrix
  private let bias: Matrix

  init(_ weights: LinearWeights) {
    guard case .plain(let weight, let bias) = weights.form else {
      preconditionFailure("packed weights cannot be trained")
    }
    (self.weight, self.bias) = (weight, bias)
  }

  var inputs: Int { weight.columns }
  var outputs: Int { weight.rows }

  /// y = x Wᵀ + b for `count` adjacent rows.
  func apply(_ x: UnsafePointer<Float>, _ count: Int, _ y: UnsafeMutablePointer<Float>) {
    guard count > 0 else { return }
    for row in 0..<count { (y + row * outputs).update(from: bias.pointer, count: outputs) }
    retort_sgemm(
      false, true, Int32(count), Int32(outputs), Int32(inputs), 1, x,
      Int32(inputs), weight.pointer, Int32(inputs), 1, y, Int32(outputs))
  }

  /// dx = dy W for `count` adjacent rows.
  func applyBackwards(
    _ dy: UnsafePointer<Float>, _ count: Int, _ dx: UnsafeMutablePointer<Float>
  ) {
    guard count > 0 else { return }
    retort_sgemm(
      false, false, Int32(count), Int32(inputs), Int32(outputs), 1,
      dy, Int32(outputs), weight.pointer, Int32(inputs), 0, dx, Int32(inputs))
  }
}

extension LayerNormWeights {
  /// Normalises some rows of `sums` into `out`.
  func apply(_ level: retort_level, _ sums: Matrix, _ rows: Range<Int>, to out: Matrix) {
    for row in rows {
      retort_layer_norm(
        level, out.row(row), sums.row(row), nil, weight.pointer, bias.pointer, sums.columns,
        epsilon)
    }
  }
}

/// The way back over a layer normalisation: gradients of its input, and of its weights as one part
/// per row block.
struct NormGradient: Sendable {
  private let weights: LayerNormWeights
  /// Two rows per block: of the scales, of the shifts.
  private let parts: Matrix

  init(_ weights: LayerNormWeights, rows: Int, _ tape: Tape) {
    self.weights = weights
    parts = tape.zeros(rows: 2 * RowBlocks.count(rows), columns: weights.weight.count)
  }

  /// Writes the gradients of some rows into `dx`, which may be `dout`.
  func apply(
    _ level: retort_level, _ block: Int, _ rows: Range<Int>, dout: Matrix, sums: Matrix,
    to dx: Matrix
  ) {
    for row in rows {
      retort_layer_norm_backward(
        level, dx.row(row), parts.row(2 * block), parts.row(2 * block + 1), dout.row(row),
        sums.row(row), weights.weight.pointer, sums.columns, weights.epsilon)
    }
  }

  /// Adds the parts to the tape's gradients, in the order of blocks.
  func finish(_ tape: Tape) {
    for (offset, vector) in [weights.weight, weights.bias].enumerated() {
      guard let gradient = tape.gradient(of: vector) else { continue }
      for part in stride(from: offset, to: parts.rows, by: 2) {
        retort_add(tape.level, gradient.pointer, parts.row(part), parts.columns)
      }
    }
  }
}

/// dW += dyᵀ x and db += Σ dy of one linear layer.
struct WeightGradient: Sendable {
  let input: Matrix
  let output: Matrix
  /// [outputs × inputs] and [1 × outputs]; nil where they are not trained.
  let weight: Matrix?
  let bias: Matrix?

  init(_ weights: LinearWeights, input: Matrix, output: Matrix, _ tape: Tape) {
    self.input = input
    self.output = output
    switch weights.form {
    case .plain(let weight, let bias):
      self.weight = tape.gradient(of: weight)
      self.bias = tape.gradient(of: bias)
    case .packed: (weight, bias) = (nil, nil)
    }
  }

  /// A tile of the weights: work for one thread.
  struct Tile: Sendable {
    var gradient: WeightGradient
    var outputs: Range<Int>
    var inputs: Range<Int>
  }

  /// Tiles that are large enough for a fast product.
  var tiles: [Tile] {
    let (tall, wide) = (192, 384)
    return stride(from: 0, to: output.columns, by: tall).flatMap { top in
      stride(from: 0, to: input.columns, by: wide).map { left in
        Tile(
          gradient: self, outputs: top..<min(top + tall, output.columns),
          inputs: left..<min(left + wide, input.columns))
      }
    }
  }
}

extension WeightGradient.Tile {
  func add(_ level: retort_level) {
    let (x, dy) = (gradient.input, gradient.output)
    guard x.rows > 0 else { return }
    if let weight = gradient.weight {
      retort_sgemm(
        true, false, Int32(outputs.count), Int32(inputs.count),
        Int32(x.rows), 1, dy.pointer + outputs.lowerBound, Int32(dy.columns),
        x.pointer + inputs.lowerBound, Int32(x.columns), 1,
        weight.row(outputs.lowerBound) + inputs.lowerBound, Int32(weight.columns))
    }
    if let bias = gradient.bias, inputs.lowerBound == 0 {
      for row in 0..<dy.rows {
        retort_add(
          level, bias.pointer + outputs.lowerBound, dy.row(row) + outputs.lowerBound, outputs.count)
      }
    }
  }
}

extension Tape {
  /// Adds the gradients of several layers' weights, tile by tile on all threads.
  func addWeightGradients(_ gradients: [WeightGradient]) {
    let tiles = gradients.flatMap(\.tiles)
    let level = level
    parallelFor(tiles.count, threads: memory.threads) { item, _ in tiles[item].add(level) }
  }
}
