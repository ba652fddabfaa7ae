import Platform

/// A token that exists beside the model's pieces, such as `[MASK]`.
struct AddedToken: Sendable, Hashable {
  var content: String
  var id: Int32
  /// Swallows the whitespace before it (`lstrip`) or after it (`rstrip`).
  var stripsLeft = false
  var stripsRight = false
  /// Matches only between characters that are no letters or digits.
  var singleWord = false
}

/// Finds added tokens in raw text, before any normalisation; the leftmost, then the longest wins.
struct AddedTokenMatcher: Sendable {
  private let tokens: [(bytes: [UInt8], token: AddedToken)]
  private let startsToken: [Bool]

  init(_ tokens: [AddedToken]) {
    self.tokens = tokens.filter { !$0.content.isEmpty }.map { (Array($0.content.utf8), $0) }
      .ordered { $0.bytes.count > $1.bytes.count }
    var starts = [Bool](repeating: false, count: 256)
    for (bytes, _) in self.tokens { starts[Int(bytes[0])] = true }
    startsToken = starts
  }

  /// Calls `body` with each stretch of ordinary text and the token that ends it; stops at false.
  func forEachSegment(
    of text: UnsafeBufferPointer<UInt8>,
    _ body: (_ segment: UnsafeBufferPointer<UInt8>, _ token: Int32?, _ isFirst: Bool) -> Bool
  ) {
    guard !tokens.isEmpty else {
      _ = body(text, nil, true)
      return
    }
    var start = 0
    var position = 0
    while position < text.count {
      guard startsToken[Int(text[position])], let (length, token) = match(text, at: position) else {
        position += 1
        continue
      }
      var end = position
      var next = position + length
      if token.stripsLeft {
        while let space = Self.scalar(before: end, in: text, from: start), space.isWhitespace {
          end -= space.length
        }
      }
      if token.stripsRight {
        while let space = Self.scalar(at: next, in: text), space.isWhitespace {
          next += space.length
        }
      }
      let segment = UnsafeBufferPointer(rebasing: text[start..<end])
      guard body(segment, token.id, start == 0) else { return }
      start = next
      position = next
    }
    if start < text.count || start == 0 {
      _ = body(UnsafeBufferPointer(rebasing: text[start...]), nil, start == 0)
    }
  }

  private func match(
    _ text: UnsafeBufferPointer<UInt8>, at position: Int
  ) -> (length: Int, token: AddedToken)? {
    for (bytes, token) in tokens where position + bytes.count <= text.count {
      guard text[position..<position + bytes.count].elementsEqual(bytes) else { continue }
      if token.singleWord {
        if let before = Self.scalar(before: position, in: text, from: 0), before.isWord { continue }
        if let after = Self.scalar(at: position + bytes.count, in: text), after.isWord { continue }
      }
      return (bytes.count, token)
    }
    return nil
  }

  private struct Decoded {
    var value: Unicode.Scalar
    var length: Int
    var isWhitespace: Bool { value.properties.isWhitespace }
    var isWord: Bool {
      value == "_" || value.properties.isAlphabetic || value.properties.numericType != nil
    }
  }

  private static func scalar(at position: Int, in text: UnsafeBufferPointer<UInt8>) -> Decoded? {
    guard position < text.count, let base = text.baseAddress else { return nil }
    let (value, length) = WordPiece.decode(base + position)
    return Unicode.Scalar(value).map { Decoded(value: $0, length: length) }
  }

  private static func scalar(
    before position: Int, in text: UnsafeBufferPointer<UInt8>, from start: Int
  ) -> Decoded? {
    guard position > start else { return nil }
    var first = position - 1
    while first > start, text[first] & 0xC0 == 0x80 { first -= 1 }
    return scalar(at: first, in: text)
  }
}
