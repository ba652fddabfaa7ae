import Platform

/// Walks over a term's postings by ascending passages and scores them for one query. For one thread.
final class PostingCursor {
  private let query: WeightedQuery
  private let weight: Float
  private let lengths: PassageLengths
  private let postings: PostingBlocks
  // Checks of exclusive access would cost every look-up; a cursor is one thread's.
  /// What a block's passages score at most.
  @exclusivity(unchecked) private var bounds: [UInt32] = []
  /// The first block that may hold what is yet to come.
  @exclusivity(unchecked) private var block = 0
  /// The block that is unpacked, and the next of its postings.
  @exclusivity(unchecked) private var unpacked = -1
  @exclusivity(unchecked) private var place = 0
  private let passages: UnsafeMutablePointer<UInt32>
  private let counts: UnsafeMutablePointer<UInt32>

  init(
    _ term: InvertedFile.Term, of file: InvertedFile, _ query: WeightedQuery, weight: Float,
    _ lengths: PassageLengths
  ) throws(RetortError) {
    self.query = query
    self.weight = weight
    self.lengths = lengths
    postings = try PostingBlocks(term, of: file)
    passages = .allocate(capacity: 2 * InvertedLayout.blockLength)
    counts = passages + InvertedLayout.blockLength
    for block in postings.blocks {
      var bound: UInt32 = 0
      for impact in postings.impacts[block.impacts] {
        bound = max(bound, score(count: impact.count, length: impact.length))
      }
      bounds.append(bound)
    }
    if postings.impacts.isEmpty {
      // A single block is read at once: its own postings bound it.
      try unpack(0)
      for posting in 0..<postings.blocks[0].count { bounds[0] = max(bounds[0], score(posting)) }
    }
  }

  deinit { passages.deallocate() }

  @inline(__always)
  private func score(count: UInt32, length: UInt32) -> UInt32 {
    query.contribution(weight, inverseCount: inverse(count), length: length)
  }

  @inline(__always)
  private func score(_ posting: Int) -> UInt32 {
    score(count: counts[posting], length: lengths[Int(passages[posting])])
  }

  /// 1 / count: most counts are 1, and a division takes as long as all the rest.
  @inline(__always)
  private func inverse(_ count: UInt32) -> Float { count == 1 ? 1 : 1 / Float(count) }

  private func unpack(_ block: Int) throws(RetortError) {
    guard block != unpacked else { return }
    try postings.decode(block, passages: passages, counts: counts)
    unpacked = block
    place = 0
  }

  /// Leaves blocks behind that end before `passage`.
  private func skip(to passage: Int) {
    while block < postings.blocks.count, postings.blocks[block].last < passage { block += 1 }
  }

  /// What passages of `window` score at most, and how many there are if a block's are spread evenly;
  /// windows must ascend.
  func outlook(in window: Range<Int>) -> (bound: UInt32, postings: Int) {
    skip(to: window.lowerBound)
    var bound: UInt32 = 0
    var count = 0
    var next = block
    var start = next > 0 ? postings.blocks[next - 1].last + 1 : 0
    while next < postings.blocks.count, start < window.upperBound {
      bound = max(bound, bounds[next])
      let end = postings.blocks[next].last + 1
      let inside = min(end, window.upperBound) - max(start, window.lowerBound)
      let all = postings.blocks[next].count
      count += inside == end - start ? all : all * inside / (end - start)
      start = end
      next += 1
    }
    return (bound, count)
  }

  /// What `passage` scores at most.
  func bound(at passage: Int) -> UInt32 {
    skip(to: passage)
    return block < bounds.count ? bounds[block] : 0
  }

  /// Adds the scores of the passages in `window` to `sums`, whose first is that of the window's first.
  ///
  /// - Returns: whether there were any.
  func add(_ window: Range<Int>, to sums: UnsafeMutablePointer<Int32>) throws(RetortError) -> Bool {
    skip(to: window.lowerBound)
    var isAny = false
    while block < postings.blocks.count {
      if block > 0, postings.blocks[block - 1].last + 1 >= window.upperBound { break }
      try unpack(block)
      let count = postings.blocks[block].count
      while place < count, passages[place] < window.lowerBound { place += 1 }
      let start = place
      while place < count {
        let passage = Int(passages[place])
        if passage >= window.upperBound { break }
        sums[passage &- window.lowerBound] &+= Int32(bitPattern: score(place))
        place += 1
      }
      if place > start { isAny = true }
      if place < count { break }
      block += 1
    }
    return isAny
  }

  /// What `passage` scores; passages must ascend.
  func score(at passage: Int) throws(RetortError) -> UInt32 {
    skip(to: passage)
    guard block < postings.blocks.count else { return 0 }
    try unpack(block)
    let count = postings.blocks[block].count
    while place < count, passages[place] < passage { place += 1 }
    return place < count && passages[place] == passage ? score(place) : 0
  }
}
