import CKernels
import Platform
import Testing

/// The kernels of training at every instruction set of this CPU, against the scalar reference.
@Suite struct TrainingKernelTests {
  private static let levels = ActivationKernelTests.levels
  private static let lengths = [1, 2, 7, 8, 9, 16, 31, 100, 5000]

  private func random(_ count: Int, seed: UInt64, scale: Double = 1) -> [Float] {
    var generator = SplitMix64(seed: seed)
    return (0..<count).map { _ in Float(scale * generator.normal()) }
  }

  private func isClose(_ a: [Float], _ b: [Float], within tolerance: Float = 2e-5) -> Bool {
    zip(a, b).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($1)) }
  }

  @Test(arguments: levels)
  func `dropout keeps the same elements everywhere and in every split`(level: retort_level) {
    let mask = retort_dropout_mask(key: 0x1234_5678_9ABC, threshold: 1 << 22, scale: 4 / 3)
    for count in Self.lengths {
      let x = random(count, seed: 1)
      var (whole, reference, parts) = (x, x, x)
      retort_dropout(level, &whole, count, 10, mask)
      retort_dropout(RETORT_LEVEL_SCALAR, &reference, count, 10, mask)
      #expect(whole == reference)
      let cut = count / 3
      parts.withUnsafeMutableBufferPointer { parts in
        guard let base = parts.baseAddress else { return }
        retort_dropout(level, base, cut, 10, mask)
        retort_dropout(level, base + cut, count - cut, 10 + UInt32(cut), mask)
      }
      #expect(parts == whole)
    }
    var ones = [Float](repeating: 1, count: 100_000)
    retort_dropout(level, &ones, ones.count, 0, mask)
    let kept = Double(ones.count { $0 > 0 }) / 100_000
    #expect(abs(kept - 0.75) < 0.01)
  }

  @Test(arguments: levels)
  func `slopes of GELU are accurate to 3e-6`(level: retort_level) {
    let x = (-70000...70000).map { Float($0) * 1e-4 }
    for erfForm in [true, false] {
      var slope = [Float](repeating: 1, count: x.count)
      if erfForm {
        retort_gelu_erf_slope(level, &slope, x, x.count)
      } else {
        retort_gelu_tanh_slope(level, &slope, x, x.count)
      }
      var worst = 0.0
      for (x, slope) in zip(x, slope) {
        let v = Double(x)
        let exact: Double
        if erfForm {
          exact =
            0.5 * erfc(-v / 2.0.squareRoot()) + v * exp(-v * v / 2) / (2 * Double.pi).squareRoot()
        } else {
          let k = (2 / Double.pi).squareRoot()
          let t = tanh(k * (v + 0.044715 * v * v * v))
          exact = 0.5 * (1 + t) + 0.5 * v * (1 - t * t) * k * (1 + 0.134145 * v * v)
        }
        worst = max(worst, abs(Double(slope) - exact))
      }
      #expect(worst <= 3e-6)
    }
  }

  @Test(arguments: levels, lengths)
  func `layer normalisation goes back as the reference does`(level: retort_level, count: Int) {
    let (s, dy, weight) = (
      random(count, seed: 2), random(count, seed: 3), random(count, seed: 4)
    )
    func run(_ level: retort_level) -> [[Float]] {
      var (dx, dweight, dbias) = (dy, weight, weight)
      retort_layer_norm_backward(level, &dx, &dweight, &dbias, dy, s, weight, count, 1e-3)
      return [dx, dweight, dbias]
    }
    for (found, expected) in zip(run(level), run(RETORT_LEVEL_SCALAR)) {
      #expect(isClose(found, expected, within: 1e-4))
    }
  }

  @Test(arguments: levels)
  func `small products of all shapes equal the reference`(level: retort_level) {
    for (rows, columns, depth) in [(1, 1, 1), (6, 16, 5), (7, 33, 12), (13, 40, 32), (3, 8, 100)] {
      for (adds, turned) in [(false, false), (true, false), (false, true), (true, true)] {
        let (a, b) = (random(rows * depth, seed: 5), random(depth * columns, seed: 6))
        func run(_ level: retort_level) -> [Float] {
          var c = random(rows * columns, seed: 7)
          retort_small_product(
            level, &c, columns, a, turned ? 1 : depth, turned ? rows : 1, b, columns, rows, columns,
            depth, adds)
          return c
        }
        #expect(isClose(run(level), run(RETORT_LEVEL_SCALAR)))
      }
    }
  }

  @Test(arguments: levels, [0, 1 << 21])
  func `attention with dropout and its way back equal the reference`(
    level: retort_level, threshold: UInt32
  ) {
    let mask = retort_dropout_mask(
      key: 77, threshold: threshold, scale: Float(1 / (1 - Double(threshold) / 0x1p24)))
    let cases: [(length: Int, keys: Int, heads: Int, size: Int)] = [
      (1, 1, 1, 4), (5, 5, 2, 4), (17, 17, 3, 8), (33, 33, 2, 32), (64, 64, 1, 24), (32, 5, 2, 8),
      (33, 17, 1, 4),
    ]
    for (length, keys, heads, size) in cases {
      let width = heads * size
      let (qkv, dout) = (random(length * 3 * width, seed: 8), random(length * width, seed: 9))
      func run(_ level: retort_level) -> (out: [Float], gradient: [Float]) {
        var out = [Float](repeating: 0, count: length * width)
        var gradient = [Float](repeating: 0, count: length * 3 * width)
        var scratch = [Float](
          repeating: .nan, count: retort_attention_training_scratch(length, size))
        for head in 0..<heads {
          retort_attention_dropped(
            level, &out, width, qkv, 3 * width, length, keys, heads, head, size, 0.3, mask, &scratch
          )
          retort_attention_backward(
            level, &gradient, dout, width, qkv, 3 * width, length, keys, heads, head, size, 0.3,
            mask, &scratch)
        }
        return (out, gradient)
      }
      let (found, expected) = (run(level), run(RETORT_LEVEL_SCALAR))
      #expect(isClose(found.out, expected.out))
      #expect(isClose(found.gradient, expected.gradient, within: 1e-4))
    }
  }

  @Test(arguments: levels, lengths)
  func `Adam, sums and squares equal the reference`(level: retort_level, count: Int) {
    let step = retort_adam_step(
      scale: 0.5, beta1: 0.9, beta2: 0.999, rate: 0.01, root: 3, epsilon: 1e-8,
      penalty: 0.02, decay: 0.999)
    func run(_ level: retort_level) -> [[Float]] {
      var (p, m, v) = (
        random(count, seed: 10), random(count, seed: 11), random(count, seed: 12).map { $0 * $0 }
      )
      let gradient = random(count, seed: 13)
      retort_adam(level, &p, &m, &v, gradient, count, step)
      retort_add(level, &m, gradient, count)
      return [p, m, v, [Float(retort_sum_of_squares(level, gradient, count))]]
    }
    for (found, expected) in zip(run(level), run(RETORT_LEVEL_SCALAR)) {
      #expect(isClose(found, expected))
    }
  }
}
