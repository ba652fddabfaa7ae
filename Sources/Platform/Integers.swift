// What every room does with integers, compiled once: in place, each call was hundreds of
// instructions for the compiler to optimise.

extension Int {
  /// The number that `text` writes in decimal digits, with a sign or not; nil if it is none.
  package init?(decimal text: some StringProtocol) {
    guard let number = number(ofDigits: String(text)) else { return nil }
    self = number
  }
}

@inline(never)
private func number(ofDigits text: String) -> Int? { Int(text) }

extension [UInt8] {
  /// Appends an integer's bytes, at most eight, lowest first.
  @inlinable
  package mutating func appendInteger(_ value: some FixedWidthInteger) {
    precondition(value.bitWidth <= 64, "an integer of more than eight bytes")
    append(littleEndian: UInt64(truncatingIfNeeded: value), bytes: value.bitWidth / 8)
  }

  @inline(never) @usableFromInline
  package mutating func append(littleEndian value: UInt64, bytes: Int) {
    var rest = value
    for _ in 0..<bytes {
      append(UInt8(truncatingIfNeeded: rest))
      rest >>= 8
    }
  }
}
