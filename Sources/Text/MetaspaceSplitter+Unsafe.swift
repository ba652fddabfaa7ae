import Platform

/// Splits normalised text into words for a unigram model.
///
/// The steps are Hugging Face's WhitespaceSplit (words are what lies between whitespace) and
/// Metaspace (spaces become a visible sign, usually ▁, that begins each word).
struct MetaspaceSplitter: Sendable, Hashable {
  /// When the sign is put before a text that does not begin with it.
  enum Prefix: String, Sendable { case always, first, never }

  var splitsWhitespace = false
  /// The sign in UTF-8; nil without a Metaspace step.
  var sign: [UInt8]?
  var prefix = Prefix.always
  /// Whether words are cut before each sign.
  var cutsAtSign = true

  /// Calls `body` with each word of `text`, until it returns false.
  func forEachWord(
    of text: [UInt8], isFirst: Bool, _ body: (UnsafeBufferPointer<UInt8>) -> Bool
  ) {
    if !splitsWhitespace {
      _ = cut(text[...], isFirst: isFirst, body)
      return
    }
    var position = 0
    while position < text.count {
      let start = position
      var length = 0
      while position < text.count {
        length = Self.whitespace(in: text, at: position)
        if length > 0 { break }
        position += 1
      }
      if position > start {
        guard cut(text[start..<position], isFirst: isFirst && start == 0, body) else { return }
      }
      position += length
    }
  }

  private func cut(
    _ text: ArraySlice<UInt8>, isFirst: Bool, _ body: (UnsafeBufferPointer<UInt8>) -> Bool
  ) -> Bool {
    guard !text.isEmpty else { return true }
    guard let sign else { return text.withUnsafeBufferPointer(body) }
    var signed: [UInt8] = []
    signed.reserveCapacity(text.count + text.count / 2 + sign.count)
    let wanted = prefix == .always || prefix == .first && isFirst
    if wanted, text.first != 32, !text.starts(with: sign) { signed += sign }
    for byte in text {
      if byte == 32 { signed += sign } else { signed.append(byte) }
    }
    return signed.withUnsafeBufferPointer { bytes in
      guard cutsAtSign else { return body(bytes) }
      var start = 0
      var position = 1
      while position < bytes.count {
        if bytes[position] == sign[0], position + sign.count <= bytes.count,
          bytes[position..<position + sign.count].elementsEqual(sign)
        {
          guard body(UnsafeBufferPointer(rebasing: bytes[start..<position])) else { return false }
          start = position
        }
        position += 1
      }
      return body(UnsafeBufferPointer(rebasing: bytes[start...]))
    }
  }

  /// The length of the whitespace character at `position`, or 0.
  private static func whitespace(in text: [UInt8], at position: Int) -> Int {
    switch text[position] {
    case 9...13, 32: return 1
    case 0xC2: return [0x85, 0xA0].contains(text[position + 1]) ? 2 : 0
    case 0xE1...0xE3:
      let value =
        UInt32(text[position] & 15) << 12 | UInt32(text[position + 1] & 63) << 6
        | UInt32(text[position + 2] & 63)
      return Unicode.Scalar(value)?.properties.isWhitespace == true ? 3 : 0
    default: return 0
    }
  }
}
