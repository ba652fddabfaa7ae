import CKernels
import Platform

/// A weight matrix in panels for the matrix kernels, with its bias (see `retort_matrix.h`).
///
/// Immutable after `init`, which makes it `Sendable`; copies of the reference share the memory.
package final class PackedWeights: @unchecked Sendable {
  /// The format of the panels. bf16 weights may be held as f32 panels of rounded values.
  package let format: Precision
  /// Rows of the matrix.
  package let outputs: Int
  /// Columns of the matrix.
  package let inputs: Int

  let kernel: retort_weights
  private let owned: [UnsafeMutableRawPointer]
  private let borrowed: [AnyObject]

  /// Packs `weight` [outputs × inputs] and `bias` [1 × outputs]; `level` decides whether bf16 is
  /// multiplied as such and whether pairs of int8 codes are limited, as AVX2 must have them: what is
  /// packed for AVX2 suits every level.
  package init(weight: Matrix, bias: Matrix, precision: Precision, level: retort_level) {
    precondition(bias.count == weight.rows, "a linear layer needs one bias per output")
    let (outputs, inputs) = (weight.rows, weight.columns)
    let widened = precision == .bfloat16 && !retort_has_bf16(level)
    let format = widened ? Precision.float32 : precision
    let bytes = retort_panel_bytes(format.format, outputs, inputs)
    precondition(bytes > 0 || weight.count == 0, "a weight matrix of impossible size")
    let filled = Self.filled(outputs)
    func memory(_ bytes: Int) -> UnsafeMutableRawPointer {
      .allocate(byteCount: max(bytes, 1), alignment: 64)
    }
    let panels = memory(bytes)
    let biases = memory(filled * 4).bindMemory(to: Float.self, capacity: filled)
    biases.initialize(repeating: 0, count: filled)
    biases.update(from: bias.pointer, count: outputs)
    var owned = [panels, UnsafeMutableRawPointer(biases)]
    var kernel = retort_weights()
    kernel.format = format.format
    kernel.inputs = inputs
    kernel.outputs = outputs
    kernel.panels = UnsafeRawPointer(panels)
    kernel.bias = UnsafePointer(biases)
    switch format {
    case .float32:
      var source = weight
      if widened {
        source = Matrix(rows: outputs, columns: inputs, values: weight.values)
        retort_round_to_bf16(source.pointer, source.count)
      }
      retort_pack_f32(
        panels.bindMemory(to: Float.self, capacity: bytes / 4), source.pointer, outputs, inputs)
    case .bfloat16:
      retort_pack_bf16(
        panels.bindMemory(to: UInt16.self, capacity: bytes / 2), weight.pointer, outputs, inputs)
    case .int8:
      let scales = memory(filled * 4).bindMemory(to: Float.self, capacity: filled)
      let sums = memory(filled * 4).bindMemory(to: Int32.self, capacity: filled)
      retort_pack_int8(
        panels.bindMemory(to: Int8.self, capacity: bytes), scales, sums, weight.pointer, outputs,
        inputs, retort_limits_pairs(level))
      kernel.scales = UnsafePointer(scales)
      kernel.sums = UnsafePointer(sums)
      owned += [UnsafeMutableRawPointer(scales), UnsafeMutableRawPointer(sums)]
    }
    self.format = format
    self.outputs = outputs
    self.inputs = inputs
    self.kernel = kernel
    self.owned = owned
    borrowed = []
  }

  /// int8 panels that were packed before: those of a mapped checkpoint, used where they lie.
  ///
  /// `panels` holds `bytes(of: .int8, …)` bytes, the vectors `filled(outputs)` entries of 4 bytes.
  package init(
    outputs: Int, inputs: Int, panels: SharedBytes, scales: SharedBytes, sums: SharedBytes,
    bias: SharedBytes
  ) {
    let filled = Self.filled(outputs)
    precondition(panels.count == Self.bytes(of: .int8, outputs: outputs, inputs: inputs))
    precondition([scales, sums, bias].allSatisfy { $0.count == filled * 4 })
    var kernel = retort_weights()
    kernel.format = RETORT_FORMAT_INT8
    kernel.inputs = inputs
    kernel.outputs = outputs
    kernel.panels = panels.start
    kernel.scales = scales.start.bindMemory(to: Float.self, capacity: filled)
    kernel.sums = sums.start.bindMemory(to: Int32.self, capacity: filled)
    kernel.bias = bias.start.bindMemory(to: Float.self, capacity: filled)
    self.kernel = kernel
    self.outputs = outputs
    self.inputs = inputs
    format = .int8
    owned = []
    borrowed = [panels.owner, scales.owner, sums.owner, bias.owner]
  }

  deinit { for memory in owned { memory.deallocate() } }

  /// Bytes of the panels of an outputs × inputs matrix; 0 when that overflows.
  package static func bytes(of precision: Precision, outputs: Int, inputs: Int) -> Int {
    retort_panel_bytes(precision.format, outputs, inputs)
  }

  /// Outputs, filled up to whole panels: the length of bias, scales and sums.
  package static func filled(_ outputs: Int) -> Int {
    (outputs + Int(RETORT_PANEL) - 1) / Int(RETORT_PANEL) * Int(RETORT_PANEL)
  }

  /// The outputs of some panels, as a kernel sees them.
  func panels(_ range: Range<Int>) -> retort_weights {
    let first = range.lowerBound * Int(RETORT_PANEL)
    let end = min(outputs, range.upperBound * Int(RETORT_PANEL))
    precondition(first <= end)
    var result = kernel
    result.outputs = end - first
    result.panels = kernel.panels.map {
      $0 + retort_panel_bytes(kernel.format, first, inputs)
    }
    result.bias = kernel.bias.map { $0 + first }
    result.scales = kernel.scales.map { $0 + first }
    result.sums = kernel.sums.map { $0 + first }
    return result
  }

  /// The number of panels.
  var panelCount: Int { Self.filled(outputs) / Int(RETORT_PANEL) }

  /// The panels' bytes.
  package var panels: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      start: kernel.panels, count: Self.bytes(of: format, outputs: outputs, inputs: inputs))
  }

  /// The bias, filled up with zeros.
  package var bias: UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(start: kernel.bias, count: Self.filled(outputs))
  }

  /// int8: the scale of every output, filled up with zeros.
  package var scales: UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(start: kernel.scales, count: Self.filled(outputs))
  }

  /// int8: the sum of every output's codes, filled up with zeros.
  package var sums: UnsafeBufferPointer<Int32> {
    UnsafeBufferPointer(start: kernel.sums, count: Self.filled(outputs))
  }
}
