import Platform
import Tensors

extension LinearWeights {
  /// A layer whose weights are drawn from N(0, deviation²), as BERT's are; its biases are 0.
  init(drawing outputs: Int, inputs: Int, deviation: Double = 0.02, _ random: inout SplitMix64) {
    self.init(
      weight: Matrix(drawing: outputs, columns: inputs, deviation: deviation, &random),
      bias: Matrix(rows: 1, columns: outputs))
  }
}

extension Matrix {
  /// Values drawn from N(0, deviation²), row by row.
  init(drawing rows: Int, columns: Int, deviation: Double, _ random: inout SplitMix64) {
    var values: [Float] = []
    values.reserveCapacity(rows * columns)
    for _ in 0..<rows * columns { values.append(Float(deviation * random.normal())) }
    self.init(rows: rows, columns: columns, values: values)
  }
}
