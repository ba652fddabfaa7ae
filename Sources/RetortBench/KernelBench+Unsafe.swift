import ArgumentParser
import CKernels
import Foundation
import Platform

/// Arithmetic rates of the matrix kernels.
struct KernelBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels",
    abstract: "Rates of the matrix kernels on one thread, on the shapes of MiniLM and DistilBERT.",
    discussion: """
      Prints billions of operations (multiplications and additions) a second, the best of several \
      runs: products of f32 and int8 (the quantisation of the rows included), with and without GELU, \
      and attention.
      """)

  @Option(help: "Rows of a product: tokens that go through a layer together.")
  var rows = 48

  @Option(help: "Seconds a measurement.")
  var seconds = 0.2

  func run() throws {
    let level = retort_level_in_use()
    print(
      "kernels \(String(cString: retort_level_name(level))), int8 by "
        + String(cString: retort_int8_name(level)))
    print("rows\tinputs\toutputs\tf32\tf32+GELU\tint8\tint8+GELU")
    for (inputs, outputs) in [
      (384, 1152), (384, 384), (384, 1536), (1536, 384), (768, 2304), (768, 3072), (3072, 768),
    ] {
      let rates = [RETORT_FORMAT_F32, RETORT_FORMAT_INT8].flatMap { format in
        [RETORT_IDENTITY, RETORT_GELU_ERF].map { epilogue in
          product(level, format, epilogue, inputs: inputs, outputs: outputs)
        }
      }
      print(
        ([rows, inputs, outputs].map(String.init) + rates.map(rounded)).joined(separator: "\t"))
    }
    print("tokens\tattention (12 heads of 32), f32 and, if the CPU has it, bf16")
    for length in [16, 64, 128, 256] {
      let formats = retort_multiplies_bf16(level) ? [false, true] : [false]
      let rates = formats.map { attention(level, length, inBF16: $0) }
      print(([String(length)] + rates.map(rounded)).joined(separator: "\t"))
    }
  }

  private func rounded(_ rate: Double) -> String { String(format: "%.1f", rate) }

  /// Billions of operations a second: the best of the runs that fit the time.
  private func best(operations: Int, _ body: () -> Void) -> Double {
    let start = monotonicSeconds()
    var least = Double.infinity
    repeat {
      let before = monotonicSeconds()
      body()
      least = min(least, monotonicSeconds() - before)
    } while monotonicSeconds() - start < seconds
    return Double(operations) / least / 1e9
  }

  private func product(
    _ level: retort_level, _ format: retort_format, _ epilogue: retort_epilogue, inputs: Int,
    outputs: Int
  ) -> Double {
    var random = SplitMix64(seed: 1)
    let weights = (0..<inputs * outputs).map { _ in Float(random.normal()) * 0.05 }
    let x = (0..<rows * inputs).map { _ in Float(random.normal()) }
    let panels = UnsafeMutableRawPointer.allocate(
      byteCount: retort_panel_bytes(format, outputs, inputs), alignment: 64)
    defer { panels.deallocate() }
    let bias = [Float](repeating: 0, count: outputs + 16)
    var scales = [Float](repeating: 0, count: outputs + 16)
    var sums = [Int32](repeating: 0, count: outputs + 16)
    if format == RETORT_FORMAT_INT8 {
      retort_pack_int8(
        panels.assumingMemoryBound(to: Int8.self), &scales, &sums, weights, outputs, inputs,
        retort_limits_pairs(level))
    } else {
      retort_pack_f32(panels.assumingMemoryBound(to: Float.self), weights, outputs, inputs)
    }
    var out = [Float](repeating: 0, count: rows * outputs)
    var codes = [UInt8](repeating: 0, count: rows * inputs)
    var rowScales = [Float](repeating: 0, count: rows)
    var zeros = [Int32](repeating: 0, count: rows)
    return bias.withUnsafeBufferPointer { bias in
      scales.withUnsafeBufferPointer { scales in
        sums.withUnsafeBufferPointer { sums in
          var kernel = retort_weights()
          kernel.format = format
          kernel.inputs = inputs
          kernel.outputs = outputs
          kernel.panels = UnsafeRawPointer(panels)
          kernel.bias = bias.baseAddress
          kernel.scales = scales.baseAddress
          kernel.sums = sums.baseAddress
          return best(operations: 2 * rows * inputs * outputs) {
            if format == RETORT_FORMAT_INT8 {
              retort_quantize_rows(
                level, &codes, inputs, &rowScales, &zeros, x, rows, inputs, inputs)
              retort_product_int8(
                level, &out, outputs, codes, inputs, rowScales, zeros, rows, &kernel, epilogue)
            } else {
              retort_product_f32(level, &out, outputs, x, inputs, rows, &kernel, epilogue)
            }
          }
        }
      }
    }
  }

  private func attention(_ level: retort_level, _ length: Int, inBF16: Bool) -> Double {
    let (heads, size) = (12, 32)
    let width = heads * size
    var random = SplitMix64(seed: 2)
    let qkv = (0..<length * 3 * width).map { _ in Float(random.normal()) }
    var out = [Float](repeating: 0, count: length * width)
    let scratch = UnsafeMutableRawPointer.allocate(
      byteCount: 4 * retort_attention_scratch(length, size), alignment: 64)
    defer { scratch.deallocate() }
    return best(operations: 4 * length * length * width) {
      (inBF16 ? retort_attention_bf16 : retort_attention)(
        level, &out, width, qkv, 3 * width, length, length, heads, size, 0.17,
        scratch.assumingMemoryBound(to: Float.self))
    }
  }
}
