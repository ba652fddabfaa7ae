import Platform

/// Reads the JSON header of a safetensors file.
///
/// A reader of its own instead of `JSONDecoder`, because the header decides which bytes are touched:
/// duplicate names, negative and oversized numbers must be seen, each with its byte offset.
struct SafeTensorsHeader {
  struct Entry {
    var name: String
    var type: String
    var shape: [UInt64]
    var begin: UInt64
    var end: UInt64
    var offset: Int
  }

  private(set) var entries: [Entry] = []
  private(set) var metadata: [String: String] = [:]

  private let bytes: UnsafeRawBufferPointer
  private let path: String
  /// Where the header starts in the file, for error positions.
  private let base: Int
  private var at = 0

  init(_ bytes: UnsafeRawBufferPointer, path: String, base: Int) throws(RetortError) {
    self.bytes = bytes
    self.path = path
    self.base = base
    try parse()
  }

  private mutating func parse() throws(RetortError) {
    var names: Set<String> = []
    try object { header, name throws(RetortError) in
      let offset = header.at
      guard names.insert(name).inserted else {
        throw header.failure("names the tensor \(quoted(name)) twice", at: offset)
      }
      if name == "__metadata__" {
        try header.object { header, key throws(RetortError) in
          header.metadata[key] = try header.string()
        }
      } else {
        header.entries.append(try header.entry(name))
      }
    }
    skipSpace()
    guard at == bytes.count else { throw failure("has text after its JSON header") }
  }

  private mutating func entry(_ name: String) throws(RetortError) -> Entry {
    let start = at
    var type: String?
    var shape: [UInt64]?
    var offsets: [UInt64]?
    try object { header, key throws(RetortError) in
      let offset = header.at
      switch key {
      case "dtype" where type == nil: type = try header.string()
      case "shape" where shape == nil: shape = try header.numbers()
      case "data_offsets" where offsets == nil: offsets = try header.numbers()
      default:
        throw header.failure(
          "has an unexpected or repeated field \(quoted(key)) in the tensor \(quoted(name))",
          at: offset)
      }
    }
    guard let type, let shape, let offsets, offsets.count == 2 else {
      throw failure(
        "does not give dtype, shape and two data_offsets for the tensor \(quoted(name))", at: start)
    }
    return Entry(
      name: name, type: type, shape: shape, begin: offsets[0], end: offsets[1], offset: base + start
    )
  }

  // MARK: The parts of JSON that occur

  private mutating func object(
    _ member: (inout SafeTensorsHeader, String) throws(RetortError) -> Void
  ) throws(RetortError) {
    try expect("{")
    if take("}") { return }
    repeat {
      let key = try string()
      try expect(":")
      skipSpace()
      try member(&self, key)
    } while take(",")
    try expect("}")
  }

  private mutating func numbers() throws(RetortError) -> [UInt64] {
    var values: [UInt64] = []
    try expect("[")
    if take("]") { return values }
    repeat { values.append(try number()) } while take(",")
    try expect("]")
    return values
  }

  private mutating func number() throws(RetortError) -> UInt64 {
    skipSpace()
    let start = at
    var value: UInt64 = 0
    while at < bytes.count, case let digit = bytes[at] &- 48, digit < 10 {
      let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = shifted.addingReportingOverflow(UInt64(digit))
      guard !overflow, !carry else { throw failure("has a number beyond 2^64", at: start) }
      value = sum
      at += 1
    }
    guard at > start else {
      let negative = start < bytes.count && bytes[start] == UInt8(ascii: "-")
      throw failure(
        negative ? "has a negative number in its header" : "lacks a number in its header")
    }
    if at < bytes.count,
      [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(bytes[at])
    {
      throw failure("has a number in its header that is not whole", at: start)
    }
    return value
  }

  private mutating func string() throws(RetortError) -> String {
    try expect("\"")
    var content: [UInt8] = []
    let start = at
    while at < bytes.count {
      let byte = bytes[at]
      at += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let text = String(validating: content, as: UTF8.self) else {
          throw failure("has a name that is not UTF-8", at: start)
        }
        return text
      case UInt8(ascii: "\\"): try escape(into: &content)
      case 0..<32: throw failure("has a control character in a name", at: at - 1)
      default: content.append(byte)
      }
    }
    throw failure("has a header that ends within a name", at: start)
  }

  private mutating func escape(into content: inout [UInt8]) throws(RetortError) {
    guard at < bytes.count else { throw failure("has a header that ends within a name") }
    let byte = bytes[at]
    at += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
    case UInt8(ascii: "b"): content.append(8)
    case UInt8(ascii: "f"): content.append(12)
    case UInt8(ascii: "n"): content.append(10)
    case UInt8(ascii: "r"): content.append(13)
    case UInt8(ascii: "t"): content.append(9)
    case UInt8(ascii: "u"):
      var units = [try codeUnit()]
      if units[0] & 0xFC00 == 0xD800, at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"),
        bytes[at + 1] == UInt8(ascii: "u")
      {
        at += 2
        units.append(try codeUnit())
      }
      guard let text = String(validating: units, as: UTF16.self) else {
        throw failure("has half a surrogate pair in a name")
      }
      content += Array(text.utf8)
    default: throw failure("has an unknown escape in a name", at: at - 1)
    }
  }

  private mutating func codeUnit() throws(RetortError) -> UInt16 {
    guard at + 4 <= bytes.count,
      let text = String(validating: bytes[at..<at + 4], as: UTF8.self),
      text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
      let unit = UInt16(text, radix: 16)
    else { throw failure("has a \\u escape without four hexadecimal digits") }
    at += 4
    return unit
  }

  private mutating func skipSpace() {
    while at < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) { at += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
    at += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(RetortError) {
    guard take(character) else {
      throw failure("has a header that is not valid: expected '\(character)'")
    }
  }

  private func failure(_ text: String, at offset: Int? = nil) -> RetortError {
    RetortError(
      .badData, "\(text); the file is damaged or not safetensors: download or export it again",
      path: path, at: .offset(UInt64(base + (offset ?? at))))
  }
}

/// A name in quotation marks, shortened to what fits a message.
func quoted(_ name: String) -> String {
  "'" + (name.count > 120 ? name.prefix(117) + "…" : name[...]) + "'"
}
