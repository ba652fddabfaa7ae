/// Finds pieces by looking prefixes of a word up in the vocabulary's own table.
///
/// Needs nothing that reading the vocabulary has not made, but a look-up for every prefix, where a
/// `ByteTrie` takes one step a byte.
struct PieceSearch: Sendable {
  private let vocabulary: Vocabulary
  private let hidden: Set<Int32>
  private let continuation: [UInt8]

  /// Searches `vocabulary`; pieces inside a word begin with `continuation`, and those in `hidden`
  /// are never found.
  init(_ vocabulary: Vocabulary, hidden: Set<Int32>, continuation: String) {
    self.vocabulary = vocabulary
    self.hidden = hidden
    self.continuation = Array(continuation.utf8)
  }

  /// The longest piece that `rest`, the end of a word, begins with, and how many of its bytes that
  /// is; `isInside` unless it is the whole word.
  func longest(
    in rest: UnsafeBufferPointer<UInt8>, isInside: Bool
  ) -> (id: Int32, length: Int)? {
    let head = isInside ? continuation : []
    let limit = min(rest.count, vocabulary.longestPiece - head.count)
    guard limit > 0 else { return nil }
    return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: limit) { hashes in
      var hash = PieceHash()
      for byte in head { hash.add(byte) }
      for place in 0..<limit {
        hash.add(rest[place])
        hashes.initializeElement(at: place, to: hash.value)
      }
      for length in stride(from: limit, through: 1, by: -1) {
        let tail = UnsafeBufferPointer(rebasing: rest[..<length])
        if let id = vocabulary.id(hash: hashes[length - 1], head: head, tail: tail),
          !hidden.contains(id)
        {
          return (id, length)
        }
      }
      return nil
    }
  }
}

extension Vocabulary {
  /// The id of the piece made of `head` and `tail`, whose hash is given.
  fileprivate func id(
    hash: UInt64, head: [UInt8], tail: UnsafeBufferPointer<UInt8>
  ) -> Int32? {
    var slot = firstSlot(hash)
    while let entry = entry(at: slot) {
      let piece = storage[entry.range]
      if piece.count == head.count + tail.count, piece.starts(with: head),
        piece.dropFirst(head.count).elementsEqual(tail)
      {
        return entry.id
      }
      slot = self.slot(after: slot)
    }
    return nil
  }
}
