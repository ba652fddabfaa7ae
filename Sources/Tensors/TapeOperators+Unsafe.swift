import CKernels
import Platform

/// Operators that compute, and record how to go back.
///
/// The halves of a layer (`project`, `feedForward`) run row block by row block, forwards and
/// backwards, so that what one product writes is in the cache when the next reads it. Dropout comes
/// where BERT has it: on the attention probabilities, on what is added to a residual, and on the
/// normalised embeddings.
package struct TapeOperators: Operators {
  package typealias Value = Tape.Value

  let tape: Tape

  /// Operators that append to `tape`.
  package init(_ tape: Tape) { self.tape = tape }

  // MARK: Embeddings

  package func embed(_ lookups: [(table: EmbeddingWeights, ids: [Int32])]) -> Value {
    let tables = lookups.map { lookup in
      guard case .plain(let table) = lookup.table.form else {
        preconditionFailure("quantised weights cannot be trained")
      }
      precondition(lookup.ids.allSatisfy { $0 >= 0 && Int($0) < table.rows })
      return (table: table, ids: lookup.ids)
    }
    let (count, width) = (tables.first?.ids.count ?? 0, tables.first?.table.columns ?? 0)
    precondition(tables.allSatisfy { $0.ids.count == count && $0.table.columns == width })
    let out = tape.matrix(rows: count, columns: width)
    let level = tape.level
    tape.overRows(count) { _, rows, _ in
      for row in rows {
        for (number, (table, ids)) in tables.enumerated() {
          let source = table.row(Int(ids[row]))
          if number == 0 {
            out.row(row).update(from: source, count: width)
          } else {
            retort_add(level, out.row(row), source, width)
          }
        }
      }
    }
    let value = Value(out, isEmbedding: true)
    tape.record { tape in
      guard let dout = value.takeGradient() else { return }
      let trained = tables.compactMap { table, ids in
        tape.gradient(of: table).map { (gradient: $0, ids: ids) }
      }
      // Several tokens share a row: a table is the work of one thread, in the order of tokens.
      parallelFor(trained.count, threads: tape.memory.threads) { item, _ in
        let (gradient, ids) = trained[item]
        for (row, id) in ids.enumerated() {
          retort_add(level, gradient.row(Int(id)), dout.row(row), width)
        }
      }
    }
    return value
  }

  // MARK: Linear layers

  package func linear(_ x: Value, _ weights: LinearWeights) -> Value {
    let layer = PlainLinear(weights)
    precondition(x.matrix.columns == layer.inputs, "a linear layer got rows of another width")
    let out = tape.matrix(rows: x.matrix.rows, columns: layer.outputs)
    let (input, scratch, product) = (x.matrix, tape.memory.scratch, layer.forwards(tape))
    tape.overRows(input.rows) { _, rows, worker in
      product.apply(
        input.row(rows.lowerBound), rows.count, out.row(rows.lowerBound), scratch[worker])
    }
    let value = Value(out)
    tape.record { tape in
      guard let dout = value.takeGradient() else { return }
      let dx = tape.matrix(rows: input.rows, columns: input.columns)
      let product = layer.backwards(tape)
      tape.overRows(input.rows) { _, rows, worker in
        product.apply(
          dout.row(rows.lowerBound), rows.count, dx.row(rows.lowerBound), scratch[worker])
      }
      tape.addWeightGradients([WeightGradient(weights, input: input, output: dout, tape)])
      x.add(dx, tape)
    }
    return value
  }

  package func activate(_ x: Value, _ function: Activation) -> Value {
    let out = tape.matrix(rows: x.matrix.rows, columns: x.matrix.columns)
    let (input, level) = (x.matrix, tape.level)
    tape.overRows(input.rows) { _, rows, _ in
      function.apply(
        level, out.row(rows.lowerBound), input.row(rows.lowerBound), rows.count * input.columns)
    }
    let value = Value(out)
    tape.record { tape in
      guard let gradient = value.takeGradient() else { return }
      tape.overRows(input.rows) { _, rows, _ in
        function.multiplySlope(
          level, gradient.row(rows.lowerBound), input.row(rows.lowerBound),
          rows.count * input.columns)
      }
      x.add(gradient, tape)
    }
    return value
  }

  // MARK: Rows

  package func rows(_ x: Value, _ indices: [Int32]) -> Value {
    let (input, width, level) = (x.matrix, x.matrix.columns, tape.level)
    let out = tape.matrix(rows: indices.count, columns: width)
    for (row, index) in indices.enumerated() { out.copyRow(Int(index), of: input, to: row) }
    let value = Value(out)
    tape.record { tape in
      guard let dout = value.takeGradient() else { return }
      let dx = tape.zeros(rows: input.rows, columns: width)
      for (row, index) in indices.enumerated() {
        retort_add(level, dx.row(Int(index)), dout.row(row), width)
      }
      x.add(dx, tape)
    }
    return value
  }

  package func stack(_ above: Value, _ below: Value) -> Value {
    let (one, other) = (above.matrix, below.matrix)
    precondition(one.columns == other.columns, "rows of one width")
    let out = tape.matrix(rows: one.rows + other.rows, columns: one.columns)
    out.pointer.update(from: one.pointer, count: one.count)
    out.row(one.rows).update(from: other.pointer, count: other.count)
    let value = Value(out)
    tape.record { tape in
      guard let dout = value.takeGradient() else { return }
      let (first, second) = (
        tape.matrix(rows: one.rows, columns: one.columns),
        tape.matrix(rows: other.rows, columns: one.columns)
      )
      first.pointer.update(from: dout.pointer, count: first.count)
      second.pointer.update(from: dout.row(one.rows), count: second.count)
      above.add(first, tape)
      below.add(second, tape)
    }
    return value
  }

  package func mean(_ x: Value, offsets: [Int]) -> Value {
    let (input, width, level) = (x.matrix, x.matrix.columns, tape.level)
    precondition(offsets.last == input.rows)
    let out = tape.zeros(rows: offsets.count - 1, columns: width)
    parallelFor(out.rows, threads: tape.memory.threads) { sequence, _ in
      let tokens = offsets[sequence]..<offsets[sequence + 1]
      let target = out.row(sequence)
      for token in tokens { retort_add(level, target, input.row(token), width) }
      let scale = 1 / Float(max(tokens.count, 1))
      for column in 0..<width { target[column] *= scale }
    }
    let value = Value(out)
    tape.record { tape in
      guard let dout = value.takeGradient() else { return }
      let dx = tape.matrix(rows: input.rows, columns: width)
      parallelFor(dout.rows, threads: tape.memory.threads) { sequence, _ in
        let tokens = offsets[sequence]..<offsets[sequence + 1]
        let source = dout.row(sequence)
        let scale = 1 / Float(max(tokens.count, 1))
        for column in 0..<width { source[column] *= scale }
        for token in tokens { dx.row(token).update(from: source, count: width) }
      }
      x.add(dx, tape)
    }
    return value
  }

  package func normalize(_ x: Value) -> Value {
    let (input, width) = (x.matrix, x.matrix.columns)
    let out = tape.matrix(rows: input.rows, columns: width)
    var lengths: [Double] = []
    for row in 0..<input.rows {
      let (source, target) = (input.row(row), out.row(row))
      var squares = 0.0
      for column in 0..<width { squares += Double(source[column]) * Double(source[column]) }
      lengths.append(squares.squareRoot())
      let scale = squares > 0 ? Float(1 / squares.squareRoot()) : 0
      for column in 0..<width { target[column] = source[column] * scale }
    }
    let value = Value(out)
    tape.record { [lengths] tape in
      guard let dout = value.takeGradient() else { return }
      for row in 0..<input.rows {
        let (unit, gradient) = (out.row(row), dout.row(row))
        var along = 0.0
        for column in 0..<width { along += Double(unit[column]) * Double(gradient[column]) }
        let scale = lengths[row] > 0 ? 1 / lengths[row] : 0
        for column in 0..<width {
          gradient[column] = Float(
            (Double(gradient[column]) - along * Double(unit[column])) * scale)
        }
      }
      x.add(dout, tape)
    }
    return value
  }

  /// The inner products of pairs of rows of `x` → [pairs × 1]: the scores of BERT_DOT.
  package func innerProducts(_ x: Value, _ pairs: [(Int32, Int32)]) -> Value {
    let (input, width) = (x.matrix, x.matrix.columns)
    let out = tape.matrix(rows: pairs.count, columns: 1)
    for (number, pair) in pairs.enumerated() {
      let (a, b) = (input.row(Int(pair.0)), input.row(Int(pair.1)))
      var sum = 0.0
      for column in 0..<width { sum += Double(a[column]) * Double(b[column]) }
      out.pointer[number] = Float(sum)
    }
    let value = Value(out)
    tape.record { tape in
      guard let dout = value.takeGradient() else { return }
      let dx = tape.zeros(rows: input.rows, columns: width)
      for (number, pair) in pairs.enumerated() {
        let (a, b) = (Int(pair.0), Int(pair.1))
        let scale = dout.pointer[number]
        for column in 0..<width {
          dx.row(a)[column] += scale * input.row(b)[column]
          dx.row(b)[column] += scale * input.row(a)[column]
        }
      }
      x.add(dx, tape)
    }
    return value
  }
}

extension Activation {
  /// out[i] = f(x[i]).
  func apply(
    _ level: retort_level, _ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>,
    _ count: Int
  ) {
    switch self {
    case .geluErf: retort_gelu_erf(level, out, x, count)
    case .geluTanh: retort_gelu_tanh(level, out, x, count)
    case .tanh: for i in 0..<count { out[i] = tanhf(x[i]) }
    case .relu: for i in 0..<count { out[i] = max(x[i], 0) }
    }
  }

  /// gradient[i] *= f'(x[i]).
  func multiplySlope(
    _ level: retort_level, _ gradient: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>,
    _ count: Int
  ) {
    switch self {
    case .geluErf: retort_gelu_erf_slope(level, gradient, x, count)
    case .geluTanh: retort_gelu_tanh_slope(level, gradient, x, count)
    case .tanh:
      for i in 0..<count {
        let value = tanhf(x[i])
        gradient[i] *= 1 - value * value
      }
    case .relu: for i in 0..<count where x[i] <= 0 { gradient[i] = 0 }
    }
  }
}
