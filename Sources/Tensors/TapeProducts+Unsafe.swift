import CBLAS
import CKernels
import Platform

/// A linear layer as training holds it.
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

  /// y = x Wᵀ + b.
  func forwards(_ tape: Tape) -> TapeProduct {
    TapeProduct(weight, bias: bias, isTransposed: false, tape)
  }

  /// dx = dy W.
  func backwards(_ tape: Tape) -> TapeProduct {
    TapeProduct(weight, bias: nil, isTransposed: true, tape)
  }
}

/// Products of rows with weights that change at the next step: packed for one direction of one pass.
///
/// Packing is a pass over the weights, for which some thousand rows are multiplied. The reference, kernels
/// `scalar`, goes through the system's matrix product instead.
///
/// Immutable after `init`, which makes it `Sendable`.
struct TapeProduct: @unchecked Sendable {
  private enum Form {
    case plain(weight: Matrix, bias: Matrix?, isTransposed: Bool)
    /// The matrices own what the kernel's description points to.
    case packed(retort_weights, panels: Matrix, bias: Matrix)
  }

  private let form: Form
  private let level: retort_level
  private let inputs: Int
  private let outputs: Int

  init(_ weight: Matrix, bias: Matrix?, isTransposed: Bool, _ tape: Tape) {
    level = tape.level
    (inputs, outputs) =
      isTransposed ? (weight.rows, weight.columns) : (weight.columns, weight.rows)
    guard tape.packs else {
      form = .plain(weight: weight, bias: bias, isTransposed: isTransposed)
      return
    }
    let filled = PackedWeights.filled(outputs)
    let addends = tape.memory.panels.matrix(rows: 1, columns: filled)
    addends.pointer.update(repeating: 0, count: filled)
    if let bias { addends.pointer.update(from: bias.pointer, count: outputs) }
    let panels = TapePanels(outputs: outputs, inputs: inputs, tape)
    parallelFor(panels.parts.count, threads: tape.memory.threads) { item, _ in
      if isTransposed {
        panels.packColumns(panels.parts[item], of: weight, rows: 0..<weight.rows)
      } else {
        panels.packRows(panels.parts[item], of: weight)
      }
    }
    var kernel = retort_weights()
    kernel.format = tape.precision.format
    kernel.inputs = inputs
    kernel.outputs = outputs
    kernel.panels = UnsafeRawPointer(panels.memory.pointer)
    kernel.bias = UnsafePointer(addends.pointer)
    form = .packed(kernel, panels: panels.memory, bias: addends)
  }

  /// The products of `count` adjacent rows.
  func apply(
    _ x: UnsafePointer<Float>, _ count: Int, _ y: UnsafeMutablePointer<Float>, _ scratch: Workspace
  ) {
    guard count > 0 else { return }
    switch form {
    case .plain(let weight, let bias, let isTransposed):
      if let bias {
        for row in 0..<count { (y + row * outputs).update(from: bias.pointer, count: outputs) }
      }
      retort_sgemm(
        false, !isTransposed, Int32(count), Int32(outputs), Int32(inputs), 1, x, Int32(inputs),
        weight.pointer, Int32(weight.columns), bias == nil ? 0 : 1, y, Int32(outputs))
    case .packed(var kernel, let panels, let bias):
      defer { withExtendedLifetime((panels, bias)) {} }
      guard kernel.format == RETORT_FORMAT_BF16 else {
        retort_product_f32(level, y, outputs, x, inputs, count, &kernel, RETORT_IDENTITY)
        return
      }
      let stride = (inputs + 1) / 2 * 2
      let rounded = scratch.matrix(rows: count, columns: stride / 2)
      rounded.pointer.withMemoryRebound(to: UInt16.self, capacity: count * stride) { rounded in
        retort_round_rows(level, rounded, stride, x, count, inputs, inputs)
        retort_product_bf16(level, y, outputs, rounded, stride, count, &kernel, RETORT_IDENTITY)
      }
    }
  }
}

/// Memory for a packed matrix, outputs × inputs, in the precision of a tape.
struct TapePanels: @unchecked Sendable {
  let memory: Matrix
  /// Outputs that one thread packs at a time: whole panels.
  let parts: [Range<Int>]
  private let precision: Precision
  private let level: retort_level
  /// Numbers of 32 bits that an output takes.
  private let words: Int
  private let inputs: Int

  init(outputs: Int, inputs: Int, _ tape: Tape) {
    (precision, level) = (tape.precision, tape.level)
    let step = retort_step_inputs(precision.format)
    words = (inputs + step - 1) / step
    self.inputs = inputs
    memory = tape.memory.panels.matrix(rows: PackedWeights.filled(outputs), columns: words)
    parts = stride(from: 0, to: outputs, by: 128).map { $0..<min($0 + 128, outputs) }
  }

  /// Where the panels of an output begin, which must be the first of its panel.
  func start(_ output: Int) -> UnsafeMutablePointer<Float> {
    precondition(output % Int(RETORT_PANEL) == 0)
    return memory.pointer + output * words
  }

  /// Packs rows of `matrix` as these outputs.
  func packRows(_ outputs: Range<Int>, of matrix: Matrix) {
    let (to, from) = (start(outputs.lowerBound), matrix.row(outputs.lowerBound))
    if precision == .float32 {
      retort_pack_f32(to, from, outputs.count, inputs)
    } else {
      to.withMemoryRebound(
        to: UInt16.self, capacity: 2 * PackedWeights.filled(outputs.count) * words
      ) { to in
        retort_pack_bf16(to, from, outputs.count, inputs)
      }
    }
  }

  /// Packs columns of some rows of `matrix` as these outputs.
  func packColumns(_ outputs: Range<Int>, of matrix: Matrix, rows: Range<Int>) {
    precondition(rows.count == inputs)
    let to = start(outputs.lowerBound)
    let from = matrix.row(rows.lowerBound) + outputs.lowerBound
    if precision == .float32 {
      retort_pack_columns_f32(to, from, matrix.columns, outputs.count, inputs)
    } else {
      to.withMemoryRebound(
        to: UInt16.self, capacity: 2 * PackedWeights.filled(outputs.count) * words
      ) { to in
        retort_pack_columns_bf16(level, to, from, matrix.columns, outputs.count, inputs)
      }
    }
  }
}
