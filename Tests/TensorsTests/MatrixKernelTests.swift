import CKernels
import Platform
import Tensors
import Testing

/// Memory of floats, bytes or integers for a kernel, aligned to a cache line.
private final class Memory<Element: BitwiseCopyable> {
  let pointer: UnsafeMutablePointer<Element>
  let count: Int

  init(_ count: Int, _ value: Element) {
    let raw = UnsafeMutableRawPointer.allocate(
      byteCount: max(count, 1) * MemoryLayout<Element>.stride, alignment: 64)
    pointer = raw.bindMemory(to: Element.self, capacity: max(count, 1))
    pointer.initialize(repeating: value, count: count)
    self.count = count
  }

  convenience init(_ values: [Element], filledTo count: Int, _ value: Element) {
    self.init(count, value)
    pointer.update(from: values, count: values.count)
  }

  deinit { pointer.deallocate() }

  var values: [Element] { Array(UnsafeBufferPointer(start: pointer, count: count)) }
}

/// A layer packed in one format, as a kernel sees it.
private final class Packed {
  let panels: Memory<UInt8>
  let bias: Memory<Float>
  let scales: Memory<Float>
  let sums: Memory<Int32>
  let kernel: retort_weights

  init(
    _ format: retort_format, _ weights: [Float], bias values: [Float], inputs: Int,
    limitsPairs: Bool = true
  ) {
    let outputs = values.count
    let filled = (outputs + 15) / 16 * 16
    panels = Memory(retort_panel_bytes(format, outputs, inputs), 0xff)
    bias = Memory(values, filledTo: filled, 0)
    scales = Memory(filled, .nan)
    sums = Memory(filled, -1)
    let raw = UnsafeMutableRawPointer(panels.pointer)
    switch format {
    case RETORT_FORMAT_INT8:
      retort_pack_int8(
        raw.assumingMemoryBound(to: Int8.self), scales.pointer, sums.pointer, weights, outputs,
        inputs, limitsPairs)
    case RETORT_FORMAT_BF16:
      retort_pack_bf16(raw.assumingMemoryBound(to: UInt16.self), weights, outputs, inputs)
    default: retort_pack_f32(raw.assumingMemoryBound(to: Float.self), weights, outputs, inputs)
    }
    var kernel = retort_weights()
    kernel.format = format
    kernel.inputs = inputs
    kernel.outputs = outputs
    kernel.panels = UnsafeRawPointer(panels.pointer)
    kernel.bias = UnsafePointer(bias.pointer)
    kernel.scales = UnsafePointer(scales.pointer)
    kernel.sums = UnsafePointer(sums.pointer)
    self.kernel = kernel
  }
}

/// The matrix kernels of every instruction set of this CPU against the scalar reference, and that
/// against the definition.
@Suite struct MatrixKernelTests {
  static let levels = ActivationKernelTests.levels

  /// Rows around every tile height, inputs around every step, outputs around every panel.
  static let shapes: [(rows: Int, inputs: Int, outputs: Int)] = {
    var shapes: [(rows: Int, inputs: Int, outputs: Int)] = [(48, 384, 100), (7, 1536, 48)]
    for (number, rows) in [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 25].enumerated() {
      for (other, inputs) in [1, 2, 3, 4, 5, 31, 32, 65].enumerated() {
        let outputs = [1, 15, 16, 17, 33, 47, 48, 49, 80]
        shapes.append((rows, inputs, outputs[(number + other) % outputs.count]))
      }
    }
    return shapes
  }()

  static let epilogues = [RETORT_IDENTITY, RETORT_GELU_ERF, RETORT_GELU_TANH]

  private func layer(
    _ format: retort_format, _ generator: inout Seeded, inputs: Int, outputs: Int,
    limitsPairs: Bool = true
  ) -> (packed: Packed, weights: [Float], bias: [Float]) {
    let weights = generator.floats(inputs * outputs)
    let bias = generator.floats(outputs)
    let packed = Packed(format, weights, bias: bias, inputs: inputs, limitsPairs: limitsPairs)
    return (packed, weights, bias)
  }

