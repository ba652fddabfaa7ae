import CKernels

/// How many rows go through consecutive products together, so that what one writes is still in the
/// second-level cache when the next reads it.
struct RowBlock {
  private let rows: Int

  /// Blocks of at most 96 rows whose wider side stays within 300 KB, in multiples of every kernel's tile;
  /// within 1.2 MB with AVX-512, whose products are so fast that reading all weights for each block counts.
  init(inputs: Int, outputs: Int, level: retort_level) {
    let size = level == RETORT_LEVEL_AVX512 ? 1_200_000 : 300_000
    let fitting = size / (max(inputs, outputs, 1) * MemoryLayout<Float>.stride)
    rows = min(max(fitting / 24, 1), 4) * 24
  }

  /// 0..<count in blocks.
  func ranges(_ count: Int) -> some Sequence<Range<Int>> {
    stride(from: 0, to: count, by: rows).lazy.map { $0..<min($0 + rows, count) }
  }
}

extension InferenceOperators {
  /// out = f(x Wᵀ + b) for `count` rows; of the outputs of some panels alone where those are given.
  ///
  /// Rows are adjacent unless `stride` (of x) or `outStride` says how far apart they lie, in floats. `out` is
  /// where output 0 of the first row lies, also if other panels are computed.
  func product(
    _ x: UnsafePointer<Float>, _ count: Int, _ weights: PackedWeights, _ epilogue: retort_epilogue,
    _ out: UnsafeMutablePointer<Float>, stride xStride: Int? = nil, outStride: Int? = nil,
    panels: Range<Int>? = nil
  ) {
    let xStride = xStride ?? weights.inputs
    let outStride = outStride ?? weights.outputs
    let out = out + (panels?.lowerBound ?? 0) * Int(RETORT_PANEL)
    withUnsafePointer(to: panels.map { weights.panels($0) } ?? weights.kernel) { kernel in
      switch weights.format {
      case .float32:
        retort_product_f32(level, out, outStride, x, xStride, count, kernel, epilogue)
      case .bfloat16:
        let stride = (weights.inputs + 1) / 2 * 2
        let rounded = workspace.matrix(rows: count, columns: stride / 2)
        rounded.pointer.withMemoryRebound(to: UInt16.self, capacity: count * stride) { rounded in
          retort_round_rows(level, rounded, stride, x, count, weights.inputs, xStride)
          retort_product_bf16(level, out, outStride, rounded, stride, count, kernel, epilogue)
        }
      case .int8:
        quantized(x, count, width: weights.inputs, stride: xStride) {
          codes, stride, scales, zeros in
          retort_product_int8(
            level, out, outStride, codes, stride, scales, zeros, count, kernel, epilogue)
        }
      }
    }
  }

  /// What attention reads, with values of first rows as of sixteen bits where the product is int8.
  ///
  /// A third of the error of int8 encoders comes from the values of [CLS], on which a third of the
  /// attention rests (all-MiniLM-L6-v2, from the second layer on): they are computed from the rows'
  /// codes and from codes of what those leave out. Outputs that share a panel with the first value
  /// become finer, too.
  package func attentionInputs(_ x: Matrix, _ weights: LinearWeights, offsets: [Int]) -> Matrix {
    let out = linear(x, weights)
    refineValues(of: out, x, weights, offsets)
    return out
  }

  private func refineValues(
    of out: Matrix, _ x: Matrix, _ weights: LinearWeights, _ offsets: [Int]
  ) {
    guard case .packed(let packed) = weights.form, packed.format == .int8, x.rows > 0 else {
      return
    }
    let first = packed.outputs / 3 * 2 / Int(RETORT_PANEL)
    let column = first * Int(RETORT_PANEL)
    var kernel = packed.panels(first..<packed.panelCount)
    let zeros = workspace.matrix(rows: 1, columns: PackedWeights.filled(kernel.outputs))
    zeros.pointer.update(repeating: 0, count: zeros.count)
    kernel.bias = UnsafePointer(zeros.pointer)
    let remainders = self.remainders(x, offsets)
    let corrections = workspace.matrix(rows: remainders.rows, columns: kernel.outputs)
    // What takes its memory from the same workspace must not be given theirs.
    withExtendedLifetime((remainders, zeros)) {
      quantized(
        remainders.pointer, remainders.rows, width: remainders.columns, stride: remainders.columns
      ) {
        retort_product_int8(
          level, corrections.pointer, corrections.columns, $0, $1, $2, $3, corrections.rows,
          &kernel, RETORT_IDENTITY)
      }
    }
    for sequence in 0..<corrections.rows where offsets[sequence] < offsets[sequence + 1] {
      let target = out.row(offsets[sequence]) + column
      let source = corrections.row(sequence)
      for index in 0..<corrections.columns { target[index] += source[index] }
    }
  }

  package func firstAttention(
    _ x: Matrix, _ weights: LinearWeights, heads: Int, offsets: [Int], keys: [Int]
  ) -> Matrix {
    precondition(zip(offsets, offsets.dropFirst()).allSatisfy { $0.0 < $0.1 }, "an empty sequence")
    let qkv = firstAttentionInputs(x, weights, offsets: offsets)
    return attention(
      qkv, heads: heads, offsets: offsets, keys: keys, precision: weights.precision,
      firstOnly: true)
  }

