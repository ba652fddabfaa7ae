import CKernels
import Platform
import Tensors
import Testing

/// The operators of inference against their definitions in double precision.
@Suite struct OperatorTests {
  private let ops = InferenceOperators(workspace: Workspace())

  private func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
    var generator = Seeded(seed)
    return Matrix(rows: rows, columns: columns, values: generator.floats(rows * columns))
  }

  @Test func `embedding sums the rows of all tables`() {
    let (words, positions) = (random(5, 3, seed: 1), random(4, 3, seed: 2))
    let sum = ops.embed([
      (EmbeddingWeights(table: words), [4, 0, 2]),
      (EmbeddingWeights(table: positions), [0, 1, 2]),
    ])
    for (row, word) in [4, 0, 2].enumerated() {
      for column in 0..<3 {
        let expected = words.values[word * 3 + column] + positions.values[row * 3 + column]
        #expect(sum.values[row * 3 + column] == expected)
      }
    }
  }

  @Test(arguments: [(1, 1, 1), (3, 5, 7), (17, 64, 48), (130, 33, 65)])
  func `a linear layer is x times W transposed plus b`(rows: Int, inputs: Int, outputs: Int) {
    let x = random(rows, inputs, seed: 3)
    let weight = random(outputs, inputs, seed: 4)
    let bias = random(1, outputs, seed: 5)
    let plain = LinearWeights(weight: weight, bias: bias)
    for weights in [plain, plain.packed(.float32)] {
      #expect((weights.inputs, weights.outputs) == (inputs, outputs))
      let y = ops.linear(x, weights).values
      let (xs, ws, bs) = (x.values, weight.values, bias.values)
      for row in 0..<rows {
        for output in 0..<outputs {
          let products = (0..<inputs).map { input -> Double in
            Double(xs[row * inputs + input]) * Double(ws[output * inputs + input])
          }
          let sum = products.reduce(Double(bs[output]), +)
          #expect(abs(Double(y[row * outputs + output]) - sum) <= 1e-5)
        }
      }
    }
  }

  // Rows of 512 floats are half a page long, which the fused half lays out apart.
  @Test(arguments: Precision.allCases, [1, 5, 49])
  func `fused halves of a layer equal their parts`(precision: Precision, rows: Int) {
    let width = 36
    let wide = rows == 5 ? 70 : 512
    func layer(_ inputs: Int, _ outputs: Int, seed: UInt64) -> LinearWeights {
      LinearWeights(
        weight: random(outputs, inputs, seed: seed), bias: random(1, outputs, seed: seed + 1)
      ).packed(precision)
    }
    let (inner, output) = (layer(width, wide, seed: 20), layer(wide, width, seed: 22))
    let norm = LayerNormWeights(
      weight: random(1, width, seed: 24), bias: random(1, width, seed: 25), epsilon: 1e-12)
    let x = random(rows, width, seed: 26)
    for function in [Activation.geluErf, .geluTanh, .relu, .tanh] {
      let fused = ops.feedForward(x, inner: inner, function, output: output, norm).values
      let hidden = ops.activate(ops.linear(x, inner), function)
      let parts = ops.layerNorm(ops.linear(hidden, output), residual: x, norm).values
      for (a, b) in zip(fused, parts) {
        // Inside a kernel of rounded products GELU is less exact (1.5e-5); int8 may fall a code apart.
        #expect(abs(a - b) <= (precision == .float32 ? 1e-5 : 0.05), "\(function)")
      }
    }
  }

  @Test(arguments: Precision.allCases, ActivationKernelTests.levels)
  func `attention of first tokens alone gives the rows of attention of all, whatever is packed`(
    precision: Precision, level: retort_level
  ) {
    let ops = InferenceOperators(workspace: Workspace(), level: level)
    for (width, heads) in [(48, 3), (64, 2), (36, 2)] {
      var batch = RaggedBatch(lengths: [3, 1, 40, 17, 129])
      batch.append([Int32](repeating: 0, count: 20), keys: 9)
      let x = random(batch.ids.count, width, seed: 31)
      let plain = LinearWeights(
        weight: random(3 * width, width, seed: 32), bias: random(1, 3 * width, seed: 33))
      for weights in [plain, plain.packed(precision, level: level)] {
        let all = ops.attention(
          ops.attentionInputs(x, weights, offsets: batch.offsets), heads: heads,
          offsets: batch.offsets, keys: batch.keys, precision: weights.precision)
        let first = ops.firstAttention(
          x, weights, heads: heads, offsets: batch.offsets, keys: batch.keys)
        #expect(first.values == ops.rows(all, batch.firstRows).values, "\(width)")
      }
    }
  }

  @Test(arguments: [36, 48], ActivationKernelTests.levels)
  func `int8 reads the values of first rows finely and everything else as a linear layer does`(
    width: Int, level: retort_level
  ) {
    let ops = InferenceOperators(workspace: Workspace(), level: level)
    // Integers with one of 127 in each row are their own codes: what differs is the rounding of x.
    var generator = Seeded(27)
    var weights = generator.floats(3 * width * width).map { ($0 * 50).rounded() }
    for output in 0..<3 * width {
      weights[output * width] = 127
      weights[output * width + 1] = 0
    }
    let weight = Matrix(rows: 3 * width, columns: width, values: weights)
    let bias = random(1, 3 * width, seed: 28)
    let layer = LinearWeights(weight: weight, bias: bias).packed(.int8, level: level)
    // Sequences of 33, none, 36 and one.
    let (x, offsets) = (random(70, width, seed: 29), [0, 33, 33, 69, 70])
    let rounded = ops.linear(x, layer).values
    let fine = ops.attentionInputs(x, layer, offsets: offsets).values
    let exact = ops.linear(x, LinearWeights(weight: weight, bias: bias)).values
    // What lies in one panel with the first values is read finely too.
    let first = 2 * width / Int(RETORT_PANEL) * Int(RETORT_PANEL)
    var (coarse, left) = (Float(0), Float(0))
    for row in 0..<70 {
      for column in 0..<3 * width {
        let index = row * 3 * width + column
        guard [0, 33, 69].contains(row), column >= first else {
          #expect(fine[index] == rounded[index], "row \(row), column \(column)")
          continue
        }
        coarse = max(coarse, abs(rounded[index] - exact[index]))
        left = max(left, abs(fine[index] - exact[index]))
      }
    }
    #expect(left < coarse / 50)
    let none = Matrix(rows: 0, columns: width)
    #expect(ops.attentionInputs(none, layer, offsets: [0, 0]).rows == 0)
    for precision in [Precision.float32, .bfloat16] {
      let packed = LinearWeights(weight: weight, bias: bias).packed(precision, level: level)
      let same = ops.attentionInputs(x, packed, offsets: offsets).values
      #expect(same == ops.linear(x, packed).values)
    }
  }

  /// Attention from the definition, one sequence and head at a time.
  private func reference(_ qkv: Matrix, heads: Int, offsets: [Int]) -> [Double] {
    let width = qkv.columns / 3
    let size = width / heads
    let values = qkv.values.map(Double.init)
    var out = [Double](repeating: 0, count: qkv.rows * width)
    for (start, end) in zip(offsets, offsets.dropFirst()) {
      for head in 0..<heads {
        for i in start..<end {
          let scores = (start..<end).map { j in
            (0..<size).reduce(0.0) {
              $0 + values[i * 3 * width + head * size + $1]
                * values[j * 3 * width + width + head * size + $1]
            } / Double(size).squareRoot()
          }
          let top = scores.max() ?? 0
          let powers = scores.map { exp($0 - top) }
          let total = powers.reduce(0, +)
          for column in 0..<size {
            out[i * width + head * size + column] = zip(start..<end, powers).reduce(0.0) {
              $0 + $1.1 / total * values[$1.0 * 3 * width + 2 * width + head * size + column]
            }
          }
        }
      }
    }
    return out
  }

  @Test func `attention stays within its sequence and follows the definition`() {
    // The longest sequence does not fit one block of scores.
    let lengths = [1, 7, 0, 33, 300]
    var offsets = [0]
    for length in lengths { offsets.append((offsets.last ?? 0) + length) }
    let qkv = random(offsets.last ?? 0, 3 * 12, seed: 6)
    for heads in [1, 2, 3] {
      let result = ops.attention(qkv, heads: heads, offsets: offsets).values
      let expected = reference(qkv, heads: heads, offsets: offsets)
      let difference = zip(result, expected).map { abs(Double($0) - $1) }.max() ?? .infinity
      #expect(difference <= 1e-5, "\(heads) heads")
    }
  }

  @Test(arguments: [Precision.bfloat16, .int8])
  func
    `attention of rounded products rounds where the CPU multiplies bf16, each sequence by itself`(
      precision: Precision
    )
  {
    let (lengths, heads, width) = ([1, 7, 33, 130], 2, 64)
    var offsets = [0]
    for length in lengths { offsets.append((offsets.last ?? 0) + length) }
    let qkv = random(offsets.last ?? 0, 3 * width, seed: 16)
    let exact = ops.attention(
      qkv, heads: heads, offsets: offsets, keys: lengths, precision: .float32
    ).values
    let rounded = ops.attention(
      qkv, heads: heads, offsets: offsets, keys: lengths, precision: precision
    ).values
    let difference = zip(exact, rounded).map { abs($0 - $1) }.max() ?? .infinity
    #expect(difference <= 0.05)
    #expect((difference > 0) == retort_multiplies_bf16(retort_level_in_use()))
    for (number, length) in lengths.enumerated() {
      let rows = offsets[number]..<offsets[number + 1]
      let own = Matrix(
        rows: length, columns: 3 * width,
        values: Array(qkv.values[rows.lowerBound * 3 * width..<rows.upperBound * 3 * width]))
      let alone = ops.attention(
        own, heads: heads, offsets: [0, length], keys: [length], precision: precision
      ).values
      #expect(alone == Array(rounded[rows.lowerBound * width..<rows.upperBound * width]))
    }
  }

  @Test func `mean pooling averages every sequence and gives zero for an empty one`() {
    let x = Matrix(rows: 3, columns: 2, values: [1, 2, 3, 6, 5, -4])
    #expect(ops.mean(x, offsets: [0, 2, 2, 3]).values == [2, 4, 0, 0, 5, -4])
  }

  @Test func `rows are picked by index`() {
    let x = Matrix(rows: 3, columns: 2, values: [1, 2, 3, 4, 5, 6])
    #expect(ops.rows(x, [2, 0, 2]).values == [5, 6, 1, 2, 5, 6])
  }

  @Test func `normalised rows have length 1 and a zero row stays zero`() {
    let x = Matrix(rows: 3, columns: 2, values: [3, 4, 0, 0, 1e30, 0])
    let y = ops.normalize(x).values
    for (value, golden) in zip(y, [0.6, 0.8, 0, 0, 1, 0] as [Float]) {
      #expect(abs(value - golden) <= 1e-6)
    }
  }

  @Test func `activations follow their definitions`() {
    let x = Matrix(rows: 1, columns: 3, values: [-1, 0, 2])
    #expect(ops.activate(x, .relu).values == [0, 0, 2])
    for (value, input) in zip(ops.activate(x, .tanh).values, x.values) {
      #expect(abs(Double(value) - tanh(Double(input))) <= 1e-7)
    }
  }

  @Test func `a workspace takes back what nobody holds and keeps what somebody does`() {
    let workspace = Workspace()
    let ops = InferenceOperators(workspace: workspace)
    let x = random(4, 8, seed: 8)
    let kept = ops.activate(x, .relu)
    let before = kept.values
    var bytes = 0
    for round in 0..<50 {
      var y = ops.activate(x, .tanh)
      for _ in 0..<5 { y = ops.activate(y, .tanh) }
      if round == 0 { bytes = workspace.bytes }
    }
    #expect(workspace.bytes == bytes, "a second round must not need more memory than the first")
    #expect(kept.values == before)
  }
}