  /// Codes, scales and zeros of rows.
  private func quantized(
    _ level: retort_level, _ x: [Float], rows: Int, columns: Int
  ) -> (codes: Memory<UInt8>, scales: Memory<Float>, zeros: Memory<Int32>) {
    let stride = (columns + 3) / 4 * 4
    let result = (
      codes: Memory<UInt8>(rows * stride, 77), scales: Memory<Float>(rows, .nan),
      zeros: Memory<Int32>(rows, -1)
    )
    retort_quantize_rows(
      level, result.codes.pointer, stride, result.scales.pointer, result.zeros.pointer, x, rows,
      columns, columns)
    return result
  }

  // MARK: f32

  @Test(arguments: levels)
  func `f32 products follow the definition`(level: retort_level) {
    var generator = Seeded(31)
    for (rows, inputs, outputs) in Self.shapes {
      let (packed, weights, bias) = layer(
        RETORT_FORMAT_F32, &generator, inputs: inputs, outputs: outputs)
      let x = generator.floats(rows * inputs)
      let out = Memory<Float>(rows * (outputs + 3), 7)
      withUnsafePointer(to: packed.kernel) {
        retort_product_f32(
          level, out.pointer, outputs + 3, x, inputs, rows, $0, RETORT_IDENTITY)
      }
      for row in 0..<rows {
        for output in 0..<outputs {
          let products = (0..<inputs).map {
            Double(x[row * inputs + $0]) * Double(weights[output * inputs + $0])
          }
          let exact = products.reduce(Double(bias[output]), +)
          let got = Double(out.values[row * (outputs + 3) + output])
          let tolerance = 4e-6 * Double(inputs).squareRoot()
          #expect(abs(got - exact) <= tolerance, "\(rows) × \(inputs) × \(outputs)")
        }
        // What lies between the rows is not written.
        #expect(out.values[row * (outputs + 3) + outputs] == 7)
      }
    }
  }

  // MARK: int8

  @Test(arguments: levels)
  func `codes of rows are those of the reference`(level: retort_level) {
    var generator = Seeded(32)
    for columns in [0, 1, 3, 4, 31, 32, 33, 63, 64, 65, 129, 384] {
      var x = generator.floats(4 * columns).map { $0 * 5 + 1 }
      for column in 0..<columns { x[3 * columns + column] = 0 }  // a row of zeros
      let a = quantized(RETORT_LEVEL_SCALAR, x, rows: 4, columns: columns)
      let b = quantized(level, x, rows: 4, columns: columns)
      #expect(a.codes.values == b.codes.values, "\(columns) columns")
      #expect(a.scales.values == b.scales.values)
      #expect(a.zeros.values == b.zeros.values)
      for (index, value) in x.enumerated() where columns > 0 {
        let row = index / columns
        let code = Int32(b.codes.values[row * ((columns + 3) / 4 * 4) + index % columns])
        let scale = b.scales.values[row]
        let restored = scale * Float(code - b.zeros.values[row])
        #expect(abs(restored - value) <= scale * 0.5001)
      }
    }
  }

  @Test(arguments: levels)
  func `what is not finite in a row shows in the product`(level: retort_level) {
    for odd in [Float.nan, .infinity, -.infinity] {
      for place in [0, 5, 32, 69] {
        var x = [Float](repeating: 0.5, count: 2 * 70)
        x[70 + place] = odd
        let rows = quantized(level, x, rows: 2, columns: 70)
        #expect(rows.scales.values[0].isFinite)
        #expect(!rows.scales.values[1].isFinite)
      }
    }
  }

