import Formats
import Platform

// The grammar of filters; keywords in any case, white space between tokens as one likes:
//
//   filter      = conjunction { "or" conjunction }
//   conjunction = condition { "and" condition }
//   condition   = "not" condition | "(" filter ")" | field test
//   test        = ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
//               | [ "not" ] "in" "(" value { "," value } ")"
//               | "exists"
//   field       = letter or "_", then letters, digits, "_", "-", "."   |   any text in backquotes
//   value       = text in single or double quotes, \ before a quote or a \ | number | true | false
//
// A passage passes a test when one of its values of the field does; without the field it passes none.
// "!=" and "not in" are the opposites of "=" and "in". Values of different kinds are neither equal nor
// in any order. Texts are ordered by their UTF-8 bytes.

/// A condition on the metadata of passages, such as `lang = "en" and year >= 2019`.
public struct Filter: Sendable, Equatable {
  /// The filter as it was written.
  public let text: String
  let condition: Condition

  /// Reads a filter; an error says in which column it makes no sense.
  public init(_ text: String) throws(RetortError) {
    self.text = text
    var parser = FilterParser(text)
    condition = try parser.parse()
  }

  /// The fields that the filter asks about.
  public var fields: Set<String> { condition.fields }

  indirect enum Condition: Sendable, Equatable {
    case and(Condition, Condition)
    case or(Condition, Condition)
    case not(Condition)
    case test(String, Test)

    var fields: Set<String> {
      switch self {
      case .and(let one, let other), .or(let one, let other): one.fields.union(other.fields)
      case .not(let inner): inner.fields
      case .test(let field, _): [field]
      }
    }
  }

  enum Test: Sendable, Equatable {
    case among(Set<FieldValue>)
    case less(FieldValue), lessOrEqual(FieldValue), greater(FieldValue), greaterOrEqual(FieldValue)
    case exists

    func accepts(_ value: FieldValue) -> Bool {
      switch self {
      case .among(let values): values.contains(value)
      case .less(let bound): value.isComparable(with: bound) && value < bound
      case .lessOrEqual(let bound): value.isComparable(with: bound) && value <= bound
      case .greater(let bound): value.isComparable(with: bound) && value > bound
      case .greaterOrEqual(let bound): value.isComparable(with: bound) && value >= bound
      case .exists: true
      }
    }
  }
}

extension FieldValue {
  /// Whether both are of the same kind.
  fileprivate func isComparable(with other: FieldValue) -> Bool {
    switch (self, other) {
    case (.flag, .flag), (.number, .number), (.text, .text): true
    default: false
    }
  }
}
