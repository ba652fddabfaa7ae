import Foundation
import Platform

/// SentencePiece's precompiled character map: a double-array trie and the strings it leads to.
///
/// Layout (little-endian): the trie's size in bytes (u32), its units (u32 each), then the
/// replacement strings, each closed by a zero byte; a key's value is the offset of its string.
/// Units follow Darts-clone: bits 0–7 and 31 the label, bit 8 "has a value", bits 10–30 the offset
/// (shifted by 8 more if bit 9 is set). Looked up is what Hugging Face's `tokenizers` looks up: a
/// grapheme cluster of fewer than six bytes as a whole, else character by character, and of the
/// keys that begin it the shortest.
struct CharacterMap: Sendable {
  private let units: [UInt32]
  private let strings: [UInt8]
  /// What each ASCII character becomes if that is one ASCII character, else `asciiOther`.
  private let ascii: [UInt8]
  private static let asciiOther: UInt8 = 255

  /// Reads the base64 text of `tokenizer.json`.
  init(base64: String, path: String) throws(RetortError) {
    guard let data = Data(base64Encoded: base64) else {
      throw RetortError(
        .badData, "has a precompiled_charsmap that is not base64; copy the file again", path: path)
    }
    let bytes = [UInt8](data)
    func word(_ offset: Int) -> UInt32 {
      UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2]) << 16
        | UInt32(bytes[offset + 3]) << 24
    }
    guard bytes.count >= 4 else {
      throw RetortError(.truncated, "has a precompiled_charsmap without a header", path: path)
    }
    let size = Int(word(0))
    guard size >= 4, size % 4 == 0, size <= bytes.count - 4 else {
      throw RetortError(
        .truncated,
        "has a precompiled_charsmap whose trie of \(size) bytes does not fit in "
          + "\(bytes.count) bytes; copy the file again", path: path)
    }
    units = stride(from: 4, to: 4 + size, by: 4).map(word)
    strings = Array(bytes[(4 + size)...])
    guard String(validating: strings, as: UTF8.self) != nil else {
      throw RetortError(
        .badData, "has a precompiled_charsmap whose strings are not UTF-8", path: path)
    }
    let (units, strings) = (units, strings)
    ascii = (UInt8(0)..<128).map { byte in
      guard let found = Self.replacement(CollectionOfOne(byte), units, strings) else { return byte }
      guard found.count == 1, strings[found.lowerBound] < 128 else { return Self.asciiOther }
      return strings[found.lowerBound]
    }
  }

  private static func offset(_ unit: UInt32) -> Int {
    Int((unit >> 10) << ((unit & (1 << 9)) >> 6))
  }

  /// Where in `strings` the string of the shortest key that begins `key` lies.
  private static func replacement(
    _ key: some Sequence<UInt8>, _ units: [UInt32], _ strings: [UInt8]
  ) -> Range<Int>? {
    var position = offset(units[0])
    for byte in key {
      if byte == 0 { return nil }
      position ^= Int(byte)
      guard position < units.count else { return nil }
      let unit = units[position]
      guard unit & (1 << 31 | 0xFF) == UInt32(byte) else { return nil }
      position ^= offset(unit)
      if unit & (1 << 8) != 0 {
        guard position < units.count else { return nil }
        let start = Int(units[position] & 0x7FFF_FFFF)
        // An offset into the middle of a character could only come from a damaged file.
        guard start < strings.count, strings[start] & 0xC0 != 0x80 else { return nil }
        var end = start
        while end < strings.count, strings[end] != 0 { end += 1 }
        return start..<end
      }
    }
    return nil
  }

  /// The mapped form of valid UTF-8.
  func apply(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var position = 0
    while position < text.count {
      // A plain character before another plain one is a grapheme cluster of its own, CR LF excepted.
      var end = position
      while end < text.count, text[end] < 128 {
        if end + 1 < text.count, text[end + 1] >= 128 || text[end] == 13 { break }
        end += 1
      }
      for byte in text[position..<end] {
        if ascii[Int(byte)] != Self.asciiOther {
          result.append(ascii[Int(byte)])
        } else if let found = Self.replacement(CollectionOfOne(byte), units, strings) {
          result += strings[found]
        }
      }
      position = end
      guard position < text.count else { break }
      // Clusters are found from here up to the next place where one begins for certain.
      var stop = position + 1
      while stop < text.count,
        text[stop] >= 128 || text[stop - 1] >= 128 || text[stop] == 10
          || stop + 1 < text.count && text[stop + 1] >= 128
      { stop += 1 }
      for character in String(decoding: text[position..<stop], as: UTF8.self) {
        map(character, into: &result)
      }
      position = stop
    }
    return result
  }

  private func map(_ character: Character, into result: inout [UInt8]) {
    let bytes = character.utf8
    if bytes.count < 6, let found = Self.replacement(bytes, units, strings) {
      result += strings[found]
      return
    }
    for scalar in character.unicodeScalars {
      guard let encoded = UTF8.encode(scalar) else { continue }
      if let found = Self.replacement(encoded, units, strings) {
        result += strings[found]
      } else {
        result += encoded
      }
    }
  }
}
