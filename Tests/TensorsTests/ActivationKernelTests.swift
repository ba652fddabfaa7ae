import CKernels
import Platform
import Testing

/// Row kernels of every instruction set of this CPU, against double precision.
@Suite struct ActivationKernelTests {
  static let levels = (0...3 as ClosedRange<UInt32>).map { retort_level(rawValue: $0) }
    .filter { retort_level_available($0) }

  /// Lengths around every vector width, and one long row.
  static let lengths = Array(0...35) + [64, 127, 384, 1000]

  @Test func `the best level of this CPU is one it has`() {
    #expect(Self.levels.contains(RETORT_LEVEL_SCALAR))
    #expect(Self.levels.contains(retort_level_in_use()))
  }

  @Test(arguments: levels)
  func `GELU with the error function is accurate to 1e-6`(level: retort_level) {
    let x = (-80000...80000).map { Float($0) * 1e-4 }
    var y = [Float](repeating: .nan, count: x.count)
    retort_gelu_erf(level, &y, x, x.count)
    for (x, y) in zip(x, y) {
      let exact = 0.5 * Double(x) * erfc(-Double(x) / 2.0.squareRoot())
      #expect(abs(Double(y) - exact) <= 1e-6, "x = \(x)")
    }
  }

  @Test(arguments: levels)
  func `GELU in the tanh form is accurate to 1e-6`(level: retort_level) {
    let x = (-80000...80000).map { Float($0) * 1e-4 }
    var y = [Float](repeating: .nan, count: x.count)
    retort_gelu_tanh(level, &y, x, x.count)
    for (x, y) in zip(x, y) {
      let v = Double(x)
      let exact = 0.5 * v * (1 + tanh((2 / Double.pi).squareRoot() * (v + 0.044715 * v * v * v)))
      #expect(abs(Double(y) - exact) <= 1e-6, "x = \(x)")
    }
  }

