import CKernels
import Platform
import Tensors
import Testing

/// The way back over every operator, against central differences in double precision.
@Suite struct GradientTests {
  private static let levels = ActivationKernelTests.levels

  /// The gradients of Σ coefficients · outputs.
  private func gradients(
    _ network: SmallNetwork, _ batch: RaggedBatch, _ end: SmallNetwork.End, coefficients: [Float],
    threads: Int = 2, dropout: Dropout = .none, precision: Precision = .float32,
    level: retort_level? = nil
  ) -> (output: [Float], gradients: [[Float]]) {
    let gradients = network.parameters.zeros()
    let tape = Tape(
      network.parameters, gradients: gradients, memory: Tape.Memory(threads: threads),
      dropout: dropout, precision: precision, level: level)
    let value = network.forward(TapeOperators(tape), batch, end)
    let output = value.matrix.values
    tape.backward(
      from: value, seed: Matrix(rows: batch.count, columns: 3, values: coefficients))
    return (output, gradients.map(\.values))
  }

  private func coefficients(_ batch: RaggedBatch) -> [Float] {
    (0..<batch.count * 3).map { Float(sin(1 + 0.9 * Double($0))) }
  }

  /// The entry farthest from 0, and how far it is.
  private static func largest(_ gradient: [Float]) -> (entry: Int, size: Double) {
    let entry = gradient.indices.max { abs(gradient[$0]) < abs(gradient[$1]) } ?? 0
    return (entry, Double(abs(gradient[entry])))
  }

