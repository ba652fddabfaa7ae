import Platform
import Tensors

/// A matrix in double precision.
struct DoubleMatrix {
  var rows: Int
  var columns: Int
  var values: [Double]

  init(rows: Int, columns: Int, values: [Double]? = nil) {
    self.rows = rows
    self.columns = columns
    self.values = values ?? [Double](repeating: 0, count: rows * columns)
  }

  subscript(row: Int, column: Int) -> Double {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }
}

/// The operators straight from their definitions, in double precision.
///
/// `replaced` holds other values for some weights, so that a weight can be moved by less than single
/// precision tells apart.
final class ReferenceOperators: Operators {
  var replaced: [ObjectIdentifier: [Double]] = [:]

  func values(_ matrix: Matrix) -> DoubleMatrix {
    DoubleMatrix(
      rows: matrix.rows, columns: matrix.columns,
      values: replaced[ObjectIdentifier(matrix.buffer)] ?? matrix.values.map(Double.init))
  }

  func embed(_ lookups: [(table: EmbeddingWeights, ids: [Int32])]) -> DoubleMatrix {
    var out = DoubleMatrix(rows: lookups[0].ids.count, columns: lookups[0].table.columns)
    for (weights, ids) in lookups {
      guard case .plain(let table) = weights.form else { continue }
      let vectors = values(table)
      for (row, id) in ids.enumerated() {
        for column in 0..<out.columns { out[row, column] += vectors[Int(id), column] }
      }
    }
    return out
  }

  func linear(_ x: DoubleMatrix, _ weights: LinearWeights) -> DoubleMatrix {
    guard case .plain(let weight, let bias) = weights.form else { return x }
    let (w, b) = (values(weight), values(bias))
    var out = DoubleMatrix(rows: x.rows, columns: w.rows)
    for row in 0..<x.rows {
      for output in 0..<w.rows {
        var sum = b.values[output]
        for input in 0..<w.columns { sum += x[row, input] * w[output, input] }
        out[row, output] = sum
      }
    }
    return out
  }

  func layerNorm(
    _ x: DoubleMatrix, residual: DoubleMatrix?, _ weights: LayerNormWeights
  ) -> DoubleMatrix {
    let (weight, bias) = (values(weights.weight).values, values(weights.bias).values)
    var out = x
    for row in 0..<x.rows {
      let sums = (0..<x.columns).map { x[row, $0] + (residual?[row, $0] ?? 0) }
      let mean = sums.reduce(0, +) / Double(x.columns)
      let variance = sums.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.columns)
      let scale = 1 / (variance + Double(weights.epsilon)).squareRoot()
      for column in 0..<x.columns {
        out[row, column] = (sums[column] - mean) * scale * weight[column] + bias[column]
      }
    }
    return out
  }

  func activate(_ x: DoubleMatrix, _ function: Activation) -> DoubleMatrix {
    var out = x
    out.values = x.values.map { v in
      switch function {
      case .geluErf: 0.5 * v * erfc(-v / 2.0.squareRoot())
      case .geluTanh:
        0.5 * v * (1 + tanh((2 / Double.pi).squareRoot() * (v + 0.044715 * v * v * v)))
      case .tanh: tanh(v)
      case .relu: max(v, 0)
      }
    }
    return out
  }

  func attention(
    _ qkv: DoubleMatrix, heads: Int, offsets: [Int], keys: [Int], precision: Precision
  ) -> DoubleMatrix {
    let width = qkv.columns / 3
    let size = width / heads
    var out = DoubleMatrix(rows: qkv.rows, columns: width)
    for (sequence, (start, end)) in zip(offsets, offsets.dropFirst()).enumerated() {
      let seen = start..<start + keys[sequence]
      for head in 0..<heads {
        for i in start..<end {
          let scores = seen.map { j in
            (0..<size).reduce(0.0) {
              $0 + qkv[i, head * size + $1] * qkv[j, width + head * size + $1]
            } / Double(size).squareRoot()
          }
          let top = scores.max() ?? 0
          let weights = scores.map { exp($0 - top) }
          let total = weights.reduce(0, +)
          for (j, weight) in zip(seen, weights) {
            for c in 0..<size {
              out[i, head * size + c] += weight / total * qkv[j, 2 * width + head * size + c]
            }
          }
        }
      }
    }
    return out
  }

  func rows(_ x: DoubleMatrix, _ indices: [Int32]) -> DoubleMatrix {
    DoubleMatrix(
      rows: indices.count, columns: x.columns,
      values: indices.flatMap { row in (0..<x.columns).map { x[Int(row), $0] } })
  }

  func stack(_ above: DoubleMatrix, _ below: DoubleMatrix) -> DoubleMatrix {
    DoubleMatrix(
      rows: above.rows + below.rows, columns: above.columns, values: above.values + below.values)
  }

  func mean(_ x: DoubleMatrix, offsets: [Int]) -> DoubleMatrix {
    var out = DoubleMatrix(rows: offsets.count - 1, columns: x.columns)
    for sequence in 0..<out.rows {
      let tokens = offsets[sequence]..<offsets[sequence + 1]
      for token in tokens {
        for column in 0..<x.columns {
          out[sequence, column] += x[token, column] / Double(tokens.count)
        }
      }
    }
    return out
  }

  func mix(_ a: DoubleMatrix, _ b: DoubleMatrix, share: Matrix) -> DoubleMatrix {
    let alpha = values(share).values[0]
    return DoubleMatrix(
      rows: a.rows, columns: a.columns,
      values: zip(a.values, b.values).map { alpha * $0 + (1 - alpha) * $1 })
  }

  func kernelFeatures(
    _ queries: DoubleMatrix, _ queryOffsets: [Int], _ passages: DoubleMatrix,
    _ passageOffsets: [Int], pairs: [(Int32, Int32)], _ kernels: KernelWeights
  ) -> DoubleMatrix {
    var out = DoubleMatrix(rows: pairs.count, columns: kernels.count)
    let scales = values(kernels.scales).values
    for (number, pair) in pairs.enumerated() {
      for i in queryOffsets[Int(pair.0)]..<queryOffsets[Int(pair.0) + 1] {
        for kernel in 0..<kernels.count {
          let (mean, sharpness) = (
            Double(kernels.means[kernel]), Double(kernels.sharpness[kernel])
          )
          var sum = 0.0
          for j in passageOffsets[Int(pair.1)]..<passageOffsets[Int(pair.1) + 1] {
            let cosine = (0..<queries.columns).reduce(0.0) {
              $0 + queries[i, $1] * passages[j, $1]
            }
            sum += exp(-sharpness * (cosine - mean) * (cosine - mean))
          }
          out[number, kernel] += log(max(abs(scales[kernel]) * sum, 1e-10))
        }
      }
    }
    return out
  }

  func normalize(_ x: DoubleMatrix) -> DoubleMatrix {
    var out = x
    for row in 0..<x.rows {
      let length = (0..<x.columns).reduce(0.0) { $0 + x[row, $1] * x[row, $1] }.squareRoot()
      for column in 0..<x.columns { out[row, column] = length > 0 ? x[row, column] / length : 0 }
    }
    return out
  }
}