@Suite struct MicroBatchTests {
  @Test func `every sequence is in one batch, longest first, within the budget`() {
    for seed in 0..<50 {
      var generator = Seeded(UInt64(seed))
      let lengths = (0..<200).map { _ in Int.random(in: 0...90, using: &generator) }
      let batches = MicroBatches.plan(lengths: lengths, tokens: 64)
      let order = batches.flatMap { $0 }
      #expect(order.sorted() == lengths.indices.filter { lengths[$0] > 0 }, "seed \(seed)")
      #expect(zip(order, order.dropFirst()).allSatisfy { lengths[$0] >= lengths[$1] })
      for batch in batches {
        #expect(batch.count == 1 || batch.reduce(0) { $0 + lengths[$1] } <= 64, "seed \(seed)")
      }
    }
  }

  @Test func `a ragged batch lays sequences end to end`() {
    var batch = RaggedBatch([[7, 8], [9]])
    batch.append([1, 2], types: [0, 1], firstPosition: 5)
    #expect(batch.ids == [7, 8, 9, 1, 2])
    #expect(batch.positions == [0, 1, 0, 5, 6])
    #expect(batch.types == [0, 0, 0, 0, 1])
    #expect(batch.offsets == [0, 2, 3, 5])
    #expect(batch.firstRows == [0, 2, 3])
    batch.append([1, 2, 3], keys: 2)
    #expect(batch.keys == [2, 1, 2, 2])
  }
}
