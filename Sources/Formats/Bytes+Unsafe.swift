import Platform

/// The text of `range` of a line whose bytes are known to be UTF-8.
func text(_ line: Span<UInt8>, _ range: Range<Int>) -> String {
  line.extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
}

/// The decimal number that fills `range`, nil when it is none. Overflow gives an infinity.
func decimal(_ line: Span<UInt8>, _ range: Range<Int>) -> Double? {
  shortDecimal(line, range) ?? anyDecimal(line, range)
}

/// Numbers without an exponent and with no more than 15 digits, which are nearly all scores there
/// are: digits and power of ten are exact as `Double`, so one division rounds correctly (Clinger).
private func shortDecimal(_ line: Span<UInt8>, _ range: Range<Int>) -> Double? {
  var index = range.lowerBound
  guard index < range.upperBound, range.count <= 17 else { return nil }
  let isNegative = line[index] == UInt8(ascii: "-")
  if isNegative { index += 1 }
  var digits = 0
  var mantissa: Int64 = 0
  var divisor = 1.0
  var isFraction = false
  while index < range.upperBound {
    let byte = line[index]
    if byte == UInt8(ascii: "."), !isFraction {
      isFraction = true
    } else if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
      mantissa = mantissa * 10 + Int64(byte - UInt8(ascii: "0"))
      digits += 1
      if isFraction { divisor *= 10 }
    } else {
      return nil
    }
    index += 1
  }
  guard (1...15).contains(digits) else { return nil }
  let value = Double(mantissa) / divisor
  return isNegative ? -value : value
}

private func anyDecimal(_ line: Span<UInt8>, _ range: Range<Int>) -> Double? {
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