  @Test(arguments: levels, [false, true])
  func `int8 products are exact before the last rounding`(level: retort_level, limitsPairs: Bool) {
    if retort_limits_pairs(level), !limitsPairs { return }
    var generator = Seeded(33)
    for (rows, inputs, outputs) in Self.shapes {
      let (packed, _, _) = layer(
        RETORT_FORMAT_INT8, &generator, inputs: inputs, outputs: outputs, limitsPairs: limitsPairs)
      let stride = (inputs + 3) / 4 * 4
      let x = generator.floats(rows * inputs)
      let q = quantized(level, x, rows: rows, columns: inputs)
      for epilogue in Self.epilogues {
        let reference = Memory<Float>(rows * outputs, .nan)
        let out = Memory<Float>(rows * outputs, .nan)
        withUnsafePointer(to: packed.kernel) { kernel in
          for (level, out) in [(RETORT_LEVEL_SCALAR, reference), (level, out)] {
            retort_product_int8(
              level, out.pointer, outputs, q.codes.pointer, stride, q.scales.pointer,
              q.zeros.pointer, rows, kernel, epilogue)
          }
        }
        if epilogue == RETORT_IDENTITY {
          #expect(out.values == reference.values, "\(rows) × \(inputs) × \(outputs)")
        } else {
          // GELU of less accuracy, as everything here is rounded again.
          #expect(zip(out.values, reference.values).allSatisfy { abs($0 - $1) <= 2e-5 })
        }
      }
    }
  }

  @Test(arguments: levels)
  func `the largest codes do not overflow`(level: retort_level) {
    // Weights of one sign and size, and rows whose codes are 0 and 255 only: the worst sums.
    let inputs = 3072
    for sign in [Float(1), -1] {
      for swing in [Float(1), -1] {
        let weights = [Float](repeating: sign, count: inputs * 16)
        let packed = Packed(
          RETORT_FORMAT_INT8, weights, bias: [Float](repeating: 0, count: 16), inputs: inputs,
          limitsPairs: retort_limits_pairs(level))
        var x = [Float](repeating: swing, count: inputs)
        x[0] = -swing
        let q = quantized(level, x, rows: 1, columns: inputs)
        let out = Memory<Float>(16, .nan)
        withUnsafePointer(to: packed.kernel) {
          retort_product_int8(
            level, out.pointer, 16, q.codes.pointer, inputs, q.scales.pointer, q.zeros.pointer, 1,
            $0, RETORT_IDENTITY)
        }
        let exact = sign * swing * Float(inputs - 2)
        for value in out.values { #expect(abs(value - exact) <= abs(exact) * 0.01) }
      }
    }
  }

  @Test func `what is packed for AVX2 keeps pairs small, and nothing else does that need not`() {
    #expect(retort_limits_pairs(RETORT_LEVEL_AVX2))
    #expect(!retort_limits_pairs(RETORT_LEVEL_SCALAR))
    #expect(!retort_limits_pairs(RETORT_LEVEL_NEON))
    #expect(retort_limits_pairs(RETORT_LEVEL_AVX512) != retort_cpu_has_vnni())
    // Two large weights of equal sign side by side cost a bit only where they must.
    let weights: [Float] = [1, 1, 0.5, -0.5]
    let scales = [false, true].map {
      Packed(RETORT_FORMAT_INT8, weights, bias: [0], inputs: 4, limitsPairs: $0).scales.values[0]
    }
    #expect(scales == [1 / 127, 2 / 128])
  }

  @Test func `int8 weights keep their promise about pairs and come back`() {
    var generator = Seeded(34)
    for inputs in [1, 2, 7, 64, 385] {
      let outputs = 19
      var weights = generator.floats(inputs * outputs)
      for index in 0..<inputs { weights[3 * inputs + index] = 0 }  // a channel of zeros
      for index in 0..<inputs { weights[4 * inputs + index] = -0.75 }  // all pairs at the limit
      let packed = Packed(
        RETORT_FORMAT_INT8, weights, bias: [Float](repeating: 0, count: outputs), inputs: inputs)
      let depth = (inputs + 3) / 4 * 4
      let codes = packed.panels.values.map { Int(Int8(bitPattern: $0)) }
      func code(_ output: Int, _ input: Int) -> Int {
        codes[output / 16 * 16 * depth + input / 4 * 64 + output % 16 * 4 + input % 4]
      }
      for output in 0..<outputs {
        let scale = packed.scales.values[output]
        for input in stride(from: 0, to: depth, by: 2) {
          let (a, b) = (code(output, input), code(output, input + 1))
          #expect(abs(a) <= 127 && abs(b) <= 127)
          #expect(a.signum() != b.signum() || abs(a + b) <= 128)
        }
        for input in 0..<inputs {
          let error = abs(scale * Float(code(output, input)) - weights[output * inputs + input])
          // Half a code, or one and a half where a pair gave way.
          #expect(error <= scale * 1.5001)
        }
        #expect(
          Int(packed.sums.values[output]) == (0..<depth).reduce(0) { $0 + code(output, $1) })
      }
      #expect(packed.scales.values[outputs...].allSatisfy { $0 == 0 })
      #expect(packed.sums.values[outputs...].allSatisfy { $0 == 0 })
    }
  }

