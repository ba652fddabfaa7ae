import CLZ4
import Platform

/// LZ4 blocks (the raw block format, no frame): both lengths are kept by whoever stores them.
enum LZ4Block {
  /// The compressed bytes, at LZ4's high-compression level 9, of at most `maximumLength` bytes.
  static func compress(_ bytes: [UInt8]) -> [UInt8] {
    guard !bytes.isEmpty else { return [] }
    precondition(bytes.count <= maximumLength, "readers refuse blocks as large as this")
    let bound = Int(LZ4_compressBound(Int32(bytes.count)))
    return [UInt8](unsafeUninitializedCapacity: bound) { output, count in
      let written = bytes.withUnsafeBytes { input in
        output.withMemoryRebound(to: CChar.self) { target in
          LZ4_compress_HC(
            input.bindMemory(to: CChar.self).baseAddress, target.baseAddress, Int32(bytes.count),
            Int32(bound), 9)
        }
      }
      count = max(0, Int(written))
    }
  }

  /// The `length` bytes that `bytes` was made of, or nil when it is no such block.
  static func decompress(_ bytes: UnsafeRawBufferPointer, length: Int) -> [UInt8]? {
    guard length > 0 else { return bytes.isEmpty ? [] : nil }
    guard length <= maximumLength, bytes.count <= Int(Int32.max) else { return nil }
    var succeeded = false
    let output = [UInt8](unsafeUninitializedCapacity: length) { output, count in
      let written = output.withMemoryRebound(to: CChar.self) { target in
        LZ4_decompress_safe(
          bytes.bindMemory(to: CChar.self).baseAddress, target.baseAddress, Int32(bytes.count),
          Int32(length))
      }
      succeeded = Int(written) == length
      count = succeeded ? length : 0
    }
    return succeeded ? output : nil
  }

  /// No block may claim more than this: a damaged length must not make us allocate the world.
  static let maximumLength = 1 << 28
}
