import CKernels
import Platform

extension TapeOperators {
  package func layerNorm(_ x: Value, residual: Value?, _ weights: LayerNormWeights) -> Value {
    let (rows, width, level) = (x.matrix.rows, x.matrix.columns, tape.level)
    precondition(width == weights.weight.count)
    let branch = residual == nil ? nil : tape.hiddenMask()
    let after = x.isEmbedding ? tape.hiddenMask() : nil
    let sums = residual == nil ? x.matrix : tape.matrix(rows: rows, columns: width)
    let out = tape.matrix(rows: rows, columns: width)
    let (input, added) = (x.matrix, residual?.matrix)
    tape.overRows(rows) { _, rows, _ in
      let count = rows.count * width
      if let added {
        let target = sums.row(rows.lowerBound)
        target.update(from: input.row(rows.lowerBound), count: count)
        branch?.drop(level, target, rows, width)
        retort_add(level, target, added.row(rows.lowerBound), count)
      }
      weights.apply(level, sums, rows, to: out)
      after?.drop(level, out.row(rows.lowerBound), rows, width)
    }
    let value = Value(out)
    tape.record { tape in
      guard let dout = value.takeGradient() else { return }
      let back = NormGradient(weights, rows: rows, tape)
      tape.overRows(rows) { block, rows, _ in
        after?.drop(level, dout.row(rows.lowerBound), rows, width)
        back.apply(level, block, rows, dout: dout, sums: sums, to: dout)
      }
      back.finish(tape)
      guard let residual else { return x.add(dout, tape) }
      let dx = tape.matrix(rows: rows, columns: width)
      tape.overRows(rows) { _, rows, _ in
        let target = dx.row(rows.lowerBound)
        target.update(from: dout.row(rows.lowerBound), count: rows.count * width)
        branch?.drop(level, target, rows, width)
      }
      residual.add(dout, tape)
      x.add(dx, tape)
    }
    return value
  }

  package func project(
    _ x: Value, _ weights: LinearWeights, residual: Value, _ norm: LayerNormWeights
  ) -> Value {
    let layer = PlainLinear(weights)
    let (input, added, level) = (x.matrix, residual.matrix, tape.level)
    let (count, width) = (input.rows, layer.outputs)
    precondition(input.columns == layer.inputs && added.columns == width && added.rows == count)
    let mask = tape.hiddenMask()
    let sums = tape.matrix(rows: count, columns: width)
    let out = tape.matrix(rows: count, columns: width)
    let (scratch, product) = (tape.memory.scratch, layer.forwards(tape))
    tape.overRows(count) { _, rows, worker in
      let target = sums.row(rows.lowerBound)
      product.apply(input.row(rows.lowerBound), rows.count, target, scratch[worker])
      mask?.drop(level, target, rows, width)
      retort_add(level, target, added.row(rows.lowerBound), rows.count * width)
      norm.apply(level, sums, rows, to: out)
    }
    let value = Value(out)
    tape.record { tape in
      guard let dout = value.takeGradient() else { return }
      let normBack = NormGradient(norm, rows: count, tape)
      let branch = mask == nil ? dout : tape.matrix(rows: count, columns: width)
      let dx = tape.matrix(rows: count, columns: input.columns)
      let product = layer.backwards(tape)
      tape.overRows(count) { block, rows, worker in
        normBack.apply(level, block, rows, dout: dout, sums: sums, to: dout)
        mask?.copy(level, dout, rows, to: branch)
        product.apply(
          branch.row(rows.lowerBound), rows.count, dx.row(rows.lowerBound), scratch[worker])
      }
      normBack.finish(tape)
      tape.addWeightGradients([WeightGradient(weights, input: input, output: branch, tape)])
      residual.add(dout, tape)
      x.add(dx, tape)
    }
    return value
  }

  package func feedForward(
    _ x: Value, inner: LinearWeights, _ function: Activation, output: LinearWeights,
    _ norm: LayerNormWeights
  ) -> Value {
    let first = PlainLinear(inner)
    let second = PlainLinear(output)
    let (input, level) = (x.matrix, tape.level)
    let (count, width, middle) = (input.rows, input.columns, first.outputs)
    precondition(first.inputs == width && second.inputs == middle && second.outputs == width)
    let mask = tape.hiddenMask()
    // The activation's input is kept; its output is as quickly computed again as read.
    let before = tape.matrix(rows: count, columns: middle)
    let sums = tape.matrix(rows: count, columns: width)
    let out = tape.matrix(rows: count, columns: width)
    let scratch = tape.memory.scratch
    let (toHidden, toSums) = (first.forwards(tape), second.forwards(tape))
    tape.overRows(count) { _, rows, worker in
      let hidden = scratch[worker].matrix(rows: rows.count, columns: middle)
      let start = before.row(rows.lowerBound)
      toHidden.apply(input.row(rows.lowerBound), rows.count, start, scratch[worker])
      function.apply(level, hidden.pointer, start, hidden.count)
      let target = sums.row(rows.lowerBound)
      // What takes its memory from the same scratch must not be given that of `hidden`.
      withExtendedLifetime(hidden) {
        toSums.apply(hidden.pointer, rows.count, target, scratch[worker])
      }
      mask?.drop(level, target, rows, width)
      retort_add(level, target, input.row(rows.lowerBound), rows.count * width)
      norm.apply(level, sums, rows, to: out)
    }
    let value = Value(out)
    tape.record { tape in
      guard let dout = value.takeGradient() else { return }
      let normBack = NormGradient(norm, rows: count, tape)
      let branch = mask == nil ? dout : tape.matrix(rows: count, columns: width)
      let hidden = tape.matrix(rows: count, columns: middle)
      let dhidden = tape.matrix(rows: count, columns: middle)
      let dx = tape.matrix(rows: count, columns: width)
      let (toHidden, toInput) = (second.backwards(tape), first.backwards(tape))
      tape.overRows(count) { block, rows, worker in
        normBack.apply(level, block, rows, dout: dout, sums: sums, to: dout)
        mask?.copy(level, dout, rows, to: branch)
        let (start, gradient) = (before.row(rows.lowerBound), dhidden.row(rows.lowerBound))
        function.apply(level, hidden.row(rows.lowerBound), start, rows.count * middle)
        toHidden.apply(branch.row(rows.lowerBound), rows.count, gradient, scratch[worker])
        function.multiplySlope(level, gradient, start, rows.count * middle)
        toInput.apply(gradient, rows.count, dx.row(rows.lowerBound), scratch[worker])
        retort_add(
          level, dx.row(rows.lowerBound), dout.row(rows.lowerBound), rows.count * width)
      }
      normBack.finish(tape)
      tape.addWeightGradients([
        WeightGradient(output, input: hidden, output: branch, tape),
        WeightGradient(inner, input: input, output: dhidden, tape),
      ])
      x.add(dx, tape)
    }
    return value
  }

