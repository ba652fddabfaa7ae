import Platform

// An inverted file is five sections, numbers little-endian, "varint" 7 bits a byte, lowest first:
//
//   "shape"      u64 passages, u64 terms, u64 terms of all passages with repetitions,
//                u32 bytes a length (1, 2 or 4), u32 stemmer, u32 stop words (0 none, 1 English), u32 0
//   "lengths"    per passage the number of its terms, repetitions included
//   "terms"      the terms by their UTF-8 bytes, ascending, in blocks of 32: varint bytes shared with
//                the term before (0 for a block's first), varint count of other bytes, these, varint
//                passages that hold the term, varint bytes of its postings
//   "termindex"  per block: u64 offset in "terms", u64 offset of its first postings in "postings"
//   "postings"   per term its passages in blocks of 128, and 8 zero bytes at the end. Terms of more
//                than one block begin with a directory, a row a block: varint distance of its last
//                passage from that of the block before (from −1), varint bytes, varint n and n pairs
//                (varint count, varint length). A block is u8 bits a gap, u8 bits a count, the gaps
//                (distance to the passage before − 1) and the counts − 1, each run ending in a whole
//                byte.
//
// The pairs bound what a block can score whatever k1, b and the rest of the index are: every posting
// has a count of at most that of some pair whose length is at most its passage's. They are few, as
// only pairs that no other beats are kept.

enum InvertedLayout {
  static let blockLength = 128
  static let termsPerBlock = 32
  /// What a reader of packed numbers may touch beyond their end.
  static let slack = 8
}

/// Merges chunks into the sections of an inverted file.
package struct InvertedFileWriter {
  /// Whole sections by name, complete after `write`.
  package private(set) var sections: [(name: String, bytes: [UInt8])] = []
  private var terms: [UInt8] = []
  private var termIndex: [UInt8] = []
  private var termCount = 0
  private var last: [UInt8] = []
  private var offset = 0
  private let lengths: [UInt32]

  /// Writes the chunks of consecutive passages as one inverted file: its postings to `append`, the
  /// rest to `sections`.
  package static func write(
    _ chunks: [InvertedChunk], _ settings: LexicalSettings,
    append: ([UInt8]) throws(RetortError) -> Void
  ) throws(RetortError) -> [(name: String, bytes: [UInt8])] {
    var writer = InvertedFileWriter(lengths: chunks.flatMap(\.lengths))
    try writer.merge(chunks, append: append)
    try append([UInt8](repeating: 0, count: InvertedLayout.slack))
    writer.finish(settings)
    return writer.sections
  }

  private init(lengths: [UInt32]) { self.lengths = lengths }

  private mutating func merge(
    _ chunks: [InvertedChunk], append: ([UInt8]) throws(RetortError) -> Void
  ) throws(RetortError) {
    var bases: [Int] = []
    var base = 0
    for chunk in chunks {
      bases.append(base)
      base += chunk.lengths.count
    }
    var heads = ChunkHeads(chunks)
    var list = PostingList()
    var pending: [UInt8] = []
    while let term = heads.first {
      list.removeAll()
      while let (chunk, place) = heads.next(if: term) {
        chunks[chunk].append(place, base: bases[chunk], to: &list)
      }
      let encoded = encode(list)
      addTerm(Array(term.text.utf8), passages: list.passages.count, bytes: encoded.count)
      pending += encoded
      if pending.count >= 1 << 20 {
        try Interruption.check()
        try append(pending)
        pending.removeAll(keepingCapacity: true)
      }
    }
    try append(pending)
  }

  private mutating func addTerm(_ term: [UInt8], passages: Int, bytes: Int) {
    var shared = 0
    if termCount % InvertedLayout.termsPerBlock == 0 {
      termIndex.appendInteger(UInt64(terms.count))
      termIndex.appendInteger(UInt64(offset))
    } else {
      while shared < min(term.count, last.count), term[shared] == last[shared] { shared += 1 }
    }
    terms.appendVariable(shared)
    terms.appendVariable(term.count - shared)
    terms += term[shared...]
    terms.appendVariable(passages)
    terms.appendVariable(bytes)
    termCount += 1
    last = term
    offset += bytes
  }

  private func encode(_ list: PostingList) -> [UInt8] {
    var directory: [UInt8] = []
    var blocks: [UInt8] = []
    var last = -1
    for start in stride(from: 0, to: list.passages.count, by: InvertedLayout.blockLength) {
      let range = start..<min(list.passages.count, start + InvertedLayout.blockLength)
      let block = encode(list, range, after: last)
      directory.appendVariable(Int(list.passages[range.upperBound - 1]) - last)
      directory.appendVariable(block.count)
      let impacts = impacts(list, range)
      directory.appendVariable(impacts.count)
      for impact in impacts {
        directory.appendVariable(Int(impact.count))
        directory.appendVariable(Int(impact.length))
      }
      blocks += block
      last = Int(list.passages[range.upperBound - 1])
    }
    return list.passages.count > InvertedLayout.blockLength ? directory + blocks : blocks
  }

  private func encode(_ list: PostingList, _ range: Range<Int>, after last: Int) -> [UInt8] {
    var gaps: [UInt32] = []
    var previous = last
    for passage in list.passages[range] {
      gaps.append(UInt32(Int(passage) - previous - 1))
      previous = Int(passage)
    }
    let counts = list.counts[range].map { $0 - 1 }
    func bits(_ values: [UInt32]) -> Int { 32 - (values.max() ?? 0).leadingZeroBitCount }
    var bytes = [UInt8(bits(gaps)), UInt8(bits(counts))]
    bytes.appendPacked(gaps, width: bits(gaps))
    bytes.appendPacked(counts, width: bits(counts))
    return bytes
  }

  /// Count and length of the postings that no other of the block beats in both.
  private func impacts(
    _ list: PostingList, _ range: Range<Int>
  ) -> [(count: UInt32, length: UInt32)] {
    // By length, of one length by falling count.
    var all = range.map {
      UInt64(lengths[Int(list.passages[$0])]) << 32 | UInt64(~list.counts[$0])
    }
    all.order()
    var kept: [(count: UInt32, length: UInt32)] = []
    for entry in all {
      let count = ~UInt32(truncatingIfNeeded: entry)
      if count > kept.last?.count ?? 0 { kept.append((count, UInt32(entry >> 32))) }
    }
    return kept
  }

  private mutating func finish(_ settings: LexicalSettings) {
    let longest = lengths.max() ?? 0
    let width = longest < 1 << 8 ? 1 : longest < 1 << 16 ? 2 : 4
    var shape: [UInt8] = []
    shape.appendInteger(UInt64(lengths.count))
    shape.appendInteger(UInt64(termCount))
    shape.appendInteger(lengths.reduce(0) { $0 + UInt64($1) })
    for word in [UInt32(width), settings.stemmer.code, settings.stopWords.code, 0] {
      shape.appendInteger(word)
    }
    var packed: [UInt8] = []
    packed.reserveCapacity(lengths.count * width)
    for length in lengths {
      for byte in 0..<width { packed.append(UInt8(truncatingIfNeeded: length >> (8 * byte))) }
    }
    sections = [
      ("terms", terms), ("termindex", termIndex), ("lengths", packed), ("shape", shape),
    ]
  }
}

