import CBLAS
import CKernels
import Platform

/// Operators that compute and forget: every value lives in a buffer of the workspace, which takes
/// it back when its last user is gone.
///
/// Not thread-safe: one workspace, one thread at a time.
package struct InferenceOperators: Operators {
  let workspace: Workspace
  let level: retort_level

  /// Operators over `workspace`; `level` forces an instruction set.
  package init(workspace: Workspace, level: retort_level? = nil) {
    self.workspace = workspace
    self.level = level ?? retort_level_in_use()
  }

  package func embed(_ lookups: [(table: EmbeddingWeights, ids: [Int32])]) -> Matrix {
    guard let first = lookups.first else { return workspace.matrix(rows: 0, columns: 0) }
    let width = first.table.columns
    let out = workspace.matrix(rows: first.ids.count, columns: width)
    for (number, lookup) in lookups.enumerated() {
      precondition(lookup.table.columns == width && lookup.ids.count == out.rows)
      let count = lookup.table.rows
      for (row, id) in lookup.ids.enumerated() {
        precondition(id >= 0 && Int(id) < count, "id outside the embedding table")
        let target = out.row(row)
        switch lookup.table.form {
        case .coded(let table): table.read(Int(id), adding: number > 0, into: target)
        case .plain(let table):
          let source = table.row(Int(id))
          if number == 0 {
            target.update(from: source, count: width)
          } else {
            for column in 0..<width { target[column] += source[column] }
          }
        }
      }
    }
    return out
  }

  package func linear(_ x: Matrix, _ weights: LinearWeights) -> Matrix {
    precondition(x.columns == weights.inputs, "a linear layer got rows of another width")
    let out = workspace.matrix(rows: x.rows, columns: weights.outputs)
    guard x.rows > 0 else { return out }
    switch weights.form {
    case .packed(let packed):
      let block = RowBlock(inputs: packed.inputs, outputs: packed.outputs, level: level)
      for rows in block.ranges(x.rows) {
        product(
          x.row(rows.lowerBound), rows.count, packed, RETORT_IDENTITY, out.row(rows.lowerBound))
      }
    case .plain(let weight, let bias):
      for row in 0..<x.rows { out.row(row).update(from: bias.pointer, count: out.columns) }
      retort_sgemm(
        false, true, Int32(x.rows), Int32(out.columns),
        Int32(x.columns), 1, x.pointer, Int32(x.columns), weight.pointer, Int32(x.columns), 1,
        out.pointer, Int32(out.columns))
    }
    return out
  }

  package func layerNorm(_ x: Matrix, residual: Matrix?, _ weights: LayerNormWeights) -> Matrix {
    precondition(x.columns == weights.weight.count)
    precondition(residual == nil || (residual?.rows, residual?.columns) == (x.rows, x.columns))
    let out = workspace.matrix(rows: x.rows, columns: x.columns)
    for row in 0..<x.rows {
      retort_layer_norm(
        level, out.row(row), x.row(row), residual?.row(row), weights.weight.pointer,
        weights.bias.pointer, x.columns, weights.epsilon)
    }
    return out
  }

  package func activate(_ x: Matrix, _ function: Activation) -> Matrix {
    let out = workspace.matrix(rows: x.rows, columns: x.columns)
    switch function {
    case .geluErf: retort_gelu_erf(level, out.pointer, x.pointer, x.count)
    case .geluTanh: retort_gelu_tanh(level, out.pointer, x.pointer, x.count)
    case .tanh: for i in 0..<x.count { out.pointer[i] = tanhf(x.pointer[i]) }
    case .relu: for i in 0..<x.count { out.pointer[i] = max(x.pointer[i], 0) }
    }
    return out
  }

  package func attention(
    _ qkv: Matrix, heads: Int, offsets: [Int], keys: [Int], precision: Precision
  ) -> Matrix {
    attention(
      qkv, heads: heads, offsets: offsets, keys: keys, precision: precision, firstOnly: false)
  }

  /// The same; with `firstOnly` of the first token of every sequence alone, a row each.
  func attention(
    _ qkv: Matrix, heads: Int, offsets: [Int], keys: [Int], precision: Precision, firstOnly: Bool
  ) -> Matrix {
    let width = qkv.columns / 3
    precondition(qkv.columns == 3 * width && width % heads == 0 && offsets.last == qkv.rows)
    let size = width / heads
    let out = workspace.matrix(rows: firstOnly ? keys.count : qkv.rows, columns: width)
    let longest = zip(offsets, offsets.dropFirst()).reduce(0) { max($0, $1.1 - $1.0) }
    let scratch = workspace.matrix(rows: 1, columns: retort_attention_scratch(longest, size))
    let isRounded = precision != .float32 && retort_multiplies_bf16(level)
    let attend = isRounded ? retort_attention_bf16 : retort_attention
    for (sequence, keys) in keys.enumerated() {
      let (start, end) = (offsets[sequence], offsets[sequence + 1])
      let queries = firstOnly ? 1 : end - start
      attend(
        level, out.row(firstOnly ? sequence : start), width, qkv.row(start), qkv.columns, queries,
        keys, heads, size, 1 / Float(size).squareRoot(), scratch.pointer)
    }
    return out
  }

  package func rows(_ x: Matrix, _ indices: [Int32]) -> Matrix {
    let out = workspace.matrix(rows: indices.count, columns: x.columns)
    for (row, index) in indices.enumerated() { out.copyRow(Int(index), of: x, to: row) }
    return out
  }

  package func stack(_ above: Matrix, _ below: Matrix) -> Matrix {
    precondition(above.columns == below.columns, "rows of one width")
    let out = workspace.matrix(rows: above.rows + below.rows, columns: above.columns)
    out.pointer.update(from: above.pointer, count: above.count)
    out.row(above.rows).update(from: below.pointer, count: below.count)
    return out
  }

  package func mean(_ x: Matrix, offsets: [Int]) -> Matrix {
    let out = workspace.matrix(rows: offsets.count - 1, columns: x.columns)
    for sequence in 0..<out.rows {
      let target = out.row(sequence)
      target.update(repeating: 0, count: x.columns)
      let tokens = offsets[sequence]..<offsets[sequence + 1]
      for token in tokens {
        let source = x.row(token)
        for column in 0..<x.columns { target[column] += source[column] }
      }
      let scale = 1 / Float(max(tokens.count, 1))
      for column in 0..<x.columns { target[column] *= scale }
    }
    return out
  }

  package func normalize(_ x: Matrix) -> Matrix {
    let out = workspace.matrix(rows: x.rows, columns: x.columns)
    for row in 0..<x.rows {
      let source = x.row(row)
      let target = out.row(row)
      var squares = 0.0
      for column in 0..<x.columns { squares += Double(source[column]) * Double(source[column]) }
      let scale = squares > 0 ? Float(1 / squares.squareRoot()) : 0
      for column in 0..<x.columns { target[column] = source[column] * scale }
    }
    return out
  }
}
