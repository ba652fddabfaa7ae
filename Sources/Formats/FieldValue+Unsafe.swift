/// A value of a metadata field of a passage.
public enum FieldValue: Sendable, Hashable {
  /// True or false.
  case flag(Bool)
  /// A number; integers are exact up to 2^53.
  case number(Double)
  /// A text.
  case text(String)
}

extension FieldValue: Comparable {
  /// Flags before numbers before texts; texts by their UTF-8 bytes.
  public static func < (one: FieldValue, other: FieldValue) -> Bool {
    switch (one, other) {
    case (.flag(let one), .flag(let other)): !one && other
    case (.number(let one), .number(let other)): one < other
    case (.text(let one), .text(let other)): one.precedesInBytes(other)
    case (.flag, _), (.number, .text): true
    default: false
    }
  }

  /// Texts are equal when their bytes are.
  public static func == (one: FieldValue, other: FieldValue) -> Bool {
    switch (one, other) {
    case (.flag(let one), .flag(let other)): one == other
    case (.number(let one), .number(let other)): one == other
    case (.text(let one), .text(let other)): one.utf8.elementsEqual(other.utf8)
    default: false
    }
  }

  /// Hashes what `==` compares.
  public func hash(into hasher: inout Hasher) {
    switch self {
    case .flag(let value): hasher.combine(value)
    case .number(let value): hasher.combine(value)
    case .text(let value):
      var copy = value
      copy.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
  }
}

/// Which metadata fields of JSON lines are kept: all that `id` and text do not use, none, or some.
///
/// Nested objects count as fields of their own, with their names joined by dots.
public enum FieldSelection: Sendable, Equatable {
  /// Every field.
  case all
  /// No field.
  case none
  /// The fields of these names.
  case only(Set<String>)

  func contains(_ name: String) -> Bool {
    switch self {
    case .all: true
    case .none: false
    case .only(let names): names.contains(name)
    }
  }

  /// Whether some field below the object `name` may be kept.
  func mayHoldBelow(_ name: String) -> Bool {
    switch self {
    case .all: true
    case .none: false
    case .only(let names): names.contains { $0.hasPrefix(name + ".") }
    }
  }
}

/// Metadata that was left out because it cannot be filtered by, by field.
struct LeftOutFields {
  private(set) var counts: [String: Int] = [:]

  /// Texts longer than this, in bytes, are left out.
  static let longestText = 1024
  /// Lists of more values are left out: they are vectors or texts, not labels.
  static let longestList = 64

  mutating func add(_ name: String) { counts[name, default: 0] += 1 }

  /// One sentence a field, by name.
  var report: [String] {
    counts.ordered { $0.key < $1.key }.map {
      "field \"\($0.key)\": \($0.value) values left out (texts of more than \(Self.longestText) "
        + "bytes and lists of more than \(Self.longestList) values cannot be filtered by)"
    }
  }
}
