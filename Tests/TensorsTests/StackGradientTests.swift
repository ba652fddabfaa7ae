import Platform
import Tensors
import Testing

/// Rows below each other: the way back gives every row its own gradient.
@Suite struct StackGradientTests {
  @Test func `gradients of stacked rows equal central differences`() {
    var random = SplitMix64(seed: 3)
    func matrix(_ rows: Int, _ columns: Int) -> Matrix {
      Matrix(
        rows: rows, columns: columns,
        values: (0..<rows * columns).map { _ in Float(random.normal()) })
    }
    let (table, weight, bias) = (matrix(7, 4), matrix(4, 4), matrix(1, 4))
    let layer = LinearWeights(weight: weight, bias: bias)
    var parameters = ParameterList()
    for (name, matrix) in [("table", table), ("weight", weight), ("bias", bias)] {
      parameters.append(
        Parameter(
          matrix, [.init(name, shape: [matrix.rows, matrix.columns])], group: .head,
          decays: false))
    }
    func forward<Ops: Operators>(_ ops: Ops) -> Ops.Value {
      let x = ops.embed([(EmbeddingWeights(table: table), [0, 3, 3, 6, 1])])
      let y = ops.stack(ops.rows(x, [1, 4]), ops.activate(ops.linear(x, layer), .tanh))
      return ops.rows(ops.stack(y, x), [0, 2, 2, 6, 11, 1, 8])
    }
    let coefficients: [Float] = (0..<28).map { Float(sin(1 + 0.9 * Double($0))) }
    let gradients = parameters.zeros()
    let tape = Tape(parameters, gradients: gradients, memory: Tape.Memory(threads: 2))
    let value = forward(TapeOperators(tape))
    let inference = forward(InferenceOperators(workspace: Workspace())).values
    #expect(zip(inference, value.matrix.values).allSatisfy { abs($0 - $1) <= 1e-6 })
    tape.backward(from: value, seed: Matrix(rows: 7, columns: 4, values: coefficients))
    let reference = ReferenceOperators()
    func loss() -> Double {
      zip(forward(reference).values, coefficients).reduce(0) { $0 + $1.0 * Double($1.1) }
    }
    for (place, parameter) in parameters.items.enumerated() {
      let key = ObjectIdentifier(parameter.values.buffer)
      let values = parameter.values.values.map(Double.init)
      for entry in values.indices {
        var moved = values
        moved[entry] = values[entry] + 1e-6
        reference.replaced[key] = moved
        let above = loss()
        moved[entry] = values[entry] - 1e-6
        reference.replaced[key] = moved
        let slope: Double = (above - loss()) / 2e-6
        let error = abs(Double(gradients[place].values[entry]) - slope)
        #expect(error <= 1e-4, "\(parameter.tensors[0].name)[\(entry)]")
      }
      reference.replaced[key] = nil
    }
  }
}
