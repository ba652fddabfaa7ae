import Platform

// Search goes through the passages in windows of 2,048. Each term's blocks bound what it can add to
// a passage of the window; the terms whose bounds together cannot lift a passage into the results
// (MaxScore's non-essential terms; Turtle and Flood 1995, and by blocks Mallia et al. 2021) are not
// walked but only asked about passages that the others bring near enough. Sums are of integers, so
// that the order of adding changes nothing: what is found is what scoring everything finds.
//
// Asking a term about a passage takes as long as adding many of its postings. So a term that need
// not be walked is walked all the same where it has too few postings in the window for the passages
// that it would be asked about. How many those are is learned from the windows before, as a share
// of the postings added there; where all terms are walked it is slowly forgotten, so that asking
// gets another try when the results have become better.

extension InvertedFile {
  private static let window = 2048
  /// Postings added in the time of asking a term about one passage.
  private static let costOfAsking: Float = 30

  /// Adds the segment's best passages for a query to `top`.
  ///
  /// - Parameters:
  ///   - base: the number of the first passage; those in `top` lie below it.
  ///   - allowed: a bit for each passage that may be found, 64 a word, the first in the lowest; nil:
  ///     all may.
  ///   - isExhaustive: whether every posting of every term is scored, for comparison.
  package func search(
    _ query: WeightedQuery, base: Int, allowed: [UInt64]?, isExhaustive: Bool = false,
    into top: inout TopPassages
  ) throws(RetortError) {
    let lengths = try passageLengths()
    var cursors: [PostingCursor] = []
    for (term, weight) in query.terms {
      guard let found = try find(term) else { continue }
      cursors.append(try PostingCursor(found, of: self, query, weight: weight, lengths))
    }
    let sums = UnsafeMutablePointer<Int32>.allocate(capacity: Self.window)
    defer { sums.deallocate() }
    var terms = cursors.map { WindowTerm(cursor: $0) }
    // Passages that are asked about, as a share of the postings added.
    var share: Float = 0.1
    for start in stride(from: 0, to: count, by: Self.window) {
      let window = start..<min(count, start + Self.window)
      if let allowed, !allowed.containsBits(in: window) { continue }
      for place in terms.indices { terms[place].look(at: window) }
      terms.sortByBound()
      var essential = 0
      var rest: UInt32 = 0
      while !isExhaustive, essential < terms.count,
        rest + terms[essential].bound <= top.threshold
      {
        rest += terms[essential].bound
        essential += 1
      }
      guard essential < terms.count else { continue }
      let isChoice = essential > 0
      var added = isChoice ? terms[essential...].reduce(0) { $0 + $1.postings } : 0
      while essential > 0,
        Float(terms[essential - 1].postings) <= Self.costOfAsking * share * Float(added)
      {
        essential -= 1
        added += terms[essential].postings
        rest -= terms[essential].bound
      }
      sums.update(repeating: 0, count: Self.window)
      var isAny = false
      for term in terms[essential...] where try term.cursor.add(window, to: sums) { isAny = true }
      guard isAny else { continue }
      let asked = try collect(window, sums, terms[..<essential], rest, base, allowed, into: &top)
      if essential > 0 {
        share += (Float(asked) / Float(max(added, 1)) - share) / 4
      } else if isChoice {
        share *= 0.9
      }
    }
  }

  /// Looks at the passages of a window that the essential terms brought near enough, and counts
  /// them.
  private func collect(
    _ window: Range<Int>, _ sums: UnsafeMutablePointer<Int32>,
    _ others: ArraySlice<WindowTerm>, _ rest: UInt32, _ base: Int,
    _ allowed: [UInt64]?, into top: inout TopPassages
  ) throws(RetortError) -> Int {
    var asked = 0
    let lanes = 32
    for group in stride(from: 0, to: window.count, by: lanes) {
      let needed = Int32(bitPattern: top.threshold > rest ? top.threshold - rest : 0)
      // Negative where some sum exceeds what is needed, without a branch for each.
      var signs: Int32 = 0
      for slot in group..<(group + lanes) { signs |= needed &- sums[slot] }
      guard signs < 0 else { continue }
      for slot in group..<min(group + lanes, window.count) where sums[slot] > needed {
        let passage = window.lowerBound + slot
        if let allowed, allowed[passage >> 6] >> UInt64(passage & 63) & 1 == 0 { continue }
        asked += 1
        var score = UInt32(bitPattern: sums[slot])
        var rest = rest
        for term in others.reversed() {
          // The term's own block may bound it better than the window does.
          rest -= term.bound
          if score + rest + term.cursor.bound(at: passage) <= top.threshold {
            score = 0
            break
          }
          score += try term.cursor.score(at: passage)
        }
        if score > top.threshold { top.insert(base + passage, score: score) }
      }
    }
    return asked
  }
}

/// A term of the query in a window.
private struct WindowTerm {
  let cursor: PostingCursor
  /// What it adds to a passage at most.
  var bound: UInt32 = 0
  /// About how many passages have it.
  var postings = 0

  init(cursor: PostingCursor) { self.cursor = cursor }

  mutating func look(at window: Range<Int>) {
    (bound, postings) = cursor.outlook(in: window)
  }
}

extension [WindowTerm] {
  /// Sorts by ascending bounds; mostly they are in order from the window before.
  fileprivate mutating func sortByBound() {
    for place in indices.dropFirst() {
      var other = place
      while other > 0, self[other].bound < self[other - 1].bound {
        swapAt(other, other - 1)
        other -= 1
      }
    }
  }
}

extension [UInt64] {
  /// Whether some bit of `window`, which starts at a multiple of 64, is set.
  fileprivate func containsBits(in window: Range<Int>) -> Bool {
    self[(window.lowerBound >> 6)...((window.upperBound - 1) >> 6)].contains { $0 != 0 }
  }
}
