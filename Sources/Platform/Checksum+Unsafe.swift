import CKernels

/// CRC-32C (Castagnoli, as in iSCSI and ext4), the checksum of every block on disk.
package enum Checksum {
  /// The checksum of `bytes`, continuing from `seed` (0 to start).
  package static func crc32c(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
    guard let base = bytes.baseAddress else { return seed }
    return retort_crc32c(seed, base, bytes.count)
  }

  /// The checksum of an array's bytes.
  package static func crc32c(_ bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBytes { crc32c($0) }
  }
}