extension LexicalSettings.Stemmer {
  /// How the file names it.
  var code: UInt32 { self == .english ? 1 : 0 }
}

extension LexicalSettings.StopWords {
  /// How the file names them.
  var code: UInt32 { self == .english ? 1 : 0 }
}

/// The next terms of all chunks, the smallest first: a heap of chunks.
private struct ChunkHeads {
  private let chunks: [InvertedChunk]
  private var places: [Int]
  private var heap: [Int] = []

  init(_ chunks: [InvertedChunk]) {
    self.chunks = chunks
    places = Array(repeating: 0, count: chunks.count)
    for chunk in chunks.indices where !chunks[chunk].terms.isEmpty {
      heap.append(chunk)
      var place = heap.count - 1
      while place > 0, precedes(place, (place - 1) / 2) {
        heap.swapAt(place, (place - 1) / 2)
        place = (place - 1) / 2
      }
    }
  }

  private func term(_ chunk: Int) -> TermKey { chunks[chunk].terms[places[chunk]] }

  /// Equal terms come by chunk, so that their passages ascend.
  private func precedes(_ a: Int, _ b: Int) -> Bool {
    let (one, other) = (term(heap[a]), term(heap[b]))
    return one == other ? heap[a] < heap[b] : one < other
  }

  /// The smallest term that is left.
  var first: TermKey? { heap.first.map(term) }

  /// The chunk whose next term is the first, and that term's place, if it is `wanted`; moves on.
  mutating func next(if wanted: TermKey) -> (chunk: Int, place: Int)? {
    guard let chunk = heap.first, term(chunk) == wanted else { return nil }
    let place = places[chunk]
    places[chunk] += 1
    if places[chunk] == chunks[chunk].terms.count {
      heap[0] = heap[heap.count - 1]
      heap.removeLast()
    }
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < heap.count && precedes(child, least) { least = child }
      if least == parent { break }
      heap.swapAt(parent, least)
      parent = least
    }
    return (chunk, place)
  }
}
