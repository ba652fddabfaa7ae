import Foundation
import Platform

/// The normalisation of a unigram tokenizer: a list of steps over UTF-8 bytes.
struct TextNormalizer: Sendable {
  enum Step: Sendable {
    case replace([UInt8], with: [UInt8])
    /// Two or more spaces in a row become this.
    case collapseSpaces([UInt8])
    case canonical(composed: Bool)
    case compatibility(composed: Bool)
    case lowercase
    case stripAccents
    case strip(left: Bool, right: Bool)
    case characterMap(CharacterMap)
  }

  var steps: [Step] = []

  /// Whether a step's result depends on what is beyond a space between two plain letters.
  var looksAcrossSpaces: Bool {
    steps.contains { step in
      switch step {
      case .replace(let pattern, _): pattern.contains(32)
      case .strip: true
      default: false
      }
    }
  }

  /// The normalised form of valid UTF-8.
  func apply(_ text: [UInt8]) -> [UInt8] {
    steps.reduce(text) { Self.apply($1, to: $0) }
  }

  private static func apply(_ step: Step, to text: [UInt8]) -> [UInt8] {
    let isASCII = text.allSatisfy { $0 < 128 }
    switch step {
    case .replace(let pattern, let content): return replace(pattern, with: content, in: text)
    case .collapseSpaces(let content): return collapse(text, content)
    case .canonical(let composed):
      return isASCII
        ? text
        : byParts(text) {
          composed
            ? $0.precomposedStringWithCanonicalMapping
            : $0.decomposedStringWithCanonicalMapping
        }
    case .compatibility(let composed):
      return isASCII
        ? text
        : byParts(text) {
          composed
            ? $0.precomposedStringWithCompatibilityMapping
            : $0.decomposedStringWithCompatibilityMapping
        }
    case .lowercase:
      if isASCII { return text.map { (65...90).contains($0) ? $0 + 32 : $0 } }
      return mapScalars(text) { scalar, output in
        if scalar.properties.changesWhenLowercased {
          output += scalar.properties.lowercaseMapping.utf8
        } else {
          append(scalar, to: &output)
        }
      }
    case .stripAccents:
      if isASCII { return text }
      return mapScalars(text) { scalar, output in
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: break
        default: append(scalar, to: &output)
        }
      }
    case .strip(let left, let right):
      var scalars = String(decoding: text, as: UTF8.self).unicodeScalars[...]
      if left { scalars = scalars.drop(while: \.properties.isWhitespace) }
      if right {
        while let last = scalars.last, last.properties.isWhitespace { scalars.removeLast() }
      }
      return Array(String(scalars).utf8)
    case .characterMap(let map): return map.apply(text)
    }
  }

  private static func replace(
    _ pattern: [UInt8], with content: [UInt8], in text: [UInt8]
  ) -> [UInt8] {
    guard let first = pattern.first, text.contains(first) else { return text }
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var position = 0
    while position < text.count {
      if text[position] == first, position + pattern.count <= text.count,
        text[position..<position + pattern.count].elementsEqual(pattern)
      {
        result += content
        position += pattern.count
      } else {
        result.append(text[position])
        position += 1
      }
    }
    return result
  }

  private static func collapse(_ text: [UInt8], _ content: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var position = 0
    while position < text.count {
      guard text[position] == 32 else {
        result.append(text[position])
        position += 1
        continue
      }
      let start = position
      while position < text.count, text[position] == 32 { position += 1 }
      if position - start > 1 { result += content } else { result.append(32) }
    }
    return result
  }

  private static func append(_ scalar: Unicode.Scalar, to output: inout [UInt8]) {
    if let encoded = UTF8.encode(scalar) { output += encoded }
  }

  private static func mapScalars(
    _ text: [UInt8], _ body: (Unicode.Scalar, inout [UInt8]) -> Void
  ) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
      if scalar.isASCII, !(65...90).contains(scalar.value) {
        result.append(UInt8(truncatingIfNeeded: scalar.value))
      } else {
        body(scalar, &result)
      }
    }
    return result
  }

  /// Applies a Unicode normalisation form part by part.
  ///
  /// Putting marks in order costs more than linear time on a long run of marks, so the text is cut
  /// before ASCII characters, which never take part in what stands before them, and in long runs of
  /// other characters before one that begins a new cluster. Only a run of 64 marks is cut within
  /// (compare the Stream-Safe Text Format of UAX #15, which allows 30).
  private static func byParts(_ text: [UInt8], _ form: (String) -> String) -> [UInt8] {
    let usualRun = 64
    let longestRun = 128
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 8)
    var start = 0
    var position = 0
    while position < text.count {
      // Plain ASCII but the last character before a non-ASCII one is taken over as it is.
      while position < text.count, text[position] < 128 { position += 1 }
      let base = position < text.count && position > start ? position - 1 : position
      result += text[start..<base]
      start = base
      var characters = 0
      while position < text.count, text[position] >= 128 {
        if text[position] & 0xC0 != 0x80 {
          if characters >= usualRun, characters == longestRun || beginsCluster(text, position) {
            break
          }
          characters += 1
        }
        position += 1
      }
      if position > start {
        result += form(String(decoding: text[start..<position], as: UTF8.self)).utf8
      }
      start = position
    }
    return result
  }

  /// Whether the non-ASCII character at `position` neither reorders nor composes with what stands
  /// before it: no mark, and no vowel or final consonant of the Hangul alphabet.
  private static func beginsCluster(_ text: [UInt8], _ position: Int) -> Bool {
    let end = min(position + 4, text.count)
    guard
      let scalar = String(decoding: text[position..<end], as: UTF8.self).unicodeScalars.first
    else { return false }
    switch scalar.value {
    // Hangul; and the half-width voicing marks, which decompose to marks; and half-width Hangul.
    case 0x1160...0x11FF, 0xD7B0...0xD7FF, 0xFF9E...0xFFDC: return false
    default: break
    }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark: return false
    default: return true
    }
  }
}
