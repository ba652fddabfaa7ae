import Platform

extension SafeTensors {
  /// The length that the first eight bytes claim for the header; the file must have those.
  static func headerLength(_ file: MappedFile) -> UInt64 {
    UInt64(littleEndian: file.bytes.loadUnaligned(as: UInt64.self))
  }

  /// The tensor's bytes in the mapping; valid as long as this object is held, aligned to nothing.
  package func bytes(of tensor: Tensor) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: file.bytes[tensor.range])
  }

  /// Copies a tensor's values into `target` as 32-bit floats, which must be as many.
  ///
  /// F32, F16, BF16 and F64 are converted; other formats are an error, and so is the first value
  /// that is not finite.
  package func readFloats(
    _ tensor: Tensor, into target: UnsafeMutableBufferPointer<Float>
  ) throws(RetortError) {
    precondition(target.count == tensor.count)
    guard let source = bytes(of: tensor).baseAddress, let out = target.baseAddress else { return }
    switch tensor.type {
    case .float32:
      UnsafeMutableRawPointer(out).copyMemory(from: source, byteCount: tensor.count * 4)
    case .float16:
      for i in 0..<tensor.count {
        out[i] = Self.widen(half: source.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self))
      }
    case .bfloat16:
      for i in 0..<tensor.count {
        let bits = source.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)
        out[i] = Float(bitPattern: UInt32(bits) << 16)
      }
    case .float64:
      for i in 0..<tensor.count {
        out[i] = Float(source.loadUnaligned(fromByteOffset: 8 * i, as: Double.self))
      }
    default:
      throw RetortError(
        .badData,
        "the tensor \(quoted(tensor.name)) holds \(tensor.type.rawValue); weights must be F32, F16, "
          + "BF16 or F64: export the model in one of these", path: path,
        at: .offset(UInt64(tensor.range.lowerBound)))
    }
    // Any infinity or NaN has all exponent bits set; an OR over the block keeps this vectorised.
    var index = 0
    while index < target.count {
      let end = min(index + 4096, target.count)
      var suspicious: UInt32 = 0
      for i in index..<end {
        suspicious |= (out[i].bitPattern & 0x7F80_0000) == 0x7F80_0000 ? 1 : 0
      }
      if suspicious != 0 {
        let bad = (index..<end).first { !out[$0].isFinite } ?? index
        throw RetortError(
          .badData,
          "the tensor \(quoted(tensor.name)) has \(out[bad]) at element \(bad); weights must be "
            + "finite: the model is broken, download or train it again", path: path,
          at: .offset(UInt64(tensor.range.lowerBound + bad * tensor.type.size)))
      }
      index = end
    }
    try file.checkIntact()
  }

  /// A tensor's values as 32-bit floats.
  package func floats(_ tensor: Tensor) throws(RetortError) -> [Float] {
    var values = [Float](repeating: 0, count: tensor.count)
    let result = values.withUnsafeMutableBufferPointer { buffer in
      Result { () throws(RetortError) in try readFloats(tensor, into: buffer) }
    }
    try result.get()
    return values
  }

  /// IEEE 754 half precision to single: exact, subnormals, infinities and NaN included.
  @inline(__always)
  static func widen(half bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let magnitude = UInt32(bits & 0x7FFF) << 13
    // The exponent field moves from bias 15 to bias 127 by a multiplication, which also
    // normalises subnormals; 2^112 is exact.
    let scaled = Float(bitPattern: magnitude) * 0x1p112
    let special: UInt32 = magnitude >= 0x0F80_0000 ? 0x7F80_0000 : 0
    return Float(bitPattern: scaled.bitPattern | special | sign)
  }

  /// Single precision to half, to the nearest and ties to even; nil when it is too large.
  package static func narrow(_ value: Float) -> UInt16? {
    let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16) & 0x8000
    let magnitude = abs(value)
    guard magnitude < 65520 else { return nil }
    if magnitude < 0x1p-14 {
      // Subnormal: multiples of 2^-24.
      return sign | UInt16((magnitude * 0x1p24).rounded(.toNearestOrEven))
    }
    let bits = magnitude.bitPattern
    let rounded = bits + 0xFFF + (bits >> 13 & 1)
    return sign | UInt16(truncatingIfNeeded: (rounded - (112 << 23)) >> 13)
  }

  /// The file's length in bytes.
  package var bytes: Int { file.count }
}