  // MARK: bf16

  @Test(arguments: levels)
  func `bf16 products multiply rounded values`(level: retort_level) {
    guard retort_has_bf16(level) else { return }
    var generator = Seeded(35)
    for (rows, inputs, outputs) in Self.shapes {
      let (packed, weights, bias) = layer(
        RETORT_FORMAT_BF16, &generator, inputs: inputs, outputs: outputs)
      let stride = (inputs + 1) / 2 * 2
      let x = generator.floats(rows * inputs)
      let roundedRows = Memory<UInt16>(rows * stride, 0xffff)
      retort_round_rows(level, roundedRows.pointer, stride, x, rows, inputs, inputs)
      let out = Memory<Float>(rows * outputs, .nan)
      withUnsafePointer(to: packed.kernel) {
        retort_product_bf16(
          level, out.pointer, outputs, roundedRows.pointer, stride, rows, $0, RETORT_IDENTITY)
      }
      var (a, b) = (x, weights)
      retort_round_to_bf16(&a, a.count)
      retort_round_to_bf16(&b, b.count)
      for row in 0..<rows {
        for output in 0..<outputs {
          let products = (0..<inputs).map {
            Double(a[row * inputs + $0]) * Double(b[output * inputs + $0])
          }
          let exact = products.reduce(Double(bias[output]), +)
          let tolerance = 4e-6 * Double(inputs).squareRoot()
          #expect(abs(Double(out.values[row * outputs + output]) - exact) <= tolerance)
        }
      }
    }
  }

