/// Scanning of the metadata fields of a JSON line.
extension JSONRecordScanner {
  /// Scans the value of a field that is none of a record's own.
  mutating func scanField(
    _ line: Span<UInt8>, _ name: String, depth: Int, into record: inout JSONRecord
  ) throws(BadLine) {
    if peek(line) == UInt8(ascii: "{"), selection.mayHoldBelow(name), depth < Self.maximumDepth {
      return try scanMembers(line) { scanner, line, key throws(BadLine) in
        try scanner.scanField(line, name + "." + key, depth: depth + 1, into: &record)
      }
    }
    guard selection.contains(name) else { return try skipValue(line, depth: depth) }
    guard record.fields[name] == nil else { throw BadLine("field \"\(name)\" occurs twice") }
    switch try scanValues(line, depth: depth) {
    case .none: break
    case .tooLarge: record.leftOut.append(name)
    case .some(let values): if !values.isEmpty { record.fields[name] = values }
    }
  }

  private enum Scanned {
    /// null, or an object in a list: nothing to filter by.
    case none
    case tooLarge
    case some([FieldValue])
  }

  private mutating func scanValues(
    _ line: Span<UInt8>, depth: Int
  ) throws(BadLine) -> Scanned {
    guard peek(line) == UInt8(ascii: "[") else { return try scanScalar(line, depth: depth) }
    var values: [FieldValue] = []
    var count = 0
    var isTooLarge = false
    try scanElements(line, depth: depth) { scanner, line throws(BadLine) in
      count += 1
      switch try scanner.scanScalar(line, depth: depth + 1) {
      case .none: break
      case .tooLarge: isTooLarge = true
      case .some(let value):
        if count <= LeftOutFields.longestList, let value = value.first, !values.contains(value) {
          values.append(value)
        }
      }
    }
    return isTooLarge || count > LeftOutFields.longestList
      ? .tooLarge : .some(values.ordered(by: <))
  }

  private mutating func scanScalar(
    _ line: Span<UInt8>, depth: Int
  ) throws(BadLine) -> Scanned {
    switch peek(line) {
    case UInt8(ascii: "\""):
      let text = try scanString(line)
      return text.utf8.count > LeftOutFields.longestText ? .tooLarge : .some([.text(text)])
    case UInt8(ascii: "t"):
      try scanWord(line, "true")
      return .some([.flag(true)])
    case UInt8(ascii: "f"):
      try scanWord(line, "false")
      return .some([.flag(false)])
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      let start = at
      _ = try scanNumber(line)
      // A number beyond what a double holds becomes infinite: it still compares as it should.
      guard let number = Double(text(line, start..<at)) else { return .none }
      return .some([.number(number == 0 ? 0 : number)])
    default:
      try skipValue(line, depth: depth)
      return .none
    }
  }
}
