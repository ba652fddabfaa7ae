import Platform
import Synchronization

/// A mapped file of passages; blocks are decompressed as they are asked for.
package final class PassageFile: Sendable {
  /// The number of passages.
  package let count: Int
  /// The file.
  package let file: SegmentFile
  private let ids: Section
  private let idIndex: Section
  let texts: Section
  let textIndex: Section
  private let lookup: Section
  let textLookup: Section
  let textBlocks: Int
  private let idBlocks: Mutex<[IDBlock?]>

  private struct IDBlock {
    var bytes: [UInt8]
    /// Places in `bytes`: one more than there are ids.
    var starts: [Int]

    func id(_ place: Int) -> String {
      String(decoding: bytes[starts[place]..<starts[place + 1]], as: UTF8.self)
    }

    var size: Int { bytes.count + starts.count * MemoryLayout<Int>.stride }
  }

  private let budget: MemoryBudget?

  /// Maps the file at `path`.
  package init(path: String, budget: MemoryBudget? = nil) throws(RetortError) {
    self.budget = budget
    file = try SegmentFile(path: path, kind: .passages, budget: budget)
    let section = try file.section("shape")
    let shape = LittleEndianBytes(try section.all())
    guard let count = shape.long(0), shape.word(8) == UInt32(PassageLayout.idsPerBlock),
      count < 1 << 31
    else { throw section.damaged("wrong shape") }
    self.count = Int(count)
    ids = try file.section("ids")
    idIndex = try file.section("idindex")
    texts = try file.section("texts")
    textIndex = try file.section("textindex")
    lookup = try file.section("lookup")
    textLookup = try file.section("textlookup")
    let blocks = (self.count + PassageLayout.idsPerBlock - 1) / PassageLayout.idsPerBlock
    guard idIndex.count == blocks * 16 else { throw idIndex.damaged("wrong length") }
    guard lookup.count == self.count * 8 else { throw lookup.damaged("wrong length") }
    guard textLookup.count == self.count * 8 else { throw textLookup.damaged("wrong length") }
    guard textIndex.count % 24 == 0, self.count == 0 || textIndex.count > 0 else {
      throw textIndex.damaged("wrong length")
    }
    textBlocks = textIndex.count / 24
    idBlocks = Mutex(Array(repeating: nil, count: blocks))
    budget?.add(cache: {
      self.idBlocks.withLock { $0 = Array(repeating: nil, count: $0.count) }
      // Ids are handed out as copies: nobody looks at what is gone.
      return nil
    })
  }

  /// The id of passage `number`, which must be less than `count`.
  package func id(_ number: Int) throws(RetortError) -> String {
    let block = number / PassageLayout.idsPerBlock
    let place = number % PassageLayout.idsPerBlock
    if let known = idBlocks.withLock({ $0[block]?.id(place) }) { return known }
    // Counting may drop ids that were decoded before, so the lock is not held meanwhile.
    let read = try readIDs(block)
    budget?.count(decoded: read.size)
    idBlocks.withLock { blocks in
      if blocks[block] == nil { blocks[block] = read } else { budget?.uncount(decoded: read.size) }
    }
    return read.id(place)
  }

  private func readIDs(_ block: Int) throws(RetortError) -> IDBlock {
    let entry = LittleEndianBytes(try idIndex.bytes((block * 16)..<(block * 16 + 16)))
    let raw = try unpack(ids, offset: entry.long(0), length: entry.word(8), raw: entry.word(12))
    let expected = min(
      PassageLayout.idsPerBlock, count - block * PassageLayout.idsPerBlock)
    guard let starts = Self.starts(in: raw, at: 0, count: expected) else {
      throw ids.damaged("block \(block)")
    }
    return IDBlock(bytes: raw, starts: starts)
  }

  /// The text of passage `number`, which must be less than `count`.
  package func text(_ number: Int) throws(RetortError) -> String {
    let index = LittleEndianBytes(try textIndex.all())
    var low = 0
    var high = textBlocks
    while high - low > 1 {
      let middle = (low + high) / 2
      if let first = index.long(middle * 24 + 16), first <= UInt64(number) {
        low = middle
      } else {
        high = middle
      }
    }
    let block = try textBlock(low)
    let place = number - block.first
    guard place >= 0, place < block.count else { throw texts.damaged("block \(low)") }
    guard let text = String(validating: block[place], as: UTF8.self) else {
      throw texts.damaged("block \(low) is not UTF-8")
    }
    return text
  }

  /// The number of the passage called `id`, or nil.
  package func number(of id: String) throws(RetortError) -> Int? {
    try first(in: lookup, hash: PassageLayout.hash(id.utf8)) { number throws(RetortError) in
      try self.id(number).utf8.elementsEqual(id.utf8)
    }
  }

  /// The number of a passage with exactly this text, or nil.
  package func number(ofText text: String) throws(RetortError) -> Int? {
    try first(in: textLookup, hash: PassageLayout.hash(text.utf8)) { number throws(RetortError) in
      try self.text(number).utf8.elementsEqual(text.utf8)
    }
  }

  /// The first number under `hash` that `isMeant` accepts.
  private func first(
    in section: Section, hash: UInt32, _ isMeant: (Int) throws(RetortError) -> Bool
  ) throws(RetortError) -> Int? {
    let entries = LittleEndianBytes(try section.all())
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if let entry = entries.long(middle * 8), UInt32(entry >> 32) < hash {
        low = middle + 1
      } else {
        high = middle
      }
    }
    while low < count, let entry = entries.long(low * 8), UInt32(entry >> 32) == hash {
      let number = Int(UInt32(truncatingIfNeeded: entry))
      guard number < count else { throw section.damaged("passage \(number) of \(count)") }
      if try isMeant(number) { return number }
      low += 1
    }
    return nil
  }

  func unpack(
    _ section: Section, offset: UInt64?, length: UInt32?, raw: UInt32?
  ) throws(RetortError) -> [UInt8] {
    guard let offset, let length, let raw, offset <= UInt64(section.count),
      UInt64(length) <= UInt64(section.count) - offset
    else { throw section.damaged("a block lies outside") }
    let packed = try section.bytes(Int(offset)..<(Int(offset) + Int(length)))
    guard let bytes = LZ4Block.decompress(packed, length: Int(raw)) else {
      throw section.damaged("a block does not decompress")
    }
    return bytes
  }

  /// Where strings whose u32 lengths stand at `place` begin, if they fill `bytes` exactly.
  static func starts(in bytes: [UInt8], at place: Int, count: Int) -> [Int]? {
    guard count <= (bytes.count - place) / 4 else { return nil }
    var starts = [place + 4 * count]
    starts.reserveCapacity(count + 1)
    return bytes.withUnsafeBytes { raw in
      let words = LittleEndianBytes(raw)
      for i in 0..<count {
        guard let length = words.word(place + 4 * i) else { return nil }
        starts.append((starts.last ?? 0) + Int(length))
      }
      return starts.last == bytes.count ? starts : nil
    }
  }
}
