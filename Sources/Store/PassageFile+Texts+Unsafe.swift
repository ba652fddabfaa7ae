import Platform

/// A decompressed block of texts.
struct TextBlock {
  /// The number of its first passage.
  let first: Int
  private let raw: [UInt8]
  private let starts: [Int]

  init(first: Int, raw: [UInt8], starts: [Int]) {
    self.first = first
    self.raw = raw
    self.starts = starts
  }

  /// The number of texts.
  var count: Int { starts.count - 1 }

  /// The UTF-8 bytes of all texts.
  var texts: [ArraySlice<UInt8>] { (0..<count).map { self[$0] } }

  /// The UTF-8 bytes of the text at `place`.
  subscript(place: Int) -> ArraySlice<UInt8> { raw[starts[place]..<starts[place + 1]] }
}

extension PassageFile {
  /// The texts of block `block`, checked against the blocks beside it.
  func textBlock(_ block: Int) throws(RetortError) -> TextBlock {
    let index = LittleEndianBytes(try textIndex.all())
    let raw = try unpack(
      texts, offset: index.long(block * 24), length: index.word(block * 24 + 8),
      raw: index.word(block * 24 + 12))
    let header = raw.withUnsafeBytes { LittleEndianBytes($0).word(0) }
    let next = block + 1 < textBlocks ? index.long((block + 1) * 24 + 16) : UInt64(count)
    guard let first = index.long(block * 24 + 16), let texts = header, first < UInt64(count),
      next == first + UInt64(texts), let starts = Self.starts(in: raw, at: 4, count: Int(texts))
    else { throw self.texts.damaged("block \(block)") }
    return TextBlock(first: Int(first), raw: raw, starts: starts)
  }

  /// Calls `body` with the number and the text (UTF-8) of every passage, in order; each block is
  /// decompressed once.
  package func forEachText(
    _ body: (Int, ArraySlice<UInt8>) throws(RetortError) -> Void
  ) throws(RetortError) {
    var expected = 0
    for block in 0..<textBlocks {
      try Interruption.check()
      let texts = try textBlock(block)
      guard texts.first == expected else {
        throw textIndex.damaged("block \(block) does not start at passage \(expected)")
      }
      for place in 0..<texts.count { try body(expected + place, texts[place]) }
      expected += texts.count
    }
    guard expected == count else {
      throw textIndex.damaged("holds \(expected) texts instead of \(count)")
    }
  }

  /// Decompresses every block of texts and checks that they hold all passages in order, and that
  /// every text can be found by its hash.
  package func verifyTexts() throws(RetortError) {
    var expected: [UInt64] = []
    expected.reserveCapacity(count)
    try forEachText { number, bytes throws(RetortError) in
      guard String(validating: bytes, as: UTF8.self) != nil else {
        throw texts.damaged("passage \(number) is not UTF-8")
      }
      expected.append(UInt64(PassageLayout.hash(bytes)) << 32 | UInt64(number))
    }
    expected.order()
    let stored = LittleEndianBytes(try textLookup.all())
    for (place, entry) in expected.enumerated() where stored.long(place * 8) != entry {
      throw textLookup.damaged("entry \(place)")
    }
  }
}