  /// Keys and values of all rows, and queries of the first of each sequence.
  private func firstAttentionInputs(
    _ x: Matrix, _ weights: LinearWeights, offsets: [Int]
  ) -> Matrix {
    let width = weights.outputs / 3
    guard case .packed(let packed) = weights.form, width % Int(RETORT_PANEL) == 0, x.rows > 0 else {
      return attentionInputs(x, weights, offsets: offsets)
    }
    let queryPanels = width / Int(RETORT_PANEL)
    let out = workspace.matrix(rows: x.rows, columns: packed.outputs)
    let block = RowBlock(inputs: packed.inputs, outputs: packed.outputs, level: level)
    for rows in block.ranges(x.rows) {
      product(
        x.row(rows.lowerBound), rows.count, packed, RETORT_IDENTITY, out.row(rows.lowerBound),
        panels: queryPanels..<packed.panelCount)
    }
    let firsts = offsets.dropLast().map { Int32($0) }
    let inputs = self.rows(x, firsts)
    let queries = workspace.matrix(rows: firsts.count, columns: width)
    withExtendedLifetime(inputs) {
      product(
        inputs.pointer, firsts.count, packed, RETORT_IDENTITY, queries.pointer, outStride: width,
        panels: 0..<queryPanels)
    }
    for (row, first) in firsts.enumerated() {
      out.row(Int(first)).update(from: queries.row(row), count: width)
    }
    refineValues(of: out, x, weights, offsets)
    return out
  }

  /// What the int8 codes of the first row of every sequence leave out, [sequences × width]; zero for an
  /// empty one.
  private func remainders(_ x: Matrix, _ offsets: [Int]) -> Matrix {
    let out = workspace.matrix(rows: offsets.count - 1, columns: x.columns)
    for sequence in 0..<out.rows {
      if offsets[sequence] < offsets[sequence + 1] {
        out.copyRow(offsets[sequence], of: x, to: sequence)
      } else {
        out.row(sequence).update(repeating: 0, count: out.columns)
      }
    }
    quantized(out.pointer, out.rows, width: out.columns, stride: out.columns) {
      codes, stride, scales, zeros in
      for row in 0..<out.rows {
        let values = out.row(row)
        let (scale, zero) = (scales[row], zeros[row])
        let codes = codes + row * stride
        for column in 0..<out.columns {
          values[column] -= scale * Float(Int32(codes[column]) - zero)
        }
      }
    }
    return out
  }

  /// Calls `body` with the codes of rows, their stride, scales and zeros.
  private func quantized(
    _ x: UnsafePointer<Float>, _ count: Int, width: Int, stride xStride: Int,
    _ body: (UnsafeMutablePointer<UInt8>, Int, UnsafePointer<Float>, UnsafePointer<Int32>) -> Void
  ) {
    let stride = (width + 3) / 4 * 4
    let codes = workspace.matrix(rows: count, columns: stride / 4)
    let scales = workspace.matrix(rows: 2, columns: count)
    codes.pointer.withMemoryRebound(to: UInt8.self, capacity: count * stride) { codes in
      scales.row(1).withMemoryRebound(to: Int32.self, capacity: count) { zeros in
        retort_quantize_rows(level, codes, stride, scales.pointer, zeros, x, count, width, xStride)
        body(codes, stride, UnsafePointer(scales.pointer), UnsafePointer(zeros))
      }
    }
  }

  package func project(
    _ x: Matrix, _ weights: LinearWeights, residual: Matrix, _ norm: LayerNormWeights
  ) -> Matrix {
    guard case .packed(let packed) = weights.form else {
      return layerNorm(linear(x, weights), residual: residual, norm)
    }
    precondition(x.columns == packed.inputs && residual.columns == packed.outputs)
    let out = workspace.matrix(rows: x.rows, columns: packed.outputs)
    for rows in RowBlock(inputs: packed.inputs, outputs: packed.outputs, level: level).ranges(
      x.rows)
    {
      product(x.row(rows.lowerBound), rows.count, packed, RETORT_IDENTITY, out.row(rows.lowerBound))
      normalize(out, rows, residual: residual, norm)
    }
    return out
  }

  package func feedForward(
    _ x: Matrix, inner: LinearWeights, _ function: Activation, output: LinearWeights,
    _ norm: LayerNormWeights
  ) -> Matrix {
    guard case .packed(let first) = inner.form, case .packed(let second) = output.form,
      let epilogue = function.epilogue
    else {
      return project(activate(linear(x, inner), function), output, residual: x, norm)
    }
    precondition(x.columns == first.inputs && first.outputs == second.inputs)
    precondition(second.outputs == x.columns)
    let out = workspace.matrix(rows: x.rows, columns: second.outputs)
    let block = RowBlock(inputs: first.inputs, outputs: first.outputs, level: level)
    let width = Self.stride(ofRows: first.outputs)
    for rows in block.ranges(x.rows) {
      let hidden = workspace.matrix(rows: rows.count, columns: width)
      product(
        x.row(rows.lowerBound), rows.count, first, epilogue, hidden.pointer, outStride: width)
      // What takes its memory from the same workspace must not be given that of `hidden`.
      withExtendedLifetime(hidden) {
        product(
          hidden.pointer, rows.count, second, RETORT_IDENTITY, out.row(rows.lowerBound),
          stride: width)
      }
      normalize(out, rows, residual: x, norm)
    }
    return out
  }

  /// The distance of rows of `columns` floats that a tile writes together: a multiple of half a page apart
  /// they would share few lines of the first cache, and drive each other and the tile's weights out of it.
  private static func stride(ofRows columns: Int) -> Int {
    columns * MemoryLayout<Float>.stride % 2048 == 0 ? columns + 16 : columns
  }

  /// Normalises some rows of `x` in place, after adding those of `residual`.
  private func normalize(
    _ x: Matrix, _ rows: Range<Int>, residual: Matrix, _ norm: LayerNormWeights
  ) {
    for row in rows {
      retort_layer_norm(
        level, x.row(row), x.row(row), residual.row(row), norm.weight.pointer, norm.bias.pointer,
        x.columns, norm.epsilon)
    }
  }
}
