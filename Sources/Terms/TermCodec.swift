/// How term vectors are stored.
public enum TermCodec: String, Sendable, Codable, CaseIterable {
  /// IEEE single precision, as the models compute.
  case f32
  /// IEEE half precision.
  case f16
  /// 8 bits a component, and a scale a vector.
  case int8
  /// The number of a centroid, and 1 bit a component of what is left.
  case residual1 = "residual-1"
  /// The number of a centroid, and 2 bits a component of what is left.
  case residual2 = "residual-2"
  /// The number of a centroid, and 4 bits a component of what is left.
  case residual4 = "residual-4"

  /// Bits a component of a residual; nil for codecs without centroids.
  package var bits: Int? {
    switch self {
    case .f32, .f16, .int8: nil
    case .residual1: 1
    case .residual2: 2
    case .residual4: 4
    }
  }

  /// Bytes of a vector in the section "rows", `dimension` at most 65,536.
  package func rowBytes(dimension: Int) -> Int {
    switch self {
    case .f32: dimension * 4
    case .f16: dimension * 2
    case .int8: (dimension + 3) / 4 * 4
    case .residual1, .residual2, .residual4: (dimension * (bits ?? 0) + 7) / 8
    }
  }

  /// How it is written in files.
  package var number: UInt32 {
    switch self {
    case .f16: 1
    case .int8: 2
    case .residual1: 3
    case .residual2: 4
    case .residual4: 5
    case .f32: 6
    }
  }

  /// Whether vectors are floating point, and multiplied so.
  var isFloat: Bool { self == .f32 || self == .f16 }

  /// 16-bit words of a vector on its way into an index: half precision but for f32.
  package func stagedWords(dimension: Int) -> Int { self == .f32 ? 2 * dimension : dimension }
}
