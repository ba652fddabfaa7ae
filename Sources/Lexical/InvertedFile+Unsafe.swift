import Platform

/// An inverted file, mapped: for each term the passages that hold it. `InvertedFileWriter` draws the
/// layout.
package struct InvertedFile: Sendable {
  /// How texts became terms.
  package let settings: LexicalSettings
  /// The number of passages.
  package let count: Int
  /// The number of terms.
  package let termCount: Int
  /// Terms of all passages, repetitions included.
  package let totalLength: UInt64
  private let lengthWidth: Int
  private let lengths: any VerifiedBytes
  private let terms: any VerifiedBytes
  private let termIndex: any VerifiedBytes
  let postings: any VerifiedBytes

  /// A term and where its postings lie.
  struct Term {
    var bytes: [UInt8]
    /// Passages that hold it.
    var passages: Int
    /// Its place in "postings".
    var range: Range<Int>
  }

  /// Opens an inverted file given by its sections, which must be of the names the layout gives them.
  package init(_ section: (String) throws(RetortError) -> any VerifiedBytes) throws(RetortError) {
    let shapeSection = try section("shape")
    let shape = try shapeSection.bytes(0..<shapeSection.count)
    guard shape.count == 40 else { throw shapeSection.damaged("wrong length") }
    func long(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: shape.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    func word(_ offset: Int) -> UInt32 {
      UInt32(littleEndian: shape.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    lengths = try section("lengths")
    terms = try section("terms")
    termIndex = try section("termindex")
    postings = try section("postings")
    guard let stemmer = LexicalSettings.Stemmer.allCases.first(where: { $0.code == word(28) }),
      let stopWords = LexicalSettings.StopWords.allCases.first(where: { $0.code == word(32) })
    else { throw shapeSection.damaged("an unknown stemmer or stop list") }
    settings = LexicalSettings(stemmer: stemmer, stopWords: stopWords)
    guard long(0) < 1 << 31, long(8) < 1 << 40, [1, 2, 4].contains(word(24)) else {
      throw shapeSection.damaged("\(long(0)) passages, \(long(8)) terms")
    }
    count = Int(long(0))
    termCount = Int(long(8))
    totalLength = long(16)
    lengthWidth = Int(word(24))
    guard lengths.count == count * lengthWidth else { throw lengths.damaged("wrong length") }
    let blocks = (termCount + InvertedLayout.termsPerBlock - 1) / InvertedLayout.termsPerBlock
    guard termIndex.count == blocks * 16 else { throw termIndex.damaged("wrong length") }
    guard postings.count >= InvertedLayout.slack else { throw postings.damaged("wrong length") }
  }

  /// The lengths of all passages, verified; valid as long as this value is.
  func passageLengths() throws(RetortError) -> PassageLengths {
    PassageLengths(bytes: try lengths.bytes(0..<lengths.count), width: lengthWidth)
  }

  // MARK: - Terms

  /// How many passages hold `term`.
  package func frequency(of term: String) throws(RetortError) -> Int {
    try find(term)?.passages ?? 0
  }

  /// The entry of `term`; nil where no passage holds it.
  func find(_ term: String) throws(RetortError) -> Term? {
    let wanted = Array(term.utf8)
    var low = 0
    var high = termIndex.count / 16
    while high - low > 1 {
      let middle = (low + high) / 2
      var first: [UInt8] = []
      try forEachTerm(ofBlock: middle) { entry in
        first = entry.bytes
        return false
      }
      if wanted.lexicographicallyPrecedes(first) { high = middle } else { low = middle }
    }
    var found: Term?
    guard low < high else { return nil }
    try forEachTerm(ofBlock: low) { entry in
      if entry.bytes == wanted { found = entry }
      return found == nil
    }
    return found
  }

  /// Calls `body` with the terms of a block, which must be one, until it returns false.
  private func forEachTerm(
    ofBlock block: Int, _ body: (Term) throws(RetortError) -> Bool
  ) throws(RetortError) {
    let index = try termIndex.bytes((block * 16)..<min(block * 16 + 32, termIndex.count))
    func long(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: index.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    let start = long(0)
    let end = index.count == 32 ? long(16) : UInt64(terms.count)
    guard start <= end, end <= UInt64(terms.count), long(8) <= UInt64(postings.count) else {
      throw termIndex.damaged("block \(block)")
    }
    var cursor = ByteCursor(try terms.bytes(Int(start)..<Int(end)))
    var term: [UInt8] = []
    var place = Int(long(8))
    let first = block * InvertedLayout.termsPerBlock
    for number in first..<min(termCount, first + InvertedLayout.termsPerBlock) {
      guard let shared = cursor.next(), shared <= term.count, let rest = cursor.next(),
        let bytes = cursor.take(rest), let passages = cursor.next(), let length = cursor.next(),
        (1...max(count, 1)).contains(passages),
        length <= postings.count - InvertedLayout.slack - place
      else { throw terms.damaged("term \(number)") }
      term.removeLast(term.count - shared)
      term.append(contentsOf: bytes)
      let entry = Term(bytes: term, passages: passages, range: place..<(place + length))
      guard try body(entry) else { return }
      place += length
    }
  }

  /// Calls `body` with all terms, in order.
  private func forEachTerm(_ body: (Term) throws(RetortError) -> Void) throws(RetortError) {
    for block in 0..<(termIndex.count / 16) {
      try Interruption.check()
      try forEachTerm(ofBlock: block) { term throws(RetortError) in
        try body(term)
        return true
      }
    }
  }

  // MARK: - Verification

  /// Reads everything: terms ascend, postings too, bounds bound, and the counts of a passage's terms
  /// add up to its length.
  package func verify() throws(RetortError) {
    let lengths = try passageLengths()
    var found = [UInt64](repeating: 0, count: count)
    var last: [UInt8]?
    var end = 0
    try forEachTerm { term throws(RetortError) in
      if let last, !last.lexicographicallyPrecedes(term.bytes) {
        throw terms.damaged("terms are not in order")
      }
      guard term.range.lowerBound == end else { throw termIndex.damaged("postings have gaps") }
      last = term.bytes
      end = term.range.upperBound
      try PostingBlocks(term, of: self).forEach(lengths) { passage, count in
        found[passage] += UInt64(count)
      }
    }
    guard end == postings.count - InvertedLayout.slack else {
      throw postings.damaged("not all of it belongs to terms")
    }
    for passage in 0..<count where found[passage] != UInt64(lengths[passage]) {
      throw self.lengths.damaged("that of passage \(passage)")
    }
    guard found.reduce(0, +) == totalLength else { throw self.lengths.damaged("their sum") }
  }
}

/// The lengths of passages in mapped memory.
struct PassageLengths {
  private let bytes: UnsafeRawBufferPointer
  private let width: Int

  fileprivate init(bytes: UnsafeRawBufferPointer, width: Int) {
    self.bytes = bytes
    self.width = width
  }

  /// The length of a passage, which must be one.
  @inline(__always)
  subscript(passage: Int) -> UInt32 {
    switch width {
    case 1: UInt32(bytes[passage])
    case 2:
      UInt32(
        UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: passage &* 2, as: UInt16.self)))
    default:
      UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: passage &* 4, as: UInt32.self))
    }
  }
}
