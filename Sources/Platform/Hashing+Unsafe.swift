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
  package static func hash128(_ bytes: some Collection<UInt8>, seed: UInt64 = 0) -> UInt128 {
    // Texts of megabytes come in contiguous storage and are read eight bytes at a time.
    let fast = bytes.withContiguousStorageIfAvailable { buffer in
      var state = HashState(seed: seed)
      let raw = UnsafeRawBufferPointer(buffer)
      let words = raw.count / 8
      for word in 0..<words {
        state.absorb(
          UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self)))
      }
      return state.finish(tail: raw[(words * 8)...], length: raw.count)
    }
    if let fast { return fast }
    var state = HashState(seed: seed)
    var tail: [UInt8] = []
    for byte in bytes {
      tail.append(byte)
      if tail.count == 8 {
        state.absorb(tail.reversed().reduce(0) { $0 << 8 | UInt64($1) })
        tail.removeAll(keepingCapacity: true)
      }
    }
    return state.finish(tail: tail, length: bytes.count)
  }
}

private struct HashState {
  private var low: UInt64
  private var high: UInt64

  init(seed: UInt64) {
    low = seed &+ 0x9E37_79B9_7F4A_7C15
    high = seed ^ 0xD1B5_4A32_D192_ED03
  }

  mutating func absorb(_ word: UInt64) {
    low = Hashing.mix(low ^ word)
    high = Hashing.mix(high &+ word &* 0x9E37_79B9_7F4A_7C15)
  }

  func finish(tail: some BidirectionalCollection<UInt8>, length: Int) -> UInt128 {
    let word = tail.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let count = UInt64(length)
    let first = Hashing.mix(low ^ word ^ (count << 56))
    let second = Hashing.mix(high &+ word &* 0x9E37_79B9_7F4A_7C15 &+ count)
    return UInt128(second) << 64 | UInt128(Hashing.mix(first &+ second))
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
