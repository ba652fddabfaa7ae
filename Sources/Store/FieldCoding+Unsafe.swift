import Formats

/// The fields of a passage as bytes: per field, by name, u32 length and UTF-8 name, u32 number of
/// values, the values as in metadata.seg.
package func encodedFields(_ fields: [String: [FieldValue]]) -> [UInt8] {
  var bytes: [UInt8] = []
  for (name, values) in fields.ordered(by: { $0.key.precedesInBytes($1.key) }) {
    bytes.appendInteger(UInt32(name.utf8.count))
    bytes.append(contentsOf: name.utf8)
    bytes.appendInteger(UInt32(values.count))
    for value in values { bytes.append(value) }
  }
  return bytes
}

/// The fields that `bytes` were made of, nil where they are no such bytes.
package func decodedFields(_ bytes: [UInt8]) -> [String: [FieldValue]]? {
  bytes.withUnsafeBytes { buffer in
    let words = LittleEndianBytes(buffer)
    var fields: [String: [FieldValue]] = [:]
    var place = 0
    while place < buffer.count {
      guard let length = words.word(place), Int(length) <= buffer.count - place - 4,
        let name = String(
          validating: buffer[(place + 4)..<(place + 4 + Int(length))], as: UTF8.self),
        let count = words.word(place + 4 + Int(length))
      else { return nil }
      place += 8 + Int(length)
      var values: [FieldValue] = []
      for _ in 0..<count {
        guard let value = FieldValue(buffer, at: &place) else { return nil }
        values.append(value)
      }
      fields[name] = values
    }
    return fields
  }
}

extension FieldValue {
  /// Takes a value off `buffer`, moving `place` behind it; nil where there is none.
  init?(_ buffer: UnsafeRawBufferPointer, at place: inout Int) {
    let words = LittleEndianBytes(buffer)
    guard place < buffer.count else { return nil }
    switch buffer[place] {
    case 0:
      guard place + 1 < buffer.count, buffer[place + 1] <= 1 else { return nil }
      self = .flag(buffer[place + 1] == 1)
      place += 2
    case 1:
      guard let bits = words.long(place + 1) else { return nil }
      self = .number(Double(bitPattern: bits))
      place += 9
    case 2:
      guard let length = words.word(place + 1), Int(length) <= buffer.count - place - 5,
        let text = String(
          validating: buffer[(place + 5)..<(place + 5 + Int(length))], as: UTF8.self)
      else { return nil }
      self = .text(text)
      place += 5 + Int(length)
    default: return nil
    }
  }
}

extension [UInt8] {
  /// Appends a value: its kind, then what it is.
  mutating func append(_ value: FieldValue) {
    switch value {
    case .flag(let flag):
      append(0)
      append(flag ? 1 : 0)
    case .number(let number):
      append(1)
      appendInteger(number.bitPattern)
    case .text(let text):
      append(2)
      appendInteger(UInt32(text.utf8.count))
      append(contentsOf: text.utf8)
    }
  }
}
