/// Splits a line at runs of white space, leading ones ignored.
func splitSpaces(_ line: Span<UInt8>, into columns: inout [Range<Int>]) {
  columns.removeAll(keepingCapacity: true)
  var start = -1
  for index in 0..<line.count {
    if isSpace(line[index]) {
      if start >= 0 { columns.append(start..<index) }
      start = -1
    } else if start < 0 {
      start = index
    }
  }
  if start >= 0 { columns.append(start..<line.count) }
}

/// Splits a line at every TAB.
func splitTabs(_ line: Span<UInt8>, into columns: inout [Range<Int>]) {
  columns.removeAll(keepingCapacity: true)
  var start = 0
  for index in 0..<line.count where line[index] == UInt8(ascii: "\t") {
    columns.append(start..<index)
    start = index + 1
  }
  columns.append(start..<line.count)
}

/// The integer that fills `range`, nil when it is none or does not fit 32 bits.
func integer(_ line: Span<UInt8>, _ range: Range<Int>) -> Int32? {
  var range = range
  guard let first = range.first else { return nil }
  let isNegative = line[first] == UInt8(ascii: "-")
  if isNegative || line[first] == UInt8(ascii: "+") { range = first + 1..<range.upperBound }
  guard !range.isEmpty, range.count <= 18 else { return nil }
  var value = 0
  for index in range {
    guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(line[index]) else { return nil }
    value = value * 10 + Int(line[index] - UInt8(ascii: "0"))
  }
  return Int32(exactly: isNegative ? -value : value)
}
