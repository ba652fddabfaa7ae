import CKernels
import Platform
import Testing

@Suite struct HashingTests {
  @Test func `CRC-32C has the values of RFC 3720`() {
    #expect(Checksum.crc32c(Array("123456789".utf8)) == 0xE306_9283)
    #expect(Checksum.crc32c([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(Checksum.crc32c([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(Checksum.crc32c(Array(0..<32)) == 0x46DD_794E)
    #expect(Checksum.crc32c(Array((0..<32).reversed())) == 0x113F_DB5C)
    #expect(Checksum.crc32c([]) == 0)
  }

  @Test func `the instruction and the table agree at every length and alignment`() {
    var random = SplitMix64(seed: 1)
    let bytes = (0..<5000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    for round in 0..<400 {
      let start = Int(random.next() % 64)
      let length = round < 100 ? round : Int(random.next() % 4900)
      let seed = round % 3 == 0 ? 0 : UInt32(truncatingIfNeeded: random.next())
      bytes[start..<(start + length)].withUnsafeBytes { part in
        let found = retort_crc32c(seed, part.baseAddress, part.count)
        let expected = retort_crc32c_scalar(seed, part.baseAddress, part.count)
        #expect(found == expected, "start \(start), length \(length), seed \(seed)")
      }
    }
  }

  @Test func `long data has the checksum of the table, too`() {
    var random = SplitMix64(seed: 2)
    let bytes = (0..<120_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    // Around multiples of what three streams take at once.
    for length in [24_575, 24_576, 24_577, 49_151, 49_152, 49_165, 73_728, 100_003] {
      let start = Int(random.next() % 64)
      let seed = UInt32(truncatingIfNeeded: random.next())
      bytes[start..<(start + length)].withUnsafeBytes { part in
        let found = retort_crc32c(seed, part.baseAddress, part.count)
        let expected = retort_crc32c_scalar(seed, part.baseAddress, part.count)
        #expect(found == expected, "start \(start), length \(length), seed \(seed)")
      }
    }
  }

  @Test func `a checksum can be continued`() {
    let bytes = Array("a checksum in two parts".utf8)
    bytes.withUnsafeBytes { all in
      let first = Checksum.crc32c(UnsafeRawBufferPointer(rebasing: all[..<9]))
      let whole = Checksum.crc32c(UnsafeRawBufferPointer(rebasing: all[9...]), seed: first)
      #expect(whole == Checksum.crc32c(bytes))
    }
  }

  @Test func `SplitMix64 gives the sequence of its reference implementation`() {
    var random = SplitMix64(seed: 1_234_567)
    let reference: [UInt64] = [
      6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
      4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
    ]
    #expect((0..<5).map { _ in random.next() } == reference)
  }

  @Test func `uniform and normal numbers have their mean and variance`() {
    var random = SplitMix64(seed: 5)
    let uniform = (0..<20_000).map { _ in random.unit() }
    #expect(uniform.allSatisfy { $0 >= 0 && $0 < 1 })
    let uniformMean = uniform.reduce(0, +) / 20_000
    #expect(abs(uniformMean - 0.5) < 0.01)
    let normal = (0..<20_000).map { _ in random.normal() }
    let normalMean = normal.reduce(0, +) / 20_000
    #expect(abs(normalMean) < 0.03)
    let squares: Double = normal.reduce(0) { $0 + $1 * $1 }
    #expect(abs(squares / 20_000 - 1) < 0.05)
  }

  // Computed with an independent implementation in Python; stored lookup tables depend on them.
  private static let computed: [(text: String, seed: UInt64, high: UInt64, low: UInt64)] = [
    ("", 0, 0x8209_b480_faed_1b10, 0xa9d7_8400_5d96_1c7c),
    ("abc", 0, 0x1532_7480_e705_5d19, 0x8f61_4587_eb7b_4131),
    ("12345678", 0, 0xae0a_5760_7908_9dbd, 0x0d02_ae36_d3cc_7ff2),
    ("123456789", 7, 0xf016_69c9_e615_1b86, 0xb03c_f6f3_9fce_fa3b),
  ]

  @Test(arguments: computed)
  func `the hash of bytes never changes`(text: String, seed: UInt64, high: UInt64, low: UInt64) {
    let hash = Hashing.hash128(text.utf8, seed: seed)
    #expect(hash == UInt128(high) << 64 | UInt128(low))
  }

  @Test func `hashes tell lengths and trailing zeros apart`() {
    let hashes = (0..<100).map { Hashing.hash128([UInt8](repeating: 0, count: $0)) }
    #expect(Set(hashes).count == 100)
  }
}
