import CKernels
import Platform
import Tensors
import Testing

/// Kernel pooling: the kernels against the scalar reference, the worked example, and the way back
/// against central differences in double precision.
@Suite struct KernelPoolingTests {
  private static let levels = ActivationKernelTests.levels
  private static let means: [Float] = [1, 0.9, 0.7, 0.5, 0.3, 0.1, -0.1, -0.3, -0.5, -0.7, -0.9]

  private static func kernels(_ means: [Float], scales: [Float]? = nil) -> KernelWeights {
    KernelWeights(
      means: means, deviations: means.map { _ in 0.1 },
      scales: Matrix(
        rows: 1, columns: means.count, values: scales ?? means.map { _ in 1 }))
  }

  @Test(arguments: levels)
  func `counts and slopes are those of the scalar reference`(level: retort_level) {
    let sharpness: [Float] = Self.means.map { 40 + 10 * $0 }
    var random = SplitMix64(seed: 5)
    let weights: [Float] = Self.means.map { _ in Float(random.normal()) }
    for count in [0, 1, 3, 7, 8, 9, 16, 31, 200] {
      let x: [Float] = (0..<count).map { _ in Float(2 * random.unit() - 1) }
      func run(_ level: retort_level) -> (counts: [Float], slopes: [Float]) {
        var counts = [Float](repeating: 7, count: Self.means.count)
        var slopes = x
        retort_kernel_counts(level, &counts, x, count, Self.means, sharpness, Self.means.count)
        retort_kernel_slopes(
          level, &slopes, count, Self.means, sharpness, weights, Self.means.count)
        return (counts, slopes)
      }
      let (found, expected) = (run(level), run(RETORT_LEVEL_SCALAR))
      for (one, other) in zip(found.counts, expected.counts) {
        #expect(abs(one - other) <= 2e-6 * max(1, abs(other)), "\(count)")
      }
      for (one, other) in zip(found.slopes, expected.slopes) {
        #expect(abs(one - other) <= 2e-5 * max(1, abs(other)), "\(count)")
      }
    }
  }

  /// Rows whose inner products with the unit vectors are M.
  private let query = Matrix(rows: 2, columns: 3, values: [1, 0.5, 0, 0.2, -0.4, 0.9])
  private let passage = Matrix(rows: 3, columns: 3, values: [1, 0, 0, 0, 1, 0, 0, 0, 1])

