import Platform

/// A term's postings in mapped memory, with what its directory says about each block.
struct PostingBlocks {
  /// A block of postings.
  struct Block {
    /// Its last passage.
    var last: Int
    /// Where it begins in the term's postings.
    var start: Int
    var length: Int
    /// Its postings.
    var count: Int
    /// The largest count of each length, in pairs that no other beats; empty where there is no
    /// directory.
    var impacts: Range<Int>
  }

  private(set) var blocks: [Block] = []
  private(set) var impacts: [(count: UInt32, length: UInt32)] = []
  private let bytes: UnsafeRawBufferPointer
  private let source: any VerifiedBytes
  private let limit: Int

  /// Reads the directory of a term's postings and checks it.
  init(_ term: InvertedFile.Term, of file: InvertedFile) throws(RetortError) {
    source = file.postings
    limit = file.count
    let touched = term.range.lowerBound..<(term.range.upperBound + InvertedLayout.slack)
    bytes = try file.postings.bytes(touched)
    let end = term.range.count
    var cursor = ByteCursor(UnsafeRawBufferPointer(rebasing: bytes[..<end]))
    let full = InvertedLayout.blockLength
    guard term.passages > full else {
      blocks = [Block(last: limit - 1, start: 0, length: end, count: term.passages, impacts: 0..<0)]
      return
    }
    var last = -1
    for first in stride(from: 0, to: term.passages, by: full) {
      guard let gap = cursor.next(), (1..<limit - last).contains(gap), let length = cursor.next(),
        let pairs = cursor.next(), (1...full).contains(pairs)
      else { throw source.damaged("the directory of a term") }
      last += gap
      let start = impacts.count
      for _ in 0..<pairs {
        guard let count = cursor.next().flatMap({ UInt32(exactly: $0) }), count > 0,
          let length = cursor.next().flatMap({ UInt32(exactly: $0) })
        else { throw source.damaged("the bounds of a block") }
        impacts.append((count, length))
      }
      blocks.append(
        Block(
          last: last, start: 0, length: length, count: min(full, term.passages - first),
          impacts: start..<impacts.count))
    }
    var start = cursor.place
    for place in blocks.indices {
      guard blocks[place].length <= end - start else {
        throw source.damaged("a block lies outside")
      }
      blocks[place].start = start
      start += blocks[place].length
    }
    guard start == end else { throw source.damaged("a term has bytes too many") }
  }

  /// Unpacks a block; both memories have room for 128 numbers.
  ///
  /// Passages ascend, are above the last of the block before and end with the block's own last.
  func decode(
    _ place: Int, passages: UnsafeMutablePointer<UInt32>, counts: UnsafeMutablePointer<UInt32>
  ) throws(RetortError) {
    let block = blocks[place]
    guard block.length >= 2 else { throw source.damaged("a block is too short") }
    let gapBits = Int(bytes[block.start])
    let countBits = Int(bytes[block.start + 1])
    let gapBytes = (gapBits * block.count + 7) / 8
    let countBytes = (countBits * block.count + 7) / 8
    guard gapBits <= 32, countBits <= 32, block.length == 2 + gapBytes + countBytes,
      let base = bytes.baseAddress
    else { throw source.damaged("the widths of a block") }
    let packed = base + block.start + 2
    unpack(packed, width: gapBits, count: block.count, into: passages)
    unpack(packed + gapBytes, width: countBits, count: block.count, into: counts)
    var last = place > 0 ? blocks[place - 1].last : -1
    for posting in 0..<block.count {
      last &+= Int(passages[posting]) &+ 1
      passages[posting] = UInt32(truncatingIfNeeded: last)
      counts[posting] &+= 1
    }
    // Without a directory the last passage is not known, only where it must lie.
    guard block.impacts.isEmpty ? last <= block.last : last == block.last else {
      throw source.damaged("a block ends with passage \(last)")
    }
  }

  /// Calls `body` with every passage and its count; checks the bounds on the way.
  func forEach(
    _ lengths: PassageLengths, _ body: (Int, UInt32) -> Void
  ) throws(RetortError) {
    let memory = UnsafeMutablePointer<UInt32>.allocate(capacity: 2 * InvertedLayout.blockLength)
    defer { memory.deallocate() }
    let counts = memory + InvertedLayout.blockLength
    for (place, block) in blocks.enumerated() {
      try decode(place, passages: memory, counts: counts)
      for posting in 0..<block.count {
        let (passage, count) = (Int(memory[posting]), counts[posting])
        let isBounded = impacts[block.impacts].contains {
          $0.count >= count && $0.length <= lengths[passage]
        }
        guard count > 0, isBounded || block.impacts.isEmpty else {
          throw source.damaged("a bound is too low")
        }
        body(passage, count)
      }
    }
  }
}
