/// A set of the nodes of a graph: a bit for each id below `count`.
package struct NodeSet: Sendable, Equatable {
  /// Ids lie below this.
  package let count: Int
  /// The number of ids in the set.
  package private(set) var population: Int
  /// 64 ids a word, the smallest in the lowest bit.
  package private(set) var words: [UInt64]

  /// The empty set, or that of all ids.
  package init(count: Int, full: Bool = false) {
    self.count = count
    population = full ? count : 0
    words = Array(repeating: full ? .max : 0, count: (count + 63) / 64)
    if full, count % 64 != 0 { words[words.count - 1] = (1 << UInt64(count % 64)) - 1 }
  }

  /// The set whose bits are `words`; nil where they do not fit `count`.
  package init?(count: Int, words: [UInt64]) {
    guard words.count == (count + 63) / 64 else { return nil }
    if count % 64 != 0, let last = words.last, last >> UInt64(count % 64) != 0 { return nil }
    self.count = count
    self.words = words
    population = words.reduce(0) { $0 + $1.nonzeroBitCount }
  }

  /// Whether `id`, which must be below `count`, is in the set.
  @inline(__always)
  package func contains(_ id: Int) -> Bool { words[id >> 6] >> UInt64(id & 63) & 1 != 0 }

  /// Adds an id; false when it was there.
  @discardableResult
  package mutating func insert(_ id: Int) -> Bool {
    guard !contains(id) else { return false }
    words[id >> 6] |= 1 << UInt64(id & 63)
    population += 1
    return true
  }

  /// Removes an id; false when it was not there.
  @discardableResult
  package mutating func remove(_ id: Int) -> Bool {
    guard contains(id) else { return false }
    words[id >> 6] &= ~(1 << UInt64(id & 63))
    population -= 1
    return true
  }

  /// Keeps only what `other`, of the same count, holds too.
  package mutating func formIntersection(_ other: NodeSet) { combine(other) { $0 & $1 } }

  /// Adds what `other`, of the same count, holds.
  package mutating func formUnion(_ other: NodeSet) { combine(other) { $0 | $1 } }

  /// Removes what `other`, of the same count, holds.
  package mutating func subtract(_ other: NodeSet) { combine(other) { $0 & ~$1 } }

  private mutating func combine(_ other: NodeSet, _ operation: (UInt64, UInt64) -> UInt64) {
    precondition(other.count == count)
    population = 0
    for word in words.indices {
      words[word] = operation(words[word], other.words[word])
      population += words[word].nonzeroBitCount
    }
  }

  /// The ids in the set, ascending.
  package var ids: [UInt32] {
    var ids: [UInt32] = []
    ids.reserveCapacity(population)
    for (place, word) in words.enumerated() {
      var rest = word
      while rest != 0 {
        ids.append(UInt32(place * 64 + rest.trailingZeroBitCount))
        rest &= rest - 1
      }
    }
    return ids
  }
}
