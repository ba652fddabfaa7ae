/// The fields of one JSON object that corpora and query files use.
struct JSONRecord: Equatable {
  var underscoreID: String?
  var id: String?
  var docid: String?
  var title: String?
  var text: String?
  var contents: String?
  /// The other fields that were asked for.
  var fields: [String: [FieldValue]] = [:]
  /// Names of fields whose values cannot be filtered by.
  var leftOut: [String] = []
}

/// Scans one JSON object strictly (RFC 8259) and keeps only the fields of a `JSONRecord`.
///
/// Foundation's decoder would do but for three things: it takes trailing commas and lone
/// surrogates in silence, it does not say where a line is malformed, and it makes a dictionary of
/// every field. Other fields, nested to any depth up to `maximumDepth`, are checked, and kept where
/// `selection` says so. A field that is used and occurs twice is an error; `null` counts as absent.
struct JSONRecordScanner {
  static let maximumDepth = 256

  /// The metadata fields to keep.
  var selection = FieldSelection.none
  var at = 0
  private var scratch: [UInt8] = []

  /// Scans a line that holds one object and nothing else.
  mutating func scan(_ line: Span<UInt8>) throws(BadLine) -> JSONRecord {
    at = 0
    skipSpace(line)
    guard peek(line) == UInt8(ascii: "{") else {
      try skipValue(line, depth: 0)
      throw BadLine("not a JSON object")
    }
    var record = JSONRecord()
    try scanMembers(line) { scanner, line, key throws(BadLine) in
      switch key {
      case "_id": try scanner.store(line, key, &record.underscoreID, isID: true)
      case "id": try scanner.store(line, key, &record.id, isID: true)
      case "docid": try scanner.store(line, key, &record.docid, isID: true)
      case "title": try scanner.store(line, key, &record.title, isID: false)
      case "text": try scanner.store(line, key, &record.text, isID: false)
      case "contents": try scanner.store(line, key, &record.contents, isID: false)
      default: try scanner.scanField(line, key, depth: 1, into: &record)
      }
    }
    skipSpace(line)
    guard at == line.count else { throw malformed() }
    return record
  }

  private mutating func store(
    _ line: Span<UInt8>, _ key: String, _ field: inout String?, isID: Bool
  ) throws(BadLine) {
    guard field == nil else { throw BadLine("field \"\(key)\" occurs twice") }
    let start = at
    switch peek(line) {
    case UInt8(ascii: "\""): field = try scanString(line)
    case UInt8(ascii: "n"): try skipValue(line, depth: 1)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      let isInteger = try scanNumber(line)
      guard isID, isInteger else { fallthrough }
      field = Formats.text(line, start..<at)
    default:
      at = start
      try skipValue(line, depth: 1)
      throw BadLine("field \"\(key)\" is not \(isID ? "text or an integer" : "text")")
    }
  }

  // MARK: Grammar

  mutating func scanMembers(
    _ line: Span<UInt8>,
    _ member: (inout JSONRecordScanner, Span<UInt8>, String) throws(BadLine) -> Void
  ) throws(BadLine) {
    at += 1
    skipSpace(line)
    if peek(line) == UInt8(ascii: "}") {
      at += 1
      return
    }
    while true {
      skipSpace(line)
      guard peek(line) == UInt8(ascii: "\"") else { throw malformed() }
      let key = try scanString(line)
      skipSpace(line)
      try expect(line, UInt8(ascii: ":"))
      skipSpace(line)
      try member(&self, line, key)
      skipSpace(line)
      if peek(line) == UInt8(ascii: "}") {
        at += 1
        return
      }
      try expect(line, UInt8(ascii: ","))
    }
  }

  mutating func skipValue(_ line: Span<UInt8>, depth: Int) throws(BadLine) {
    guard depth <= Self.maximumDepth else {
      throw BadLine("malformed JSON", "(nested deeper than \(Self.maximumDepth))")
    }
    switch peek(line) {
    case UInt8(ascii: "\""): _ = try scanString(line)
    case UInt8(ascii: "t"): try scanWord(line, "true")
    case UInt8(ascii: "f"): try scanWord(line, "false")
    case UInt8(ascii: "n"): try scanWord(line, "null")
    case UInt8(ascii: "{"):
      try scanMembers(line) { scanner, line, _ throws(BadLine) in
        try scanner.skipValue(line, depth: depth + 1)
      }
    case UInt8(ascii: "["): try skipArray(line, depth: depth)
    default: _ = try scanNumber(line)
    }
  }

  private mutating func skipArray(_ line: Span<UInt8>, depth: Int) throws(BadLine) {
    try scanElements(line, depth: depth) { scanner, line throws(BadLine) in
      try scanner.skipValue(line, depth: depth + 1)
    }
  }

