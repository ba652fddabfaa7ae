import CKernels
import COpenBLAS
import Platform

/// Operators that compute and forget: every value lives in a buffer of the workspace, which takes
/// it back when its last user is gone.
///
/// Not thread-safe: one workspace, one thread at a time.
package struct InferenceOperators: Operators {
  private let workspace: Workspace
  private let level: retort_level

  /// Operators over `workspace`; `level` forces an instruction set.
  package init(workspace: Workspace, level: retort_level? = nil) {
    self.workspace = workspace
    self.level = level ?? retort_level_in_use()
    SingleThreadedBLAS.enforce
  }

  package func embed(_ lookups: [(table: EmbeddingWeights, ids: [Int32])]) -> Matrix {
    guard let first = lookups.first else { return workspace.matrix(rows: 0, columns: 0) }
    let width = first.table.table.columns
    let out = workspace.matrix(rows: first.ids.count, columns: width)
    for (number, lookup) in lookups.enumerated() {
      let table = lookup.table.table
      precondition(table.columns == width && lookup.ids.count == out.rows)
      for (row, id) in lookup.ids.enumerated() {
        precondition(id >= 0 && Int(id) < table.rows, "id outside the embedding table")
        let source = table.row(Int(id))
        let target = out.row(row)
        if number == 0 {
          target.update(from: source, count: width)
        } else {
          for column in 0..<width { target[column] += source[column] }
        }
      }
    }
    return out
  }

  package func linear(_ x: Matrix, _ weights: LinearWeights) -> Matrix {
    precondition(x.columns == weights.inputs, "a linear layer got rows of another width")
    let out = workspace.matrix(rows: x.rows, columns: weights.outputs)
    guard x.rows > 0 else { return out }
    for row in 0..<x.rows {
      out.row(row).update(from: weights.bias.pointer, count: out.columns)
    }
    cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasTrans, Int32(x.rows), Int32(out.columns),
      Int32(x.columns), 1, x.pointer, Int32(x.columns), weights.weight.pointer,
      Int32(x.columns), 1, out.pointer, Int32(out.columns))
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

  package func attention(_ qkv: Matrix, heads: Int, offsets: [Int]) -> Matrix {
    let width = qkv.columns / 3
    precondition(qkv.columns == 3 * width && width % heads == 0 && offsets.last == qkv.rows)
    let size = width / heads
    let scale = 1 / Float(size).squareRoot()
    let out = workspace.matrix(rows: qkv.rows, columns: width)
    for (start, end) in zip(offsets, offsets.dropFirst()) where end > start {
      let length = end - start
      // Scores of a block of queries stay in the second-level cache between the two products.
      let block = min(length, max(16, Self.scoreBlock / length))
      let scores = workspace.matrix(rows: block, columns: length)
      for head in 0..<heads {
        let keys = qkv.row(start) + width + head * size
        for first in stride(from: 0, to: length, by: block) {
          let rows = min(block, length - first)
          let queries = qkv.row(start + first) + head * size
          cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, Int32(rows), Int32(length), Int32(size), 1,
            queries, Int32(qkv.columns), keys, Int32(qkv.columns), 0, scores.pointer,
            Int32(length))
          for row in 0..<rows { retort_softmax(level, scores.row(row), length, scale) }
          cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(rows), Int32(size), Int32(length), 1,
            scores.pointer, Int32(length), keys + width, Int32(qkv.columns), 0,
            out.row(start + first) + head * size, Int32(width))
        }
      }
    }
    return out
  }

  package func rows(_ x: Matrix, _ indices: [Int32]) -> Matrix {
    let out = workspace.matrix(rows: indices.count, columns: x.columns)
    for (row, index) in indices.enumerated() { out.copyRow(Int(index), of: x, to: row) }
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

  /// Attention scores held at once, in floats: 256 KiB.
  private static let scoreBlock = 1 << 16
}

/// Restricts OpenBLAS to the calling thread: we run whole micro-batches in parallel instead, and
/// results must not depend on how many.
enum SingleThreadedBLAS {
  static let enforce: Void = openblas_set_num_threads(1)
}
