import Distillation
import Platform
import Tensors
import Testing

@Suite struct OptimizerTests {
  private func parameters(_ values: [Float]) -> ParameterList {
    var list = ParameterList()
    list.append(
      Parameter(
        Matrix(rows: 1, columns: values.count, values: values),
        [.init("p", shape: [values.count])], group: .encoder, decays: true))
    return list
  }

  @Test(arguments: [
    (0.0, [0.900000002, 0.936610354, 0.95027942]),
    (0.01, [0.899000002, 0.934711354, 0.947445709]),
  ])
  func `three steps give the worked values`(decay: Double, golden: [Double]) {
    let list = parameters([1])
    var settings = Adam.Settings()
    settings.weightDecay = decay
    var adam = Adam(list, settings)
    for (gradient, golden) in zip([Float(0.5), -1, 0.25], golden) {
      adam.step(
        gradients: [Matrix(rows: 1, columns: 1, values: [gradient])], rates: [.encoder: 0.1],
        threads: 1)
      #expect(abs(Double(list.items[0].values.values[0]) - golden) <= 1e-6)
    }
  }

  @Test func `Adam's weight decay is a part of the gradient`() {
    var settings = Adam.Settings()
    settings.kind = .adam
    settings.weightDecay = 0.25
    let list = parameters([1])
    var adam = Adam(list, settings)
    // The same gradients with a quarter of the weight added by hand.
    let reference = parameters([1])
    var plain = Adam(reference)
    for gradient in [Float(0.5), -1, 0.25] {
      let added = gradient + 0.25 * reference.items[0].values.values[0]
      adam.step(
        gradients: [Matrix(rows: 1, columns: 1, values: [gradient])], rates: [.encoder: 0.1],
        threads: 1)
      plain.step(
        gradients: [Matrix(rows: 1, columns: 1, values: [added])], rates: [.encoder: 0.1],
        threads: 1)
      let difference = list.items[0].values.values[0] - reference.items[0].values.values[0]
      #expect(abs(difference) <= 1e-6)
    }
  }

  @Test func `a group without a rate stays as it is`() {
    let list = parameters([1, 2, 3])
    var adam = Adam(list)
    adam.step(
      gradients: [Matrix(rows: 1, columns: 3, values: [1, 1, 1])], rates: [.head: 0.1], threads: 1)
    #expect(list.items[0].values.values == [1, 2, 3])
  }

  @Test func `the norm does not depend on threads`() {
    var random = SplitMix64(seed: 1)
    let gradients = [700_000, 5, 300_000].map { count in
      Matrix(rows: 1, columns: count, values: (0..<count).map { _ in Float(random.normal()) })
    }
    let norm = globalNorm(gradients, threads: 1)
    let exact = gradients.flatMap(\.values).reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    #expect(abs(norm - exact) <= 1e-6 * exact)
    for threads in 2...5 { #expect(globalNorm(gradients, threads: threads) == norm) }
  }

  @Test func `schedules rise, and fall as they are called`() {
    let linear = Schedule(.linear, warmup: 4, total: 12)
    #expect((0..<4).map(linear.factor) == [0.25, 0.5, 0.75, 1])
    #expect(linear.factor(at: 8) == 0.5)
    #expect(linear.factor(at: 12) == 0)
    let cosine = Schedule(.cosine, warmup: 0, total: 10)
    #expect(cosine.factor(at: 0) == 1)
    #expect(abs(cosine.factor(at: 5) - 0.5) < 1e-12)
    #expect(abs(cosine.factor(at: 10)) < 1e-12)
    #expect(Schedule(.constant, warmup: 0, total: 10).factor(at: 9) == 1)
  }
}
