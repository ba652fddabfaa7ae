import Platform
import Tensors
import Testing

/// MaxSim on the tape: its values, and the way back against central differences in double precision.
@Suite struct MaxSimGradientTests {
  /// Words and a layer over them: vectors of tokens.
  private struct Network {
    let words: EmbeddingWeights
    let layer: LinearWeights
    var parameters = ParameterList()

    init(words count: Int, width: Int, dimension: Int, seed: UInt64) {
      var random = SplitMix64(seed: seed)
      func matrix(_ rows: Int, _ columns: Int) -> Matrix {
        Matrix(
          rows: rows, columns: columns,
          values: (0..<rows * columns).map { _ in Float(0.5 * random.normal()) })
      }
      let (table, weight, bias) = (
        matrix(count, width), matrix(dimension, width), matrix(1, dimension)
      )
      words = EmbeddingWeights(table: table)
      layer = LinearWeights(weight: weight, bias: bias)
      for (name, matrix) in [("words", table), ("weight", weight), ("bias", bias)] {
        parameters.append(
          Parameter(
            matrix, [.init(name, shape: [matrix.rows, matrix.columns])], group: .head,
            decays: false))
      }
    }

    func forward<Ops: Operators>(_ ops: Ops, _ batch: RaggedBatch) -> Ops.Value {
      ops.linear(ops.embed([(words, batch.ids)]), layer)
    }
  }

  /// Σᵢ maxⱼ by definition.
  private static func maxSim(
    _ x: DoubleMatrix, _ offsets: [Int], _ pair: (Int32, Int32)
  ) -> Double {
    let query = offsets[Int(pair.0)]..<offsets[Int(pair.0) + 1]
    let passage = offsets[Int(pair.1)]..<offsets[Int(pair.1) + 1]
    return query.reduce(0.0) { sum, i in
      let products = passage.map { j in
        (0..<x.columns).reduce(0.0) { $0 + x[i, $1] * x[j, $1] }
      }
      return sum + (products.max() ?? -.infinity)
    }
  }

  private static let pairs: [(Int32, Int32)] = [
    (0, 1), (0, 2), (3, 1), (3, 4), (5, 1), (5, 2), (2, 2), (6, 4),
  ]

  /// Ragged sequences, some of one token, one query that is the same token over and over.
  private func batch(seed: UInt64) -> RaggedBatch {
    var random = SplitMix64(seed: seed)
    var batch = RaggedBatch()
    for length in [4, 9, 1, 6, 17] {
      batch.append((0..<length).map { _ in Int32(random.next() % 11) })
    }
    batch.append([11, 11, 11, 11])
    batch.append([3])
    return batch
  }

  private func pass(
    _ network: Network, _ batch: RaggedBatch, threads: Int
  ) -> (scores: [Float], gradients: [[Float]]) {
    let gradients = network.parameters.zeros()
    let tape = Tape(
      network.parameters, gradients: gradients, memory: Tape.Memory(threads: threads))
    let ops = TapeOperators(tape)
    let scores = ops.maxSim(
      network.forward(ops, batch), offsets: batch.offsets, pairs: Self.pairs)
    tape.backward(
      from: scores, seed: Matrix(rows: Self.pairs.count, columns: 1, values: coefficients))
    return (scores.matrix.values, gradients.map(\.values))
  }

  private var coefficients: [Float] { Self.pairs.indices.map { Float(sin(1 + 0.9 * Double($0))) } }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `scores and gradients are those of the definition`(seed: UInt64) {
    let network = Network(words: 12, width: 6, dimension: 5, seed: seed)
    let batch = batch(seed: seed)
    let found = pass(network, batch, threads: 2)
    let reference = ReferenceOperators()
    func scores() -> [Double] {
      let x = network.forward(reference, batch)
      return Self.pairs.map { Self.maxSim(x, batch.offsets, $0) }
    }
    for (score, expected) in zip(found.scores, scores()) {
      #expect(abs(Double(score) - expected) <= 1e-5 * max(1, abs(expected)), "seed \(seed)")
    }
    func loss() -> Double {
      zip(scores(), coefficients).reduce(0) { $0 + $1.0 * Double($1.1) }
    }
    for (place, parameter) in network.parameters.items.enumerated() {
      let key = ObjectIdentifier(parameter.values.buffer)
      let values = parameter.values.values.map(Double.init)
      let gradient = found.gradients[place]
      let largest = Double(gradient.map(abs).max() ?? 0)
      #expect(largest > 0)
      for entry in values.indices {
        var moved = values
        moved[entry] = values[entry] + 1e-6
        reference.replaced[key] = moved
        let above = loss()
        moved[entry] = values[entry] - 1e-6
        reference.replaced[key] = moved
        let slope: Double = (above - loss()) / 2e-6
        let error = abs(Double(gradient[entry]) - slope)
        #expect(error <= 1e-4 * largest, "\(parameter.tensors[0].name)[\(entry)], seed \(seed)")
      }
      reference.replaced[key] = nil
    }
  }

  @Test func `threads do not change a byte`() {
    let network = Network(words: 12, width: 24, dimension: 16, seed: 4)
    let one = pass(network, batch(seed: 4), threads: 1)
    for threads in [2, 3, 5] {
      let other = pass(network, batch(seed: 4), threads: threads)
      #expect(other.scores == one.scores && other.gradients == one.gradients)
    }
  }

  /// Scores of sequences whose vectors are given.
  private func scores(
    _ sequences: [[(Float, Float)]], _ pairs: [(Int32, Int32)]
  ) -> [Float] {
    let rows = sequences.flatMap { $0 }
    let table = Matrix(rows: rows.count, columns: 2, values: rows.flatMap { [$0.0, $0.1] })
    var batch = RaggedBatch()
    for sequence in sequences {
      batch.append(sequence.indices.map { Int32(batch.tokens + $0) })
    }
    let tape = Tape(ParameterList(), gradients: [], memory: Tape.Memory(threads: 1))
    let ops = TapeOperators(tape)
    return ops.maxSim(
      ops.embed([(EmbeddingWeights(table: table), batch.ids)]), offsets: batch.offsets,
      pairs: pairs
    ).matrix.values
  }

  @Test func `the worked example has its value, and nothing floors a maximum at zero`() {
    let query: [(Float, Float)] = [(1, 0), (0, 1), (0.6, 0.8)]
    let found = scores(
      [query, [(0.8, 0.6), (-1, 0), (0, 1)], Array(query.prefix(1)), [(-1, 0)], []],
      [(0, 1), (2, 3), (2, 4), (4, 3)])
    #expect(abs(found[0] - 2.76) <= 1e-6)
    #expect(found[1] == -1 && found[2] == -.infinity && found[3] == 0)
  }
}