  @Test func `the worked example has its features`() {
    let ops = InferenceOperators(workspace: Workspace())
    func features(_ means: [Float]) -> [Float] {
      ops.kernelFeatures(
        query, [0, 2], passage, [0, 3], pairs: [(0, 0)], Self.kernels(means)
      ).values
    }
    let golden: [Double] = [
      -0.499996, -0.499447, -3.921083, -4.470242, -2.42111, -0.999441, -4.306853, -4.999994, -13,
      -27.525851, -35.525851,
    ]
    let found = features(Self.means)
    for (one, other) in zip(found, golden) { #expect(abs(Double(one) - other) <= 2e-5) }
    let score = found.reduce(0.0) { $0 + 0.01 * Double($1) }
    #expect(abs(score + 0.981699) <= 1e-5)
    for (one, other) in zip(features([1, 0.5, 0]), [-0.499996, -4.470242, -1.997521]) {
      #expect(abs(Double(one) - other) <= 2e-5)
    }
    let pooling = ops.kernelPooling(query, Self.kernels(Self.means))
    #expect(pooling.features(passage.values, offsets: [0, 3], passages: [0]).values == found)
    // Nothing is near anything in a passage without words: every row counts the floor.
    let empty = pooling.features(passage.values, offsets: [0, 0, 3], passages: [0]).values
    #expect(empty.allSatisfy { abs($0 - 2 * -23.02585) <= 1e-3 })
  }

  /// Words, a layer, their mixture, kernels and a head.
  private struct Network {
    var parameters = ParameterList()
    private let words: EmbeddingWeights
    private let layer: LinearWeights
    private let share: Matrix
    private let kernels: KernelWeights

    init(width: Int, seed: UInt64) {
      var random = SplitMix64(seed: seed)
      func matrix(_ rows: Int, _ columns: Int) -> Matrix {
        Matrix(
          rows: rows, columns: columns,
          values: (0..<rows * columns).map { _ in Float(0.7 * random.normal()) })
      }
      let (table, weight, bias) = (matrix(12, width), matrix(width, width), matrix(1, width))
      words = EmbeddingWeights(table: table)
      layer = LinearWeights(weight: weight, bias: bias)
      share = Matrix(rows: 1, columns: 1, values: [0.3])
      kernels = KernelPoolingTests.kernels(
        [1, 0.6, 0.2, -0.2, -0.6], scales: [1, 0.4, -0.8, 1.7, 1])
      for (name, matrix) in [
        ("words", table), ("weight", weight), ("bias", bias), ("share", share),
        ("scales", kernels.scales),
      ] {
        parameters.append(
          Parameter(
            matrix, [.init(name, shape: [matrix.rows, matrix.columns])], group: .head,
            decays: false))
      }
    }

    func forward<Ops: Operators>(
      _ ops: Ops, _ batch: RaggedBatch, _ pairs: [(Int32, Int32)]
    ) -> Ops.Value {
      let own = ops.embed([(words, batch.ids)])
      let x = ops.normalize(ops.mix(own, ops.linear(own, layer), share: share))
      return ops.kernelFeatures(x, batch.offsets, x, batch.offsets, pairs: pairs, kernels)
    }
  }

  private static let pairs: [(Int32, Int32)] = [
    (0, 1), (0, 2), (3, 1), (3, 4), (2, 2), (5, 1), (0, 5), (5, 5),
  ]

  private func batch(seed: UInt64) -> RaggedBatch {
    var random = SplitMix64(seed: seed)
    return RaggedBatch(
      [3, 7, 1, 2, 19, 0].map { length in (0..<length).map { _ in Int32(random.next() % 12) } })
  }

  private func pass(
    _ network: Network, _ batch: RaggedBatch, threads: Int, level: retort_level? = nil
  ) -> (features: [Float], gradients: [[Float]]) {
    let gradients = network.parameters.zeros()
    let tape = Tape(
      network.parameters, gradients: gradients, memory: Tape.Memory(threads: threads),
      level: level)
    let value = network.forward(TapeOperators(tape), batch, Self.pairs)
    tape.backward(
      from: value,
      seed: Matrix(rows: Self.pairs.count, columns: 5, values: Self.coefficients))
    return (value.matrix.values, gradients.map(\.values))
  }

  private static let coefficients: [Float] = (0..<40).map { Float(sin(1 + 0.9 * Double($0))) }

  @Test(arguments: levels)
  func `features and gradients are those of the definition`(level: retort_level) {
    for seed in [1, 2] as [UInt64] {
      let network = Network(width: 6, seed: seed)
      let batch = batch(seed: seed)
      let found = pass(network, batch, threads: 2, level: level)
      let reference = ReferenceOperators()
      let expected = network.forward(reference, batch, Self.pairs).values
      for (one, other) in zip(found.features, expected) {
        #expect(abs(Double(one) - other) <= 1e-4 * max(1, abs(other)), "seed \(seed)")
      }
      let inference = network.forward(
        InferenceOperators(workspace: Workspace()), batch, Self.pairs
      ).values
      #expect(zip(inference, found.features).allSatisfy { abs($0 - $1) <= 1e-4 * max(1, abs($1)) })
      func loss() -> Double {
        zip(network.forward(reference, batch, Self.pairs).values, Self.coefficients)
          .reduce(0) { $0 + $1.0 * Double($1.1) }
      }
      for (place, parameter) in network.parameters.items.enumerated() {
        let key = ObjectIdentifier(parameter.values.buffer)
        let values = parameter.values.values.map(Double.init)
        let gradient = found.gradients[place]
        let largest = Double(gradient.map(abs).max() ?? 0)
        #expect(largest > 0, "\(parameter.tensors[0].name)")
        for entry in values.indices {
          var moved = values
          moved[entry] = values[entry] + 1e-5
          reference.replaced[key] = moved
          let above = loss()
          moved[entry] = values[entry] - 1e-5
          reference.replaced[key] = moved
          let slope: Double = (above - loss()) / 2e-5
          let error = abs(Double(gradient[entry]) - slope)
          #expect(
            error <= 5e-4 * largest, "\(parameter.tensors[0].name)[\(entry)], seed \(seed)")
        }
        reference.replaced[key] = nil
      }
    }
  }

  @Test func `threads do not change a byte`() {
    let network = Network(width: 16, seed: 4)
    let one = pass(network, batch(seed: 4), threads: 1)
    for threads in [2, 3, 5] {
      let other = pass(network, batch(seed: 4), threads: threads)
      #expect(other.features == one.features && other.gradients == one.gradients)
    }
  }
}
