import Platform

// How an inverted file is made: chunks of consecutive passages are inverted by themselves, on as
// many threads as there are, and kept compressed in memory; merging them term by term gives the file.
// A term's postings are those of the chunks one after the other, so the bytes depend neither on the
// threads nor on where chunks end.

/// A term that sorts by its UTF-8 bytes, mostly by the first eight.
struct TermKey: Sendable, Comparable {
  let text: String
  private let start: UInt64

  init(_ text: String) {
    self.text = text
    var start: UInt64 = 0
    var count = 0
    for byte in text.utf8.prefix(8) {
      start = start << 8 | UInt64(byte)
      count += 1
    }
    self.start = start << UInt64(8 * (8 - count))
  }

  static func == (a: TermKey, b: TermKey) -> Bool { a.start == b.start && a.text == b.text }

  static func < (a: TermKey, b: TermKey) -> Bool {
    a.start == b.start ? a.text.precedesInBytes(b.text) : a.start < b.start
  }
}

/// Consecutive passages, inverted.
package struct InvertedChunk: Sendable {
  /// Terms a passage, repetitions included.
  let lengths: [UInt32]
  /// The terms, ascending.
  let terms: [TermKey]
  /// Per term: pairs of a passage's number in the chunk, as the distance to the one before, and how
  /// often it holds the term.
  let postings: [UInt8]
  /// Where each term's postings begin, and the end.
  let starts: [Int]

  /// Inverts texts given as UTF-8.
  package init(_ texts: [ArraySlice<UInt8>], _ analyzer: Analyzer) {
    var places: [String: Int] = [:]
    var names: [String] = []
    var occurrences: [Int] = []
    var tokens: [UInt32] = []
    var lengths: [UInt32] = []
    lengths.reserveCapacity(texts.count)
    for text in texts {
      let before = tokens.count
      analyzer.forEachTerm(of: text) { term in
        let place = places[term] ?? names.count
        if place == names.count {
          places[term] = place
          names.append(term)
          occurrences.append(0)
        }
        occurrences[place] += 1
        tokens.append(UInt32(truncatingIfNeeded: place))
      }
      lengths.append(UInt32(clamping: tokens.count - before))
    }
    self.lengths = lengths

    // Every term's passages, in order: a counting sort.
    var next: [Int] = []
    next.reserveCapacity(names.count)
    var total = 0
    for count in occurrences {
      next.append(total)
      total += count
    }
    var passages = [UInt32](repeating: 0, count: total)
    var token = 0
    for (passage, length) in lengths.enumerated() {
      for _ in 0..<length {
        let place = Int(tokens[token])
        passages[next[place]] = UInt32(passage)
        next[place] += 1
        token += 1
      }
    }

    let keys = names.map(TermKey.init)
    let order = names.indices.ordered { keys[$0] < keys[$1] }
    var postings: [UInt8] = []
    var starts = [0]
    for place in order {
      let own = passages[(next[place] - occurrences[place])..<next[place]]
      Self.append(own, to: &postings)
      starts.append(postings.count)
    }
    terms = order.map { keys[$0] }
    self.postings = postings
    self.starts = starts
  }

  private static func append(_ passages: ArraySlice<UInt32>, to postings: inout [UInt8]) {
    var place = passages.startIndex
    var last = 0
    while place < passages.endIndex {
      let passage = passages[place]
      var end = place + 1
      while end < passages.endIndex, passages[end] == passage { end += 1 }
      postings.appendVariable(Int(passage) - last)
      postings.appendVariable(end - place)
      last = Int(passage)
      place = end
    }
  }

  /// Appends the postings of a term, the passages numbered from `base`.
  func append(_ term: Int, base: Int, to list: inout PostingList) {
    postings.withUnsafeBytes { bytes in
      var cursor = ByteCursor(bytes, at: starts[term])
      var passage = base
      while cursor.place < starts[term + 1], let gap = cursor.next(), let count = cursor.next() {
        passage += gap
        list.passages.append(UInt32(truncatingIfNeeded: passage))
        list.counts.append(UInt32(clamping: count))
      }
    }
  }
}

/// One term's postings while they are written.
struct PostingList {
  /// The passages that hold the term, ascending.
  var passages: [UInt32] = []
  /// How often each does.
  var counts: [UInt32] = []

  mutating func removeAll() {
    passages.removeAll(keepingCapacity: true)
    counts.removeAll(keepingCapacity: true)
  }
}
