import Formats
import Platform

/// Reads a filter by recursive descent; `Filter.swift` has the grammar.
struct FilterParser {
  private enum Token: Equatable {
    case word(String)
    case field(String)
    case text(String)
    case number(Double)
    case symbol(String)
    case end
  }

  /// Deeper nesting, and more tests, are a mistake or an attack on the stack.
  private static let maximumDepth = 100
  private static let maximumTests = 1000

  private let characters: [Character]
  private var place = 0
  /// Where the current token begins.
  private var start = 0
  private var token = Token.end
  private var depth = 0
  private var tests = 0

  init(_ text: String) { characters = Array(text) }

  mutating func parse() throws(RetortError) -> Filter.Condition {
    try advance()
    let condition = try disjunction()
    guard token == .end else { throw unexpected("\"and\", \"or\" or the end") }
    return condition
  }

  private mutating func disjunction() throws(RetortError) -> Filter.Condition {
    var condition = try conjunction()
    while isWord("or") {
      try advance()
      condition = .or(condition, try conjunction())
    }
    return condition
  }

  private mutating func conjunction() throws(RetortError) -> Filter.Condition {
    var condition = try negation()
    while isWord("and") {
      try advance()
      condition = .and(condition, try negation())
    }
    return condition
  }

  private mutating func negation() throws(RetortError) -> Filter.Condition {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else {
      throw error("is nested deeper than \(Self.maximumDepth)", at: start)
    }
    if isWord("not") {
      try advance()
      return .not(try negation())
    }
    if token == .symbol("(") {
      try advance()
      let inner = try disjunction()
      guard token == .symbol(")") else { throw unexpected("\")\"") }
      try advance()
      return inner
    }
    return try test()
  }

  private mutating func test() throws(RetortError) -> Filter.Condition {
    let name: String
    switch token {
    case .field(let quoted): name = quoted
    case .word(let word)
    where !["and", "or", "in", "exists", "true", "false"].contains(
      word.lowercased()):
      name = word
    default: throw unexpected("a field's name, \"not\" or \"(\"")
    }
    tests += 1
    guard tests <= Self.maximumTests else {
      throw error(
        "asks more than \(Self.maximumTests) questions; \"in\" takes any number of values",
        at: start)
    }
    try advance()
    if isWord("exists") {
      try advance()
      return .test(name, .exists)
    }
    if isWord("not") {
      try advance()
      guard isWord("in") else { throw unexpected("\"in\"") }
      return .not(.test(name, .among(try list())))
    }
    if isWord("in") { return .test(name, .among(try list())) }
    guard case .symbol(let comparison) = token, Self.comparisons.contains(comparison) else {
      throw unexpected("=, !=, <, <=, >, >=, \"in\" or \"exists\"")
    }
    try advance()
    let bound = try value()
    switch comparison {
    case "=": return .test(name, .among([bound]))
    case "!=": return .not(.test(name, .among([bound])))
    case "<": return .test(name, .less(bound))
    case "<=": return .test(name, .lessOrEqual(bound))
    case ">": return .test(name, .greater(bound))
    default: return .test(name, .greaterOrEqual(bound))
    }
  }

  private static let comparisons: Set = ["=", "!=", "<", "<=", ">", ">="]

  /// The values after "in".
  private mutating func list() throws(RetortError) -> Set<FieldValue> {
    try advance()
    guard token == .symbol("(") else { throw unexpected("\"(\"") }
    var values: Set<FieldValue> = []
    repeat {
      try advance()
      values.insert(try value())
    } while token == .symbol(",")
    guard token == .symbol(")") else { throw unexpected("\",\" or \")\"") }
    try advance()
    return values
  }

  private mutating func value() throws(RetortError) -> FieldValue {
    let value: FieldValue
    switch token {
    case .text(let text): value = .text(text)
    case .number(let number): value = .number(number)
    case .word(let word) where word.lowercased() == "true": value = .flag(true)
    case .word(let word) where word.lowercased() == "false": value = .flag(false)
    default: throw unexpected("a value: a quoted text, a number, true or false")
    }
    try advance()
    return value
  }

  private func isWord(_ word: String) -> Bool {
    if case .word(let found) = token { found.lowercased() == word } else { false }
  }

  // MARK: Tokens

  private mutating func advance() throws(RetortError) {
    while place < characters.count, characters[place].isWhitespace { place += 1 }
    start = place
    guard place < characters.count else {
      token = .end
      return
    }
    let character = characters[place]
    switch character {
    case "\"", "'": token = .text(try quoted(by: character))
    case "`":
      token = .field(try quoted(by: character))
    case "(", ")", ",", "=":
      place += 1
      token = .symbol(String(character))
    case "<", ">", "!":
      place += 1
      var symbol = String(character)
      if place < characters.count, characters[place] == "=" {
        symbol.append("=")
        place += 1
      }
      guard symbol != "!" else { throw error("! stands only before =", at: start) }
      token = .symbol(symbol)
    case "-", "+", ".", "0"..."9": token = .number(try number())
    case _ where character.isLetter || character == "_":
      token = .word(run { $0.isLetter || $0.isNumber || "_-.".contains($0) })
    default: throw error("\"\(character)\" means nothing here", at: start)
    }
  }

  private mutating func run(_ isPart: (Character) -> Bool) -> String {
    let first = place
    while place < characters.count, isPart(characters[place]) { place += 1 }
    return String(characters[first..<place])
  }

  private mutating func number() throws(RetortError) -> Double {
    let text = run { $0.isLetter || $0.isNumber || "+-.".contains($0) }
    guard let number = Double(text), number.isFinite,
      text.allSatisfy({ "+-.eE".contains($0) || $0.isASCII && $0.isNumber })
    else { throw error("\"\(text)\" is no number", at: start) }
    return number == 0 ? 0 : number
  }

  private mutating func quoted(by quote: Character) throws(RetortError) -> String {
    place += 1
    var text = ""
    while place < characters.count, characters[place] != quote {
      if characters[place] == "\\" {
        place += 1
        guard place < characters.count, [quote, "\\"].contains(characters[place]) else {
          throw error("\\ stands only before \(quote) and \\", at: place - 1)
        }
      }
      text.append(characters[place])
      place += 1
    }
    guard place < characters.count else {
      throw error("the text that begins here has no end", at: start)
    }
    place += 1
    return text
  }

  // MARK: Errors

  private func unexpected(_ wanted: String) -> RetortError {
    let found =
      switch token {
      case .end: "the end"
      default: "\"\(String(characters[start..<place]))\""
      }
    return error("expected \(wanted), found \(found)", at: start)
  }

  private func error(_ message: String, at place: Int) -> RetortError {
    RetortError(.usage, "the filter, column \(place + 1): \(message)")
  }
}
