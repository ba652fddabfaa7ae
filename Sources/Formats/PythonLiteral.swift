/// Reads a dictionary in Python's notation, as headers of .npy files hold it: strings, True and
/// False, tuples of whole numbers. Anything else in a value is skipped over as `other`.
struct PythonLiteral {
  enum Value: Equatable {
    case text(String)
    case truth(Bool)
    case numbers([Int])
    case other
  }

  struct Failure: Error {
    var reason: String
    var offset: Int
  }

  private let bytes: [UInt8]
  private var at: Int

  init(_ span: Span<UInt8>, from start: Int) {
    var copy: [UInt8] = []
    copy.reserveCapacity(span.count)
    for index in 0..<span.count { copy.append(span[index]) }
    bytes = copy
    at = start
  }

  /// The dictionary; nothing but white space may follow.
  mutating func dictionary() throws(Failure) -> [String: Value] {
    var fields: [String: Value] = [:]
    try expect("{")
    while !take("}") {
      let key = try string()
      try expect(":")
      guard fields.updateValue(try value(), forKey: key) == nil else {
        throw failure("the key '\(key)' occurs twice")
      }
      guard take(",") else {
        try expect("}")
        break
      }
    }
    skipSpace()
    guard at == bytes.count else { throw failure("something follows the dictionary") }
    return fields
  }

  private mutating func value() throws(Failure) -> Value {
    skipSpace()
    guard at < bytes.count else { throw failure("it ends too early") }
    switch bytes[at] {
    case UInt8(ascii: "'"), UInt8(ascii: "\""): return .text(try string())
    case UInt8(ascii: "("): return .numbers(try tuple())
    case UInt8(ascii: "["): return try list()
    default: break
    }
    if take(word: "True") { return .truth(true) }
    if take(word: "False") { return .truth(false) }
    throw failure("a value is neither a string nor a truth value nor a tuple")
  }

  private mutating func string() throws(Failure) -> String {
    skipSpace()
    guard at < bytes.count, [UInt8(ascii: "'"), UInt8(ascii: "\"")].contains(bytes[at]) else {
      throw failure("a string is missing")
    }
    let quote = bytes[at]
    let start = at + 1
    at = start
    while at < bytes.count, bytes[at] != quote {
      // Neither names nor types of arrays that are read hold escapes.
      if bytes[at] == UInt8(ascii: "\\") || bytes[at] < 0x20 {
        throw failure("a string holds an escape or a control character")
      }
      at += 1
    }
    guard at < bytes.count else { throw failure("a string does not end") }
    defer { at += 1 }
    return String(decoding: bytes[start..<at], as: UTF8.self)
  }

  /// `()`, `(3,)` or `(3, 4)`; numbers of Python 2 may end in L.
  private mutating func tuple() throws(Failure) -> [Int] {
    try expect("(")
    var numbers: [Int] = []
    while !take(")") {
      numbers.append(try number())
      guard take(",") else {
        try expect(")")
        break
      }
    }
    return numbers
  }

  private mutating func number() throws(Failure) -> Int {
    skipSpace()
    let start = at
    var number = 0
    while at < bytes.count, case let digit = bytes[at] &- 48, digit < 10 {
      let (shifted, overflow) = number.multipliedReportingOverflow(by: 10)
      let (sum, carry) = shifted.addingReportingOverflow(Int(digit))
      guard !overflow, !carry else { throw failure("a number is beyond 2^63") }
      number = sum
      at += 1
    }
    guard at > start else { throw failure("a number is missing or negative") }
    if at < bytes.count, bytes[at] == UInt8(ascii: "L") { at += 1 }
    return number
  }

  /// Skips a list, which describes records.
  private mutating func list() throws(Failure) -> Value {
    var depth = 0
    repeat {
      guard at < bytes.count else { throw failure("a list does not end") }
      switch bytes[at] {
      case UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "]"): depth -= 1
      case UInt8(ascii: "'"), UInt8(ascii: "\""):
        _ = try string()
        continue
      default: break
      }
      at += 1
    } while depth > 0
    return .other
  }

  private mutating func skipSpace() {
    while at < bytes.count, isSpace(bytes[at]) { at += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
    at += 1
    return true
  }

  private mutating func take(word: String) -> Bool {
    guard bytes[at...].starts(with: word.utf8) else { return false }
    at += word.utf8.count
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(Failure) {
    guard take(character) else { throw failure("'\(character)' is missing") }
  }

  private func failure(_ reason: String) -> Failure { Failure(reason: reason, offset: at) }
}
