/// Reads numbers of 7 bits a byte, the lowest first, out of raw memory.
struct ByteCursor {
  private let bytes: UnsafeRawBufferPointer
  private(set) var place: Int

  init(_ bytes: UnsafeRawBufferPointer, at place: Int = 0) {
    self.bytes = bytes
    self.place = place
  }

  /// The next number, below 2^56; nil where the bytes end or it is larger.
  mutating func next() -> Int? {
    var value = 0
    for shift in stride(from: 0, to: 56, by: 7) {
      guard place < bytes.count else { return nil }
      let byte = bytes[place]
      place += 1
      value |= Int(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }

  /// The next `count` bytes; nil where there are fewer.
  mutating func take(_ count: Int) -> UnsafeRawBufferPointer? {
    guard count <= bytes.count - place else { return nil }
    defer { place += count }
    return UnsafeRawBufferPointer(rebasing: bytes[place..<(place + count)])
  }
}

extension [UInt8] {
  /// Appends a number as `ByteCursor` reads it.
  mutating func appendVariable(_ value: Int) {
    var rest = UInt64(value)
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    append(UInt8(rest))
  }

  /// Appends `values` in `width` bits each, the lowest first, up to a whole byte.
  mutating func appendPacked(_ values: some Sequence<UInt32>, width: Int) {
    guard width > 0 else { return }
    var pending: UInt64 = 0
    var bits = 0
    for value in values {
      pending |= UInt64(value) << bits
      bits += width
      while bits >= 8 {
        append(UInt8(truncatingIfNeeded: pending))
        pending >>= 8
        bits -= 8
      }
    }
    if bits > 0 { append(UInt8(truncatingIfNeeded: pending)) }
  }
}

/// Reads `count` numbers of `width` bits from `bytes`, after which 8 more can be read, into `values`.
func unpack(
  _ bytes: UnsafeRawPointer, width: Int, count: Int, into values: UnsafeMutablePointer<UInt32>
) {
  guard width > 0 else { return values.update(repeating: 0, count: count) }
  let mask: UInt64 = 1 << UInt64(width) &- 1
  var bit = 0
  for place in 0..<count {
    let word = UInt64(
      littleEndian: (bytes + bit >> 3).loadUnaligned(as: UInt64.self))
    values[place] = UInt32(truncatingIfNeeded: word &>> UInt64(bit & 7) & mask)
    bit &+= width
  }
}