  mutating func scanElements(
    _ line: Span<UInt8>, depth: Int,
    _ element: (inout JSONRecordScanner, Span<UInt8>) throws(BadLine) -> Void
  ) throws(BadLine) {
    at += 1
    skipSpace(line)
    if peek(line) == UInt8(ascii: "]") {
      at += 1
      return
    }
    while true {
      skipSpace(line)
      try element(&self, line)
      skipSpace(line)
      if peek(line) == UInt8(ascii: "]") {
        at += 1
        return
      }
      try expect(line, UInt8(ascii: ","))
    }
  }

  mutating func scanWord(_ line: Span<UInt8>, _ word: String) throws(BadLine) {
    for byte in word.utf8 { try expect(line, byte) }
  }

  /// Scans a number; true when it is written as an integer.
  mutating func scanNumber(_ line: Span<UInt8>) throws(BadLine) -> Bool {
    if peek(line) == UInt8(ascii: "-") { at += 1 }
    if peek(line) == UInt8(ascii: "0") {
      at += 1
    } else {
      try scanDigits(line)
    }
    var isInteger = true
    if peek(line) == UInt8(ascii: ".") {
      at += 1
      isInteger = false
      try scanDigits(line)
    }
    if peek(line) == UInt8(ascii: "e") || peek(line) == UInt8(ascii: "E") {
      at += 1
      isInteger = false
      if peek(line) == UInt8(ascii: "+") || peek(line) == UInt8(ascii: "-") { at += 1 }
      try scanDigits(line)
    }
    return isInteger
  }

  private mutating func scanDigits(_ line: Span<UInt8>) throws(BadLine) {
    let start = at
    while (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(peek(line)) { at += 1 }
    guard at > start else { throw malformed() }
  }

  mutating func scanString(_ line: Span<UInt8>) throws(BadLine) -> String {
    at += 1
    let start = at
    let plain = plainEnd(line)
    if plain < line.count, line[plain] == UInt8(ascii: "\"") {
      at = plain + 1
      return Formats.text(line, start..<plain)
    }
    scratch.removeAll(keepingCapacity: true)
    while true {
      let end = plainEnd(line)
      for index in at..<end { scratch.append(line[index]) }
      at = end
      switch peek(line) {
      case UInt8(ascii: "\""):
        at += 1
        return String(decoding: scratch, as: UTF8.self)
      case UInt8(ascii: "\\"): try scanEscape(line)
      default: throw malformed()
      }
    }
  }

  /// The first quote, backslash or control character from here on, or the line's end.
  private func plainEnd(_ line: Span<UInt8>) -> Int {
    var end = at
    while end < line.count {
      let byte = line[end]
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { break }
      end += 1
    }
    return end
  }

  private mutating func scanEscape(_ line: Span<UInt8>) throws(BadLine) {
    let start = at
    at += 1
    let kind = peek(line)
    at += 1
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scratch.append(kind)
    case UInt8(ascii: "b"): scratch.append(0x08)
    case UInt8(ascii: "f"): scratch.append(0x0C)
    case UInt8(ascii: "n"): scratch.append(0x0A)
    case UInt8(ascii: "r"): scratch.append(0x0D)
    case UInt8(ascii: "t"): scratch.append(0x09)
    case UInt8(ascii: "u"):
      var value = try scanHex(line)
      if (0xD800..<0xDC00).contains(value), peek(line) == UInt8(ascii: "\\") {
        at += 1
        try expect(line, UInt8(ascii: "u"))
        let low = try scanHex(line)
        // Anything but a low half leaves `value` a lone surrogate, which is refused below.
        if (0xDC00..<0xE000).contains(low) {
          value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
        }
      }
      guard let scalar = Unicode.Scalar(value) else {
        at = start
        throw BadLine("malformed JSON", "(half of a surrogate pair at column \(start + 1))")
      }
      scratch.append(contentsOf: scalar.utf8)
    default:
      at = start
      throw malformed()
    }
  }

  private mutating func scanHex(_ line: Span<UInt8>) throws(BadLine) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      let byte = peek(line)
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
      default: throw malformed()
      }
      value = value << 4 | UInt32(digit)
      at += 1
    }
    return value
  }

  // MARK: Bytes

  /// The byte here; 0, which no line holds, at the end.
  func peek(_ line: Span<UInt8>) -> UInt8 { at < line.count ? line[at] : 0 }

  private mutating func expect(_ line: Span<UInt8>, _ byte: UInt8) throws(BadLine) {
    guard peek(line) == byte else { throw malformed() }
    at += 1
  }

  private mutating func skipSpace(_ line: Span<UInt8>) {
    while at < line.count, line[at] == 0x20 || line[at] == 0x09 || line[at] == 0x0D { at += 1 }
  }

  private func malformed() -> BadLine { BadLine("malformed JSON", "at column \(at + 1)") }
}