  @Test(arguments: levels)
  func `GELU meets its golden values and its limits`(level: retort_level) {
    let x: [Float] = [-2, -1, -0.5, 0, 0.5, 1, 2, -1000, 1000, -.infinity, .infinity]
    let erfForm: [Float] = [-0.0455, -0.158655, -0.154269, 0, 0.345731, 0.841345, 1.9545, 0, 1000]
    let tanhForm: [Float] = [
      -0.045402, -0.158808, -0.154286, 0, 0.345714, 0.841192, 1.954598, 0, 1000,
    ]
    var y = [Float](repeating: 0, count: x.count)
    retort_gelu_erf(level, &y, x, x.count)
    for (value, golden) in zip(y, erfForm) { #expect(abs(value - golden) <= 1e-6) }
    retort_gelu_tanh(level, &y, x, x.count)
    for (value, golden) in zip(y, tanhForm) { #expect(abs(value - golden) <= 1e-6) }
  }

  @Test(arguments: levels)
  func `NaN is not hidden by any kernel`(level: retort_level) {
    for position in [0, 3, 18] {
      var x = [Float](repeating: 0.5, count: 19)
      x[position] = .nan
      var y = x
      retort_gelu_erf(level, &y, x, x.count)
      #expect(y[position].isNaN)
      retort_gelu_tanh(level, &y, x, x.count)
      #expect(y[position].isNaN)
      y = x
      retort_softmax(level, &y, y.count, 1)
      #expect(y[position].isNaN)
      let ones = [Float](repeating: 1, count: 19)
      retort_layer_norm(level, &y, x, nil, ones, ones, x.count, 1e-12)
      #expect(y[position].isNaN)
    }
  }

  @Test(arguments: levels)
  func `kernels write exactly their row`(level: retort_level) {
    for count in Self.lengths {
      var generator = Seeded(UInt64(count))
      let x = generator.floats(count + 1)
      let guarded: Float = 12345
      for kernel in [retort_gelu_erf, retort_gelu_tanh] {
        var y = [Float](repeating: guarded, count: count + 1)
        kernel(level, &y, x, count)
        #expect(y[count] == guarded)
        #expect(!y[..<count].contains(guarded))
        var reference = [Float](repeating: 0, count: count)
        kernel(RETORT_LEVEL_SCALAR, &reference, x, count)
        for (a, b) in zip(y, reference) { #expect(abs(a - b) <= 1e-6) }
      }
      var row = x
      row[count] = guarded
      retort_softmax(level, &row, count, 0.3)
      #expect(row[count] == guarded)
    }
  }

  @Test(arguments: levels)
  func `softmax is that of the definition`(level: retort_level) {
    for count in Self.lengths where count > 0 {
      var generator = Seeded(UInt64(count) + 7)
      let x = generator.floats(count).map { $0 * 40 }
      var y = x
      retort_softmax(level, &y, count, 0.25)
      let top = x.max() ?? 0
      let powers = x.map { exp((Double($0) - Double(top)) * 0.25) }
      let total = powers.reduce(0, +)
      for (value, power) in zip(y, powers) {
        #expect(abs(Double(value) - power / total) <= 2e-6 * power / total + 1e-37)
      }
    }
  }

  @Test(arguments: levels)
  func `softmax survives large and far apart scores`(level: retort_level) {
    var row: [Float] = [3e38, -3e38, 3e38, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    retort_softmax(level, &row, row.count, 1)
    #expect(abs(row[0] - 0.5) <= 1e-6)
    #expect(abs(row[2] - 0.5) <= 1e-6)
    #expect(row[1] < 1e-30)
  }

  @Test(arguments: levels)
  func `layer normalisation is that of the definition`(level: retort_level) {
    for count in Self.lengths where count > 1 {
      var generator = Seeded(UInt64(count) + 99)
      let (x, r) = (generator.floats(count).map { $0 * 3 + 5 }, generator.floats(count))
      let (w, b) = (generator.floats(count), generator.floats(count))
      for residual in [nil, r] {
        var y = [Float](repeating: 0, count: count)
        retort_layer_norm(level, &y, x, residual, w, b, count, 1e-5)
        let s = x.indices.map { Double(x[$0]) + Double(residual?[$0] ?? 0) }
        let mean = s.reduce(0, +) / Double(count)
        let variance = s.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
        for i in x.indices {
          let exact = (s[i] - mean) / (variance + 1e-5).squareRoot() * Double(w[i]) + Double(b[i])
          #expect(abs(Double(y[i]) - exact) <= 2e-5, "element \(i) of \(count)")
        }
      }
    }
  }

  @Test(arguments: levels)
  func `layer normalisation of 1 2 3 4 is the golden one`(level: retort_level) {
    let (x, ones, zeros): ([Float], [Float], [Float]) = (
      [1, 2, 3, 4], [1, 1, 1, 1], [0, 0, 0, 0]
    )
    var y = x
    retort_layer_norm(level, &y, x, nil, ones, zeros, 4, 1e-12)
    for (value, golden) in zip(y, [-1.341641, -0.447214, 0.447214, 1.341641] as [Float]) {
      #expect(abs(value - golden) <= 1e-6)
    }
  }

  @Test(arguments: levels)
  func `kernels may write over their input`(level: retort_level) {
    var generator = Seeded(5)
    let (x, r) = (generator.floats(83), generator.floats(83))
    var (apart, inPlace) = (x, x)
    retort_gelu_erf(level, &apart, x, 83)
    inPlace.withUnsafeMutableBufferPointer {
      retort_gelu_erf(level, $0.baseAddress, $0.baseAddress, 83)
    }
    #expect(apart == inPlace)
    inPlace = x
    retort_layer_norm(level, &apart, x, r, r, x, 83, 1e-12)
    inPlace.withUnsafeMutableBufferPointer {
      retort_layer_norm(level, $0.baseAddress, $0.baseAddress, r, r, x, 83, 1e-12)
    }
    #expect(apart == inPlace)
  }
}

/// SplitMix64, so that a failing test fails again.
struct Seeded: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Uniform in −1..<1.
  mutating func floats(_ count: Int) -> [Float] {
    (0..<count).map { _ in Float.random(in: -1..<1, using: &self) }
  }
}
