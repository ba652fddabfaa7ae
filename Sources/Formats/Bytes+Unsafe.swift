import Platform

/// The text of `range` of a line whose bytes are known to be UTF-8.
func text(_ line: Span<UInt8>, _ range: Range<Int>) -> String {
  line.extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
}

/// The decimal number that fills `range`, nil when it is none. Overflow gives an infinity.
func decimal(_ line: Span<UInt8>, _ range: Range<Int>) -> Double? {
  guard !range.isEmpty else { return nil }
  for index in range {
    switch line[index] {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"),
      UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
      continue
    default: return nil
    }
  }
  return withUnsafeTemporaryAllocation(of: CChar.self, capacity: range.count + 1) { copy in
    for (offset, index) in range.enumerated() { copy[offset] = CChar(bitPattern: line[index]) }
    copy[range.count] = 0
    guard let start = copy.baseAddress else { return nil }
    var end: UnsafeMutablePointer<CChar>?
    let value = strtod(start, &end)
    return end == start + range.count ? value : nil
  }
}
