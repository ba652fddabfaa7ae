import Platform

/// What one search needs besides the graph, owned by the caller and reused: visited marks, the
/// candidate pool and buffers. The walk allocates nothing once the scratch has grown to size.
///
/// Not thread-safe: one scratch a thread.
package final class SearchScratch {
  /// Inner products computed since the last `resetCounters()`.
  package private(set) var distanceEvaluations = 0
  /// Nodes expanded since the last `resetCounters()`.
  package private(set) var hops = 0

  private var marks: UnsafeMutablePointer<UInt16>
  private var markCount = 0
  private var epoch: UInt16 = 0

  /// The pool: best first, ties by smaller slot; the top bit of a slot says "expanded".
  private(set) var poolSlots: UnsafeMutablePointer<UInt32>
  private(set) var poolScores: UnsafeMutablePointer<Float>
  private(set) var poolCount = 0
  private var poolCapacity = 0
  private var poolLimit = 0

  private var fresh: UnsafeMutablePointer<UInt32>
  private var freshVectors: UnsafeMutablePointer<UInt32>
  private var freshScores: UnsafeMutablePointer<Float>
  private var freshCapacity = 0

  static let expanded: UInt32 = 1 << 31

  /// An empty scratch; it grows to what the searches need.
  package init() {
    marks = .allocate(capacity: 1)
    poolSlots = .allocate(capacity: 1)
    poolScores = .allocate(capacity: 1)
    fresh = .allocate(capacity: 1)
    freshVectors = .allocate(capacity: 1)
    freshScores = .allocate(capacity: 1)
  }

  deinit {
    marks.deallocate()
    poolSlots.deallocate()
    poolScores.deallocate()
    fresh.deallocate()
    freshVectors.deallocate()
    freshScores.deallocate()
  }

  /// Sets the counters to zero.
  package func resetCounters() {
    distanceEvaluations = 0
    hops = 0
  }

  /// Forgets marks and pool; the next walk sees `slots` slots and keeps `ef` candidates.
  func begin(slots: Int, ef: Int) {
    if slots > markCount {
      marks.deallocate()
      marks = .allocate(capacity: slots)
      marks.initialize(repeating: 0, count: slots)
      markCount = slots
      epoch = 0
    }
    if epoch == .max {
      marks.update(repeating: 0, count: markCount)
      epoch = 0
    }
    epoch += 1
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

  /// Marks `slot` as seen; false when it was already.
  @inline(__always)
  func visit(_ slot: UInt32) -> Bool {
    if marks[Int(slot)] == epoch { return false }
    marks[Int(slot)] = epoch
    return true
  }

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
    var low = 0
    var high = poolCount
    while low < high {
      let middle = (low + high) / 2
      let other = poolScores[middle]
      if other > score || (other == score && poolSlots[middle] & ~Self.expanded < slot) {
        low = middle + 1
      } else {
        high = middle
      }
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
  /// holds: expand the best unexpanded candidate until all that are kept have been.
  func walk<Layer: Adjacency, Score: Scorer>(
    _ layer: Layer, _ scorer: Score
  ) throws(RetortError) {
    var cursor = 0
    while cursor < poolCount {
      let entry = poolSlots[cursor]
      if entry & Self.expanded != 0 {
        cursor += 1
        continue
      }
      poolSlots[cursor] = entry | Self.expanded
      hops += 1
      let neighbors = try layer.neighbors(of: entry)
      if neighbors.count > freshCapacity { growFresh(to: neighbors.count) }
      var count = 0
      for slot in neighbors where visit(slot) {
        fresh[count] = slot
        count += 1
      }
      guard count > 0 else { continue }
      let lowest = try score(count, layer, scorer)
      if lowest < cursor { cursor = lowest }
    }
  }

  /// Scores the first `count` fresh slots into the pool; returns the best place taken.
  @inline(__always)
  private func score<Layer: Adjacency, Score: Scorer>(
    _ count: Int, _ layer: Layer, _ scorer: Score
  ) throws(RetortError) -> Int {
    var ids = UnsafePointer(fresh)
    if let vectorIDs = layer.vectorIDs {
      for i in 0..<count { freshVectors[i] = vectorIDs[Int(fresh[i])] }
      ids = UnsafePointer(freshVectors)
    }
    try scorer.scores(ids, count: count, into: freshScores)
    distanceEvaluations += count
    var lowest = Int.max
    for i in 0..<count {
      let place = insert(fresh[i], freshScores[i])
      if place < lowest { lowest = place }
    }
    return lowest
  }

  /// Adds a starting point, scored, unless the walk has seen it.
  func start<Layer: Adjacency, Score: Scorer>(
    at slot: UInt32, _ layer: Layer, _ scorer: Score
  ) throws(RetortError) {
    guard visit(slot) else { return }
    if freshCapacity < 1 { growFresh(to: 64) }
    fresh[0] = slot
    _ = try score(1, layer, scorer)
  }

  private func growFresh(to capacity: Int) {
    fresh.deallocate()
    freshVectors.deallocate()
    freshScores.deallocate()
    fresh = .allocate(capacity: capacity)
    freshVectors = .allocate(capacity: capacity)
    freshScores = .allocate(capacity: capacity)
    freshCapacity = capacity
  }
}
