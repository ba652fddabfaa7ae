import CKernels

/// The number format weights are held in. A property of the weights: forward passes do not know it.
package enum Precision: String, Sendable, Codable, CaseIterable {
  /// IEEE 754 single precision.
  case float32 = "f32"
  /// The upper half of single precision: eight bits of mantissa. Products multiply bf16 by bf16 and
  /// add in f32 where the CPU can; elsewhere the rounded weights are held and multiplied as f32.
  case bfloat16 = "bf16"
  /// Eight-bit codes with one scale per output; inputs become eight-bit codes row by row.
  case int8

  var format: retort_format {
    switch self {
    case .float32: RETORT_FORMAT_F32
    case .bfloat16: RETORT_FORMAT_BF16
    case .int8: RETORT_FORMAT_INT8
    }
  }
}

extension Activation {
  /// The same function at the end of a matrix kernel; nil where there is none.
  var epilogue: retort_epilogue? {
    switch self {
    case .geluErf: RETORT_GELU_ERF
    case .geluTanh: RETORT_GELU_TANH
    case .tanh, .relu: nil
    }
  }
}
