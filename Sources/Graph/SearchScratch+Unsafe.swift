import CKernels
import Platform

/// What one search needs besides the graph, owned by the caller and reused: visited marks, the
/// candidate pool and buffers. The walk allocates nothing once the scratch has grown to size.
///
/// Not thread-safe: one scratch a thread.
package final class SearchScratch {
  /// Vectors scored, by their codes where the graph has any, since the last `resetCounters()`.
  package private(set) var scored = 0
  /// Vectors scored again at full precision, after the walk had scored them by their codes.
  package private(set) var rescored = 0
  /// Nodes expanded since the last `resetCounters()`.
  package private(set) var hops = 0

  /// A bit a slot: small enough to stay in the nearest caches.
  private var marks: UnsafeMutablePointer<UInt64>
  private var markWords = 0
  /// The slots whose bits are set.
  private var visited: UnsafeMutablePointer<UInt32>
  private var visitedCount = 0
  private var visitedCapacity = 0

  /// The pool: best first, ties by smaller slot; the top bit of a slot says "expanded".
  private(set) var poolSlots: UnsafeMutablePointer<UInt32>
  private(set) var poolScores: UnsafeMutablePointer<Float>
  private(set) var poolCount = 0
  private var poolCapacity = 0
  private var poolLimit = 0

  private var freshVectors: UnsafeMutablePointer<UInt32>
  private var freshScores: UnsafeMutablePointer<Float>
  private var freshCapacity = 0
  private var queryValues: UnsafeMutablePointer<Float>
  private var queryWeights: UnsafeMutablePointer<Int8>
  private var queryCapacity = 0

  static let expanded: UInt32 = 1 << 31

  /// An empty scratch; it grows to what the searches need.
  package init() {
    marks = .allocate(capacity: 1)
    visited = .allocate(capacity: 1)
    poolSlots = .allocate(capacity: 1)
    poolScores = .allocate(capacity: 1)
    freshVectors = .allocate(capacity: 1)
    freshScores = .allocate(capacity: 1)
    queryValues = .allocate(capacity: 1)
    queryWeights = .allocate(capacity: 1)
  }

  deinit {
    marks.deallocate()
    visited.deallocate()
    poolSlots.deallocate()
    poolScores.deallocate()
    freshVectors.deallocate()
    freshScores.deallocate()
    queryValues.deallocate()
    queryWeights.deallocate()
  }

  /// Sets the counters to zero.
  package func resetCounters() {
    scored = 0
    rescored = 0
    hops = 0
  }

  /// Forgets marks and pool; the next walk sees `slots` slots and keeps `ef` candidates.
  func begin(slots: Int, ef: Int) {
    let words = (slots + 63) / 64
    if words > markWords {
      marks.deallocate()
      marks = .allocate(capacity: words)
      marks.initialize(repeating: 0, count: words)
      markWords = words
    } else if visitedCount > markWords / 8 {
      marks.update(repeating: 0, count: markWords)
    } else {
      for i in 0..<visitedCount { marks[Int(visited[i] >> 6)] = 0 }
    }
    visitedCount = 0
    if ef > poolCapacity {
      poolSlots.deallocate()
      poolScores.deallocate()
      poolSlots = .allocate(capacity: ef)
      poolScores = .allocate(capacity: ef)
      poolCapacity = ef
    }
    poolLimit = ef
    poolCount = 0
  }

  /// Appends those of `slots` that were not seen to `visited` and marks them; returns how many.
  ///
  /// Without branches: whether a neighbour was seen is a coin toss that no predictor learns.
  @inline(__always)
  private func visit(_ slots: UnsafeBufferPointer<UInt32>) -> Int {
    reserveVisits(slots.count)
    let (marks, fresh) = (marks, visited + visitedCount)
    var count = 0
    for slot in slots {
      let place = UInt64(slot & 63)
      let word = marks[Int(slot >> 6)]
      marks[Int(slot >> 6)] = word | 1 << place
      fresh[count] = slot
      count += Int(~word >> place & 1)
    }
    visitedCount += count
    return count
  }

  private func reserveVisits(_ count: Int) {
    // One more: what is not new is written, too, before it is overwritten or left behind.
    guard visitedCount + count >= visitedCapacity else { return }
    let capacity = max(2 * visitedCapacity, visitedCount + count + 1, 1024)
    let grown = UnsafeMutablePointer<UInt32>.allocate(capacity: capacity)
    grown.update(from: visited, count: visitedCount)
    visited.deallocate()
    visited = grown
    visitedCapacity = capacity
  }

  /// The number of candidates that are better: by halves down to a few hundred, of which all are looked
  /// at. Each half is a coin toss that no predictor learns.
  @inline(__always)
  private func place(of score: Float) -> Int {
    var (low, count) = (0, poolCount)
    while count > Self.counted {
      let half = count >> 1
      if poolScores[low + half - 1] > score { low += half }
      count -= half
    }
    return low + retort_count_greater(poolScores + low, count, score)
  }

  private static let counted = 256

  /// Puts a candidate into the pool; returns its place, or `poolCount` and more when it is too bad.
  @inline(__always)
  func insert(_ slot: UInt32, _ score: Float) -> Int {
    if poolCount == poolLimit {
      let last = poolCount - 1
      let worst = poolScores[last]
      if score < worst || (score == worst && slot > poolSlots[last] & ~Self.expanded) {
        return .max
      }
    }
    var low = place(of: score)
    while low < poolCount, poolScores[low] == score, poolSlots[low] & ~Self.expanded < slot {
      low += 1
    }
    let moved = (poolCount == poolLimit ? poolCount - 1 : poolCount) - low
    if moved > 0 {
      (poolSlots + low + 1).update(from: poolSlots + low, count: moved)
      (poolScores + low + 1).update(from: poolScores + low, count: moved)
    }
    poolSlots[low] = slot
    poolScores[low] = score
    if poolCount < poolLimit { poolCount += 1 }
    return low
  }

  /// The best-first walk over one layer (Malkov and Yashunin 2018, algorithm 2) from what the pool
  /// holds: expand the best unexpanded candidates until all that are kept have been.
  ///
  /// A few are expanded together where the scorer likes it: the walk then waits for memory once for
  /// all their neighbours. That costs a twentieth more scores and finds a little more.
  func walk<Layer: Adjacency, Score: Scorer>(
    _ layer: Layer, _ scorer: Score
  ) throws(RetortError) {
    let beam = max(1, min(Score.beam, poolLimit / 4))
    var cursor = 0
    while cursor < poolCount {
      if poolSlots[cursor] & Self.expanded != 0 {
        cursor += 1
        continue
      }
      var count = 0
      var next = cursor
      var left = beam
      while left > 0, next < poolCount {
        let entry = poolSlots[next]
        if entry & Self.expanded == 0 {
          poolSlots[next] = entry | Self.expanded
          hops += 1
          left -= 1
          let fresh = visit(try layer.neighbors(of: entry))
          if layer.vectorIDs == nil {
            scorer.prefetch(UnsafePointer(visited + visitedCount - fresh), count: fresh)
          }
          count += fresh
        }
        next += 1
      }
      guard count > 0 else { continue }
      if count > freshCapacity { growFresh(to: count) }
      prefetchNext(beam, from: next, layer)
      let lowest = try score(count, near: cursor + beam, layer, scorer)
      if lowest < cursor { cursor = lowest }
    }
  }

  /// Asks for the lists of the candidates that are next unless better ones are found.
  @inline(__always)
  private func prefetchNext<Layer: Adjacency>(_ count: Int, from start: Int, _ layer: Layer) {
    var next = start
    var left = count
    while left > 0, next < poolCount {
      if poolSlots[next] & Self.expanded == 0 {
        layer.prefetch(poolSlots[next])
        left -= 1
      }
      next += 1
    }
  }

  /// Scores the last `count` visited slots into the pool; returns the best place taken. Asks for the
  /// lists of those that come before place `near`: they are expanded next.
  @inline(__always)
  private func score<Layer: Adjacency, Score: Scorer>(
    _ count: Int, near: Int, _ layer: Layer, _ scorer: Score
  ) throws(RetortError) -> Int {
    let fresh = UnsafePointer(visited + visitedCount - count)
    var ids = fresh
    if let vectorIDs = layer.vectorIDs {
      for i in 0..<count { freshVectors[i] = vectorIDs[Int(fresh[i])] }
      ids = UnsafePointer(freshVectors)
      scorer.prefetch(ids, count: count)
    }
    try scorer.scores(ids, count: count, into: freshScores)
    scored += count
    var lowest = Int.max
    for i in 0..<count {
      let place = insert(fresh[i], freshScores[i])
      if place < lowest { lowest = place }
      if place < near { layer.prefetch(fresh[i]) }
    }
    return lowest
  }

  /// Adds a starting point, scored, unless the walk has seen it.
  func start<Layer: Adjacency, Score: Scorer>(
    at slot: UInt32, _ layer: Layer, _ scorer: Score
  ) throws(RetortError) {
    if freshCapacity < 1 { growFresh(to: 64) }
    let isNew = withUnsafePointer(to: slot) {
      visit(UnsafeBufferPointer(start: $0, count: 1)) == 1
    }
    if isNew { _ = try score(1, near: 1, layer, scorer) }
  }

  /// `query` as weights of the codes of `book`; valid until the next call.
  package func prepare(_ query: UnsafePointer<Float>, _ book: CodeBook) -> retort_codes_query {
    if book.axisCount > queryCapacity {
      queryValues.deallocate()
      queryWeights.deallocate()
      queryValues = .allocate(capacity: book.axisCount)
      queryWeights = .allocate(capacity: book.axisCount)
      queryCapacity = book.axisCount
    }
    return book.prepare(query, values: queryValues, weights: queryWeights)
  }

  /// Turns the `most` best nodes in the pool that are `allowed` into the vectors that they stand for and
  /// forgets the others. No walk can go on from here.
  func keepVectors(_ map: NodeMap?, _ allowed: NodeSet?, most: Int) throws(RetortError) {
    var kept = 0
    for place in 0..<poolCount {
      if kept == most { break }
      let node = poolSlots[place] & ~Self.expanded
      let vector = try map?.vector(node) ?? node
      if let allowed, !allowed.contains(Int(vector)) { continue }
      poolSlots[kept] = vector
      poolScores[kept] = poolScores[place]
      kept += 1
    }
    poolCount = kept
  }

  /// Scores the pool again and sorts it.
  func rescore<Score: Scorer>(_ scorer: Score) throws(RetortError) {
    if poolCount > freshCapacity { growFresh(to: poolCount) }
    for place in 0..<poolCount { freshVectors[place] = poolSlots[place] & ~Self.expanded }
    try scorer.scores(UnsafePointer(freshVectors), count: poolCount, into: freshScores)
    rescored += poolCount
    let total = poolCount
    poolCount = 0
    for place in 0..<total { _ = insert(freshVectors[place], freshScores[place]) }
  }

  private func growFresh(to capacity: Int) {
    freshVectors.deallocate()
    freshScores.deallocate()
    freshVectors = .allocate(capacity: capacity)
    freshScores = .allocate(capacity: capacity)
    freshCapacity = capacity
  }
}