  package func attention(
    _ qkv: Value, heads: Int, offsets: [Int], keys: [Int], precision: Precision
  ) -> Value {
    let (input, level) = (qkv.matrix, tape.level)
    let width = input.columns / 3
    precondition(input.columns == 3 * width && width % heads == 0 && offsets.last == input.rows)
    let size = width / heads
    let scale = 1 / Float(size).squareRoot()
    let mask = tape.attentionMask()
    let out = tape.matrix(rows: input.rows, columns: width)
    let scratch = tape.memory.scratch
    let sequences = zip(offsets, offsets.dropFirst()).map { $0..<$1 }
    if mask.threshold == 0 {
      parallelFor(sequences.count, threads: tape.memory.threads) { item, worker in
        let rows = sequences[item]
        let memory = scratch[worker].matrix(
          rows: 1, columns: retort_attention_scratch(rows.count, size))
        guard !rows.isEmpty else { return }
        retort_attention(
          level, out.row(rows.lowerBound), width, input.row(rows.lowerBound), input.columns,
          rows.count, keys[item], heads, size, scale, memory.pointer)
      }
    } else {
      parallelFor(sequences.count * heads, threads: tape.memory.threads) { item, worker in
        let (rows, head) = (sequences[item / heads], item % heads)
        let memory = scratch[worker].matrix(
          rows: 1, columns: retort_attention_training_scratch(rows.count, size))
        guard !rows.isEmpty else { return }
        retort_attention_dropped(
          level, out.row(rows.lowerBound), width, input.row(rows.lowerBound), input.columns,
          rows.count, keys[item / heads], heads, head, size, scale, mask.part(item), memory.pointer)
      }
    }
    let value = Value(out)
    tape.record { tape in
      guard let dout = value.takeGradient() else { return }
      let dqkv = tape.matrix(rows: input.rows, columns: input.columns)
      parallelFor(sequences.count * heads, threads: tape.memory.threads) { item, worker in
        let (rows, head) = (sequences[item / heads], item % heads)
        let memory = scratch[worker].matrix(
          rows: 1, columns: retort_attention_training_scratch(rows.count, size))
        guard !rows.isEmpty else { return }
        retort_attention_backward(
          level, dqkv.row(rows.lowerBound), dout.row(rows.lowerBound), width,
          input.row(rows.lowerBound), input.columns, rows.count, keys[item / heads], heads, head,
          size, scale, mask.threshold == 0 ? mask : mask.part(item), memory.pointer)
      }
      qkv.add(dqkv, tape)
    }
    return value
  }
}

/// Dropout of the rows of a matrix.
struct RowMask: Sendable {
  let mask: retort_dropout_mask

  /// Drops values of the rows at `start` in place.
  func drop(
    _ level: retort_level, _ start: UnsafeMutablePointer<Float>, _ rows: Range<Int>, _ width: Int
  ) {
    retort_dropout(
      level, start, rows.count * width, UInt32(truncatingIfNeeded: rows.lowerBound * width), mask)
  }

  /// Copies rows and drops values of the copy.
  func copy(_ level: retort_level, _ source: Matrix, _ rows: Range<Int>, to target: Matrix) {
    let start = target.row(rows.lowerBound)
    start.update(from: source.row(rows.lowerBound), count: rows.count * source.columns)
    drop(level, start, rows, source.columns)
  }
}

extension Tape {
  /// The dropout of the next operation on hidden states, nil for none.
  func hiddenMask() -> RowMask? {
    let operation = nextOperation()
    return dropout.hidden > 0
      ? RowMask(mask: dropout.mask(dropout.hidden, operation: operation)) : nil
  }

  /// The dropout of the next attention.
  func attentionMask() -> retort_dropout_mask {
    dropout.mask(dropout.attention, operation: nextOperation())
  }

  func zeros(rows: Int, columns: Int) -> Matrix {
    let matrix = matrix(rows: rows, columns: columns)
    matrix.pointer.update(repeating: 0, count: matrix.count)
    return matrix
  }

  /// target += source.
  func add(_ source: Matrix, to target: Matrix) {
    let level = level
    overRows(source.rows) { _, rows, _ in
      retort_add(
        level, target.row(rows.lowerBound), source.row(rows.lowerBound),
        rows.count * source.columns)
    }
  }
}
