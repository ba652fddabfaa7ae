/// Fixed hash functions: the same on every machine and in every version, unlike `Hasher`.
package enum Hashing {
  /// Mixes 64 bits so that every input bit changes about half of the output bits (a bijection).
  @inlinable
  package static func mix(_ value: UInt64) -> UInt64 {
    var x = value
    x = (x ^ (x >> 30)) &* 0xBF58_476D_1CE4_E5B9
    x = (x ^ (x >> 27)) &* 0x94D0_49BB_1331_11EB
    return x ^ (x >> 31)
  }

  /// A 128-bit hash of bytes. Not cryptographic: crafted collisions are possible, accidental ones
  /// are not (10^7 keys: a chance of 10^-25).
  package static func hash128(_ bytes: some Sequence<UInt8>, seed: UInt64 = 0) -> UInt128 {
    var low = seed &+ 0x9E37_79B9_7F4A_7C15
    var high = seed ^ 0xD1B5_4A32_D192_ED03
    var word: UInt64 = 0
    var filled = 0
    var length: UInt64 = 0
    for byte in bytes {
      word |= UInt64(byte) << UInt64(8 * filled)
      filled += 1
      length &+= 1
      if filled == 8 {
        low = mix(low ^ word)
        high = mix(high &+ word &* 0x9E37_79B9_7F4A_7C15)
        word = 0
        filled = 0
      }
    }
    low = mix(low ^ word ^ (length << 56))
    high = mix(high &+ word &* 0x9E37_79B9_7F4A_7C15 &+ length)
    return UInt128(high) << 64 | UInt128(mix(low &+ high))
  }
}

/// SplitMix64: a small seeded generator whose sequence never changes.
package struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// Starts the sequence of `seed`.
  package init(seed: UInt64) { state = seed }

  /// The next 64 random bits.
  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return Hashing.mix(state)
  }

  /// A uniform number in [0, 1).
  package mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A standard normal number (Box–Muller).
  package mutating func normal() -> Double {
    let radius = (-2 * log(1 - unit())).squareRoot()
    return radius * cos(2 * .pi * unit())
  }
}