  @Test(arguments: levels, [Activation.geluErf, .geluTanh, .tanh, .relu])
  func `gradients of all weights equal central differences`(
    level: retort_level, activation: Activation
  ) {
    let cases:
      [(
        width: Int, heads: Int, inner: Int, lengths: [Int], keys: [Int]?, end: SmallNetwork.End
      )] = [
        (8, 2, 16, [1, 5, 2], nil, .first), (12, 3, 20, [3, 1, 0, 7, 1], nil, .mean),
        (32, 2, 48, [17, 1], nil, .normalizedMean), (12, 2, 16, [9, 4], [3, 4], .mean),
      ]
    for (number, test) in cases.enumerated() {
      let seed = UInt64(number + 1)
      let network = SmallNetwork(
        width: test.width, heads: test.heads, inner: test.inner, activation: activation, seed: seed)
      let batch = SmallNetwork.batch(test.lengths, keys: test.keys, seed: seed)
      let coefficients = coefficients(batch)
      let found = gradients(network, batch, test.end, coefficients: coefficients, level: level)
      let reference = ReferenceOperators()
      func loss() -> Double {
        zip(network.forward(reference, batch, test.end).values, coefficients)
          .reduce(0) { $0 + $1.0 * Double($1.1) }
      }
      var random = SplitMix64(seed: 99)
      for (place, parameter) in network.parameters.items.enumerated() {
        let key = ObjectIdentifier(parameter.values.buffer)
        let values = parameter.values.values.map(Double.init)
        let largest = Self.largest(found.gradients[place])
        // Some entries of every parameter, its largest among them; the sum of all would hide one
        // wrong entry.
        let others = (1..<min(values.count, 6)).map { _ in
          Int(random.next() % UInt64(values.count))
        }
        for entry in [largest.entry] + others {
          let h = 1e-5
          var moved = values
          moved[entry] = values[entry] + h
          reference.replaced[key] = moved
          let above = loss()
          moved[entry] = values[entry] - h
          reference.replaced[key] = moved
          let slope = (above - loss()) / (2 * h)
          let gradient = Double(found.gradients[place][entry])
          #expect(
            abs(gradient - slope) <= 2e-4 * largest.size,
            "\(parameter.tensors[0].name)[\(entry)] of case \(number)")
        }
        reference.replaced[key] = nil
      }
    }
  }

  @Test func `inner products of pairs have the gradients of both rows`() {
    let network = SmallNetwork(width: 8, heads: 2, inner: 16, activation: .geluErf, seed: 4)
    let batch = SmallNetwork.batch([3, 2, 4], seed: 4)
    let gradients = network.parameters.zeros()
    let tape = Tape(network.parameters, gradients: gradients, memory: Tape.Memory(threads: 1))
    let vectors = network.forward(TapeOperators(tape), batch, .first)
    let scores = TapeOperators(tape).innerProducts(vectors, [(0, 1), (0, 2), (1, 1)])
    tape.backward(from: scores, seed: Matrix(rows: 3, columns: 1, values: [0.5, -1, 0.25]))
    let reference = ReferenceOperators()
    func loss() -> Double {
      let v = network.forward(reference, batch, .first)
      func dot(_ a: Int, _ b: Int) -> Double { (0..<3).reduce(0) { $0 + v[a, $1] * v[b, $1] } }
      return 0.5 * dot(0, 1) - dot(0, 2) + 0.25 * dot(1, 1)
    }
    for (place, parameter) in network.parameters.items.enumerated() {
      let key = ObjectIdentifier(parameter.values.buffer)
      let gradient = gradients[place].values
      let largest = Self.largest(gradient)
      for entry in [1, largest.entry] {
        var moved = parameter.values.values.map(Double.init)
        moved[entry] += 1e-5
        reference.replaced[key] = moved
        let above = loss()
        moved[entry] -= 2e-5
        reference.replaced[key] = moved
        let slope = (above - loss()) / 2e-5
        let error = abs(Double(gradient[entry]) - slope)
        #expect(error <= 2e-4 * largest.size, "\(parameter.tensors[0].name)[\(entry)]")
      }
      reference.replaced[key] = nil
    }
  }

  @Test(arguments: levels)
  func `gradients in bf16 are those in f32 but for the rounding, at any number of threads`(
    level: retort_level
  ) {
    guard retort_has_bf16(level) else { return }
    let network = SmallNetwork(width: 48, heads: 4, inner: 80, activation: .geluErf, seed: 6)
    let batch = SmallNetwork.batch((0..<23).map { 1 + ($0 * 7) % 33 }, seed: 6)
    let coefficients = coefficients(batch)
    func run(_ precision: Precision, threads: Int = 2, level: retort_level = level)
      -> (output: [Float], gradients: [[Float]])
    {
      gradients(
        network, batch, .mean, coefficients: coefficients, threads: threads, precision: precision,
        level: level)
    }
    let (exact, rounded) = (run(.float32), run(.bfloat16))
    #expect(rounded.output != exact.output)
    for (place, parameter) in network.parameters.items.enumerated() {
      let (a, b) = (exact.gradients[place], rounded.gradients[place])
      let size = a.map { Double($0 * $0) }.reduce(0, +).squareRoot()
      let error = zip(a, b).map { Double(($0 - $1) * ($0 - $1)) }.reduce(0, +).squareRoot()
      #expect(error <= 0.02 * size, "\(parameter.tensors[0].name): \(error) of \(size)")
    }
    let reference = run(.bfloat16, level: RETORT_LEVEL_SCALAR)
    for (a, b) in zip(reference.gradients, rounded.gradients) {
      let largest = a.map { abs($0) }.max() ?? 0
      #expect(zip(a, b).allSatisfy { abs($0 - $1) <= 0.01 * largest })
    }
    #expect(run(.bfloat16, threads: 1).gradients == rounded.gradients)
    #expect(run(.bfloat16, threads: 5).gradients == rounded.gradients)
  }

  @Test func `gradients have the same bytes for every number of threads`() {
    let network = SmallNetwork(width: 48, heads: 4, inner: 96, activation: .geluErf, seed: 5)
    let batch = SmallNetwork.batch((0..<40).map { 1 + ($0 * 7) % 33 }, seed: 5)
    let dropout = Dropout(hidden: 0.1, attention: 0.2, seed: 3, step: 8)
    let coefficients = coefficients(batch)
    let one = gradients(
      network, batch, .mean, coefficients: coefficients, threads: 1, dropout: dropout)
    for threads in [2, 3, 7] {
      let other = gradients(
        network, batch, .mean, coefficients: coefficients, threads: threads, dropout: dropout)
      #expect(other.output == one.output)
      #expect(other.gradients == one.gradients)
    }
  }

  @Test(arguments: levels)
  func `gradients under dropout are those of the network that is left`(level: retort_level) {
    let network = SmallNetwork(width: 16, heads: 2, inner: 32, activation: .geluTanh, seed: 6)
    let batch = SmallNetwork.batch([5, 1, 9, 4], seed: 6)
    let dropout = Dropout(hidden: 0.3, attention: 0.3, seed: 1, step: 2)
    let coefficients = coefficients(batch)
    func run() -> (output: [Float], gradients: [[Float]]) {
      gradients(
        network, batch, .first, coefficients: coefficients, dropout: dropout, level: level)
    }
    func loss() -> Double {
      zip(run().output, coefficients).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    let found = run().gradients
    // Single precision allows a large step only, so along the gradient, where the change is largest.
    for (place, parameter) in network.parameters.items.enumerated() {
      let values = parameter.values.values
      let gradient = found[place]
      let length = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      guard length > 1e-3 else { continue }
      let h = 4e-3
      func move(_ sign: Double) {
        for (entry, value) in values.enumerated() {
          parameter.values.storage(entry..<entry + 1)[0] =
            value + Float(sign * h * Double(gradient[entry]) / length)
        }
      }
      move(1)
      let above = loss()
      move(-1)
      let slope = (above - loss()) / (2 * h)
      move(0)
      #expect(abs(slope - length) <= 0.02 * length, "\(parameter.tensors[0].name)")
    }
  }

  @Test func `batches of many sizes need no more memory than the largest`() {
    let network = SmallNetwork(width: 16, heads: 2, inner: 64, activation: .geluErf, seed: 7)
    func run(_ memory: Tape.Memory, tokens: Int) {
      let batch = SmallNetwork.batch(Array(repeating: 20, count: tokens / 20), seed: 7)
      let tape = Tape(network.parameters, gradients: network.parameters.zeros(), memory: memory)
      let value = network.forward(TapeOperators(tape), batch, .mean)
      tape.backward(
        from: value, seed: Matrix(rows: batch.count, columns: 3, values: coefficients(batch)))
    }
    let (used, fresh) = (Tape.Memory(threads: 1), Tape.Memory(threads: 1))
    run(fresh, tokens: 4000)
    var random = SplitMix64(seed: 8)
    for _ in 0..<30 { run(used, tokens: 2000 + Int(random.next() % 100) * 20) }
    #expect(Double(used.bytes) <= 1.3 * Double(fresh.bytes))
  }
}
