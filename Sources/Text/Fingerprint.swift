/// A 128-bit digest of a tokenizer, stable across runs, machines and file layouts.
///
/// Two FNV-1a streams (Fowler, Noll, Vo) with different offsets, each finished with the mixer of
/// SplitMix64. It tells tokenizers apart by accident, not against an adversary.
struct Fingerprint {
  private var low: UInt64 = 0xCBF2_9CE4_8422_2325
  private var high: UInt64 = 0x6C62_272E_07BB_0142

  /// Adds bytes behind their count, so that no two sequences of fields run together.
  mutating func add(_ bytes: some Collection<UInt8>) {
    add(UInt64(bytes.count))
    for byte in bytes { step(byte) }
  }

  mutating func add(_ text: String) { add(text.utf8) }

  mutating func add(_ value: UInt64) {
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      step(UInt8(truncatingIfNeeded: value >> shift))
    }
  }

  mutating func add(_ value: Int) { add(UInt64(bitPattern: Int64(value))) }

  mutating func add(_ value: Bool) { step(value ? 1 : 0) }

  @inline(__always)
  private mutating func step(_ byte: UInt8) {
    low = (low ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
    high = (high ^ UInt64(byte) ^ (high >> 47)) &* 0x0000_0100_0000_01B3
  }

  /// 32 hexadecimal digits.
  var hex: String {
    [high, low].map { value in
      var mixed = value
      mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
      mixed ^= mixed >> 31
      let digits = String(mixed, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}