  @Test(arguments: levels)
  func `GELU of a bf16 product is within 2e-5 of its definition, and hands on what is no number`(
    level: retort_level
  ) {
    guard retort_has_bf16(level) else { return }
    // One input and a weight of 1: the product is what goes in, and bf16 holds these numbers.
    let x = (-256...256).map { Float($0) / 32 } + [.infinity, -.infinity, .nan]
    let packed = Packed(RETORT_FORMAT_BF16, [1], bias: [0], inputs: 1)
    let rows = Memory<UInt16>(2 * x.count, 0)
    retort_round_rows(level, rows.pointer, 2, x, x.count, 1, 1)
    for (epilogue, gelu) in [
      (RETORT_GELU_ERF, { $0 / 2 * erfc(-$0 / 2.0.squareRoot()) }),
      (
        RETORT_GELU_TANH,
        { $0 / 2 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) }
      ),
    ] as [(retort_epilogue, (Double) -> Double)] {
      let out = Memory<Float>(x.count, .nan)
      withUnsafePointer(to: packed.kernel) {
        retort_product_bf16(level, out.pointer, 1, rows.pointer, 2, x.count, $0, epilogue)
      }
      for (value, found) in zip(x, out.values).dropLast(3) {
        #expect(abs(Double(found) - gelu(Double(value))) <= 2e-5, "\(value)")
      }
      #expect(out.values[x.count - 3] == .infinity)
      #expect(abs(out.values[x.count - 2]) <= 2e-5 || out.values[x.count - 2].isNaN)
      #expect(out.values[x.count - 1].isNaN)
    }
  }

  // MARK: Gradients

  @Test(arguments: levels)
  func `columns are packed as the rows of the matrix on its side`(level: retort_level) {
    var generator = Seeded(39)
    for (outputs, inputs) in [(1, 1), (16, 2), (17, 5), (48, 33), (130, 7), (15, 64)] {
      // Columns of a wider matrix.
      let (stride, first) = (outputs + 5, 3)
      let x = generator.floats(stride * inputs)
      var turned = [Float](repeating: 0, count: outputs * inputs)
      for output in 0..<outputs {
        for input in 0..<inputs {
          turned[output * inputs + input] = x[input * stride + first + output]
        }
      }
      let count = retort_panel_bytes(RETORT_FORMAT_F32, outputs, inputs) / 4
      let (rows, columns) = (Memory<Float>(count, .nan), Memory<Float>(count, .nan))
      retort_pack_f32(rows.pointer, turned, outputs, inputs)
      let halves = retort_panel_bytes(RETORT_FORMAT_BF16, outputs, inputs) / 2
      let (half, other) = (Memory<UInt16>(halves, 0xffff), Memory<UInt16>(halves, 0xffff))
      retort_pack_bf16(half.pointer, turned, outputs, inputs)
      x.withUnsafeBufferPointer { x in
        guard let base = x.baseAddress else { return }
        retort_pack_columns_f32(columns.pointer, base + first, stride, outputs, inputs)
        retort_pack_columns_bf16(level, other.pointer, base + first, stride, outputs, inputs)
      }
      #expect(columns.values == rows.values, "\(outputs) × \(inputs)")
      #expect(other.values == half.values, "\(outputs) × \(inputs)")
    }
  }

  @Test(arguments: levels)
  func `products of packed matrices are added to what is there, and to nothing beside it`(
    level: retort_level
  ) {
    var generator = Seeded(40)
    let shapes = [
      (1, 1, 1), (8, 16, 3), (9, 17, 32), (16, 48, 5), (31, 49, 64), (48, 100, 257), (5, 33, 256),
    ]
    for format in [RETORT_FORMAT_F32, RETORT_FORMAT_BF16] {
      guard format == RETORT_FORMAT_F32 || retort_has_bf16(level) else { continue }
      for (rows, columns, depth) in shapes {
        func packed(_ outputs: Int) -> Memory<UInt8> {
          let values = generator.floats(outputs * depth)
          let panels = Memory<UInt8>(retort_panel_bytes(format, outputs, depth), 0)
          let start = UnsafeMutableRawPointer(panels.pointer)
          if format == RETORT_FORMAT_F32 {
            retort_pack_columns_f32(
              start.assumingMemoryBound(to: Float.self), values, outputs, outputs, depth)
          } else {
            retort_pack_columns_bf16(
              level, start.assumingMemoryBound(to: UInt16.self), values, outputs, outputs, depth)
          }
          return panels
        }
        let (a, b) = (packed(rows), packed(columns))
        let stride = columns + 3
        let before = generator.floats(rows * stride)
        let (reference, out) = (
          Memory<Float>(before, filledTo: before.count, 0),
          Memory<Float>(before, filledTo: before.count, 0)
        )
        for (level, out) in [(RETORT_LEVEL_SCALAR, reference), (level, out)] {
          retort_add_products(
            level, format, out.pointer, stride, a.pointer, rows, b.pointer, columns, depth)
        }
        let tolerance = 2e-6 * Float(depth).squareRoot()
        for (place, (found, expected)) in zip(out.values, reference.values).enumerated() {
          if place % stride >= columns {
            #expect(found == before[place], "beside \(rows) × \(columns) × \(depth)")
          } else {
            #expect(abs(found - expected) <= tolerance, "\(rows) × \(columns) × \(depth)")
          }
        }
        #expect(reference.values != before)
      }
    }
  }

  @Test func `bf16 rounds to the nearest, ties to even`() {
    var values: [Float] = [1, 1 + 0x1p-8, 1 + 0x1.8p-7, 1 + 0x1.01p-8, -3.3e38, 0, .infinity, .nan]
    retort_round_to_bf16(&values, values.count)
    #expect(values[0] == 1)
    #expect(values[1] == 1)
    #expect(values[2] == 1 + 0x1p-6)
    #expect(values[3] == 1 + 0x1p-7)
    #expect(abs(values[4] / 3.3e38 + 1) < 0x1p-8)
    #expect(values[5] == 0)
    #expect(values[6] == .infinity)
    #expect(values[7].isNaN)
  }

  // MARK: Attention

  @Test(arguments: levels)
  func `attention is that of the reference at every length and head size`(level: retort_level) {
    var generator = Seeded(36)
    let cases: [(length: Int, keys: Int, size: Int)] = [
      (1, 1, 4), (2, 2, 32), (5, 5, 8), (6, 6, 16), (7, 7, 64), (8, 8, 20), (15, 15, 32),
      (16, 16, 32), (17, 17, 5), (48, 48, 33), (63, 63, 64), (129, 129, 32), (512, 512, 16),
      (32, 5, 32), (7, 1, 8), (33, 16, 16), (40, 31, 20),
    ]
    for (length, keys, size) in cases {
      let heads = 3
      let width = heads * size
      let qkv = generator.floats(length * 3 * width).map { $0 * 3 }
      let scratch = Memory<Float>(retort_attention_scratch(length, size), .nan)
      let reference = Memory<Float>(length * width, .nan)
      let out = Memory<Float>(length * width, .nan)
      for (level, out) in [(RETORT_LEVEL_SCALAR, reference), (level, out)] {
        retort_attention(
          level, out.pointer, width, qkv, 3 * width, length, keys, heads, size,
          1 / Float(size).squareRoot(), scratch.pointer)
      }
      let difference = zip(out.values, reference.values).map { abs($0 - $1) }.max() ?? .infinity
      #expect(difference <= 2e-5, "length \(length), size \(size)")
    }
  }

  @Test(arguments: levels)
  func `attention in bf16 is that of the reference, and near that in f32`(level: retort_level) {
    guard retort_has_bf16(level) else { return }
    var generator = Seeded(38)
    let cases: [(length: Int, keys: Int, size: Int)] = [
      (1, 1, 32), (2, 2, 64), (7, 7, 32), (8, 8, 96), (15, 15, 32), (16, 16, 32), (17, 17, 64),
      (31, 31, 32), (32, 32, 32), (33, 33, 32), (48, 48, 64), (49, 49, 32), (65, 65, 128),
      (129, 129, 32), (512, 512, 32), (32, 5, 32), (7, 1, 64), (33, 16, 32), (40, 31, 32),
      (9, 9, 20), (5, 5, 16), (513, 513, 32), (600, 600, 64), (600, 100, 32),
    ]
    for (length, keys, size) in cases {
      let heads = length > 512 ? 1 : 3
      let width = heads * size
      let qkv = generator.floats(length * 3 * width).map { $0 * 3 }
      let scratch = Memory<Float>(retort_attention_scratch(length, size), .nan)
      let (exact, reference, out) = (
        Memory<Float>(length * width, .nan), Memory<Float>(length * width, .nan),
        Memory<Float>(length * width, .nan)
      )
      for (attend, level, out) in [
        (retort_attention, RETORT_LEVEL_SCALAR, exact),
        (retort_attention_bf16, RETORT_LEVEL_SCALAR, reference),
        (retort_attention_bf16, level, out),
      ] {
        attend(
          level, out.pointer, width, qkv, 3 * width, length, keys, heads, size,
          1 / Float(size).squareRoot(), scratch.pointer)
      }
      func difference(_ a: Memory<Float>, _ b: Memory<Float>) -> Float {
        zip(a.values, b.values).map { abs($0 - $1) }.max() ?? .infinity
      }
      // One weight that is rounded the other way moves a mean of values within ±3 by 0.4 % at most.
      #expect(difference(out, reference) <= 6e-3, "length \(length), keys \(keys), size \(size)")
      #expect(difference(out, exact) <= 0.1, "length \(length), keys \(keys), size \(size)")
    }
  }

  @Test(arguments: levels)
  func `attention in bf16 hands on what is no number, and ignores scores far below the largest`(
    level: retort_level
  ) {
    guard retort_has_bf16(level) else { return }
    let (length, size) = (19, 32)
    var qkv = [Float](repeating: 0, count: length * 3 * size)
    // Key 3 fits every query; the others are 4,000 below it, in powers of two.
    for row in 0..<length {
      qkv[row * 3 * size] = 300
      qkv[row * 3 * size + size] = row == 3 ? 30 : -30
      qkv[row * 3 * size + 2 * size] = row == 3 ? 1.5 : 1e30
    }
    func attended(_ values: [Float]) -> [Float] {
      let scratch = Memory<Float>(retort_attention_scratch(length, size), .nan)
      let out = Memory<Float>(length * size, .zero)
      retort_attention_bf16(
        level, out.pointer, size, values, 3 * size, length, length, 1, size, 0.2, scratch.pointer)
      return out.values
    }
    #expect((0..<length).allSatisfy { abs(attended(qkv)[$0 * size] - 1.5) < 1e-3 })
    qkv[5 * 3 * size + size + 7] = .nan
    #expect((0..<length).allSatisfy { attended(qkv)[$0 * size].isNaN })
  }

  // MARK: MaxSim

  @Test(arguments: levels)
  func `MaxSim is that of the definition at every number of tokens`(level: retort_level) {
    var generator = Seeded(37)
    let cases: [(queries: Int, width: Int, lengths: [Int])] = [
      (1, 4, [1, 2]), (4, 8, [5, 0, 4]), (16, 32, [6, 7, 1]), (17, 20, [12, 13]),
      (32, 128, [180, 3, 64]), (48, 24, [5]), (50, 33, [9, 31]),
    ]
    for (count, width, lengths) in cases {
      let queries = generator.floats(count * width)
      let rows = generator.floats(lengths.reduce(0, +) * width)
      var offsets = [0]
      for length in lengths { offsets.append((offsets.last ?? 0) + length) }
      let query = PackedWeights(
        weight: Matrix(rows: count, columns: width, values: queries),
        bias: Matrix(rows: 1, columns: count), precision: .float32, level: level)
      let found = MaxSim(query, level: level).scores(
        Matrix(rows: rows.count / width, columns: width, values: rows), offsets: offsets)
      for (passage, length) in lengths.enumerated() {
        var expected = length == 0 ? -Double.infinity : 0
        for i in 0..<count where length > 0 {
          let products = (offsets[passage]..<offsets[passage + 1]).map { j in
            (0..<width).reduce(0.0) {
              $0 + Double(queries[i * width + $1]) * Double(rows[j * width + $1])
            }
          }
          expected += products.max() ?? 0
        }
        let error = abs(Double(found[passage]) - expected)
        #expect(length == 0 ? found[passage] == -.infinity : error < 1e-4 * Double(count))
      }
    }
  }

  @Test(arguments: levels)
  func `MaxSim has its golden values, and nothing floors a maximum at zero`(level: retort_level) {
    func score(_ query: [Float], _ passage: [Float]) -> Float {
      let matrix = Matrix(rows: query.count / 2, columns: 2, values: query)
      return MaxSim(matrix, level: level).scores(
        Matrix(rows: passage.count / 2, columns: 2, values: passage),
        offsets: [0, passage.count / 2])[0]
    }
    #expect(abs(score([1, 0, 0, 1, 0.6, 0.8], [0.8, 0.6, -1, 0, 0, 1]) - 2.76) < 1e-6)
    #expect(abs(score([1, 0, 0, 1], [0.8, 0.6, -1, 0, 0, 1]) - 1.8) < 1e-6)
    #expect(score([1, 0], [-1, 0]) == -1)
    #expect(score([], [-1, 0]) == 0)
  }
}
