import CBLAS
import CKernels
import Platform

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
  /// Adds the products of some rows.
  func add(_ level: retort_level, _ rows: Range<Int>) {
    let (x, dy) = (gradient.input, gradient.output)
    if let weight = gradient.weight {
      retort_sgemm(
        true, false, Int32(outputs.count), Int32(inputs.count), Int32(rows.count), 1,
        dy.row(rows.lowerBound) + outputs.lowerBound, Int32(dy.columns),
        x.row(rows.lowerBound) + inputs.lowerBound, Int32(x.columns), 1,
        weight.row(outputs.lowerBound) + inputs.lowerBound, Int32(weight.columns))
    }
    addBias(level, rows)
  }

  /// The same by panels of these rows' inputs and outputs.
  func add(
    _ level: retort_level, _ precision: Precision, _ rows: Range<Int>, input: TapePanels,
    output: TapePanels
  ) {
    if let weight = gradient.weight {
      retort_add_products(
        level, precision.format, weight.row(outputs.lowerBound) + inputs.lowerBound, weight.columns,
        output.start(outputs.lowerBound), outputs.count, input.start(inputs.lowerBound),
        inputs.count, rows.count)
    }
    addBias(level, rows)
  }

  private func addBias(_ level: retort_level, _ rows: Range<Int>) {
    guard let bias = gradient.bias, inputs.lowerBound == 0 else { return }
    for row in rows {
      retort_add(
        level, bias.pointer + outputs.lowerBound,
        gradient.output.row(row) + outputs.lowerBound, outputs.count)
    }
  }
}

extension Tape {
  /// Rows whose products are added together: their panels stay in the cache, and a sum is long enough
  /// for what it costs to add it.
  private static let rowsOfASum = 256

  /// Adds the gradients of several layers' weights, which have one number of rows, tile by tile on all
  /// threads.
  func addWeightGradients(_ gradients: [WeightGradient]) {
    let (level, precision, threads) = (level, precision, memory.threads)
    let tiles = gradients.enumerated().flatMap { number, gradient in
      gradient.tiles.map { (gradient: number, tile: $0) }
    }
    let count = gradients.first?.input.rows ?? 0
    guard packs else {
      guard count > 0 else { return }
      parallelFor(tiles.count, threads: threads) { item, _ in tiles[item].tile.add(level, 0..<count)
      }
      return
    }
    for first in stride(from: 0, to: count, by: Self.rowsOfASum) {
      let rows = first..<min(first + Self.rowsOfASum, count)
      // The inputs of layer g are at 2g, its outputs at 2g + 1.
      let matrices = gradients.flatMap { [$0.input, $0.output] }
      let panels = matrices.map { TapePanels(outputs: $0.columns, inputs: rows.count, self) }
      let parts = panels.enumerated().flatMap { number, panels in
        panels.parts.map { (number: number, outputs: $0) }
      }
      parallelFor(parts.count, threads: threads) { item, _ in
        let (number, outputs) = parts[item]
        panels[number].packColumns(outputs, of: matrices[number], rows: rows)
      }
      parallelFor(tiles.count, threads: threads) { item, _ in
        let (number, tile) = tiles[item]
        tile.add(level, precision, rows, input: panels[2 * number], output: panels[2 * number + 1])
      }
    }
  }
}
