import Platform
import Tensors

// PLAID (Santhanam et al. 2022, arXiv:2205.09707): the best passages by MaxSim out of all, without
// touching most of them.
//
//   0  products of all centroids with the query's tokens
//   1  candidates: passages with a vector of one of the best centroids of some token
//   2  their scores over centroids alone, of which only near ones count; the best go on
//   3  the same with all centroids; the best quarter goes on
//   4  their scores over decoded vectors
//
// Everything is derived from k at each call, and what may be found is known to stage 1: a filter never
// costs hits. Where few passages are allowed, all of them are candidates; where the cells give fewer
// than k, more cells are opened.

/// How far a search through centroids goes.
package struct TermSearchParameters: Sendable, Equatable {
  /// Centroids of each token whose passages are candidates.
  package var cells: Int
  /// Stage 2 leaves out centroids whose best product is below this share of the query's largest.
  package var threshold: Float
  /// Passages that stage 2 keeps; stage 3 keeps a quarter, and never fewer than k.
  package var candidates: Int

  /// What finds the best `k`.
  ///
  /// - Parameter candidates: nil derives them from k.
  package init(k: Int, candidates: Int? = nil) {
    (cells, threshold) = k <= 10 ? (2, 0.5) : k <= 100 ? (4, 0.45) : (8, 0.4)
    let usual = k <= 10 ? 1024 : k <= 100 ? 4096 : max(4096, k.multipliedClamped(by: 16))
    self.candidates = max(candidates ?? usual, k)
  }

  /// Passages whose vectors are decoded.
  func decoded(k: Int) -> Int { max(candidates / 4, k) }
}

extension Int {
  fileprivate func multipliedClamped(by other: Int) -> Int {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }
}

/// Memory of one search.
package final class TermSearchSpace: Sendable {
  let table = CentroidTable()

  /// No room yet.
  package init() {}
}

extension TermSet {
  /// A passage and its score.
  package struct Found: Sendable, Equatable {
    /// The passage's place in the segment.
    package var place: Int
    /// Its score.
    package var score: Float
  }

  private static let passagesAtATime = 64

  /// The best `k` passages, best first, equal ones by place.
  ///
  /// - Parameters:
  ///   - allowed: the passages that may be found, and how many; nil: all.
  ///   - parameters: nil scores every passage.
  package func search(
    _ query: TermQuery, k: Int, allowed: (count: Int, contains: @Sendable (Int) -> Bool)?,
    parameters: TermSearchParameters?, space: TermSearchSpace, threads: Int
  ) throws(RetortError) -> [Found] {
    guard k > 0, query.exact.tokens > 0, count > 0 else { return [] }
    guard let parameters, let book, parameters.candidates < allowed?.count ?? count else {
      let places = allowed.map { allowed in (0..<count).filter { allowed.contains($0) } }
      return try exact(places ?? Array(0..<count), query, k: k, threads: threads)
    }
    let table = space.table
    let wanted = min(k, allowed?.count ?? count)
    var candidates: [Int] = []
    for cells in [parameters.cells, parameters.cells * 4] where candidates.count < wanted {
      try table.fill(book, query, cells: cells, threads: threads)
      candidates = try members(of: table.cells, allowed)
    }
    if candidates.count < wanted {
      candidates = (0..<count).filter { allowed?.contains($0) ?? true }
    }
    let decoded = parameters.decoded(k: k)
    for (kept, threshold) in [
      (parameters.candidates, parameters.threshold * table.largest), (decoded, -Float.infinity),
    ] where candidates.count > kept {
      let best = try approximate(
        candidates, table, threshold: threshold, keeping: kept, threads: threads)
      // Too few of them are near: then it does not matter which are not.
      candidates =
        best.count >= wanted
        ? best
        : try approximate(
          candidates, table, threshold: -.infinity, keeping: kept, threads: threads)
    }
    return try exact(candidates, query, k: k, threads: threads)
  }

  /// The passages of the centroids, ascending.
  private func members(
    of cells: [[UInt32]], _ allowed: (count: Int, contains: @Sendable (Int) -> Bool)?
  ) throws(RetortError) -> [Int] {
    var marks = [UInt64](repeating: 0, count: (count + 63) / 64)
    for centroid in Set(cells.joined()) {
      try forEachPassage(of: Int(centroid)) { marks[$0 >> 6] |= 1 << UInt64($0 & 63) }
    }
    var places: [Int] = []
    for (word, bits) in marks.enumerated() {
      var bits = bits
      while bits != 0 {
        let place = word * 64 + bits.trailingZeroBitCount
        bits &= bits - 1
        if allowed?.contains(place) ?? true { places.append(place) }
      }
    }
    return places
  }

  /// The best of `places` by their centroids, ascending.
  private func approximate(
    _ places: [Int], _ table: CentroidTable, threshold: Float, keeping wanted: Int, threads: Int
  ) throws(RetortError) -> [Int] {
    guard let book, let ids else { return places }
    let width = book.idBytes
    let found = try scored(places, threads: threads) { place, best throws(RetortError) in
      let range = try self.range(place)
      let bytes = try ids.bytes(range.lowerBound * width..<range.upperBound * width)
      guard let base = bytes.baseAddress else { return -.infinity }
      let score = table.approximate(
        base.assumingMemoryBound(to: UInt8.self), count: range.count, idBytes: width,
        threshold: threshold, best: best)
      guard !score.isNaN else {
        throw ids.damaged("a vector of passage \(place) names a centroid that is none")
      }
      return score
    } room: {
      FloatBuffer(capacity: table.bestCount)
    }
    // None of whose centroids is near: out, whatever the others' number.
    return found.filter { $0.score > -.infinity }.best(wanted).map(\.place).ordered()
  }

  private func exact(
    _ places: [Int], _ query: TermQuery, k: Int, threads: Int
  ) throws(RetortError) -> [Found] {
    let found = try scored(places, threads: threads) { place, scratch throws(RetortError) in
      try self.score(place, query, scratch: scratch)
    } room: {
      TermScratch()
    }
    return found.filter { $0.score > -.infinity }.best(k)
  }

  private func scored<Room: Sendable>(
    _ places: [Int], threads: Int,
    _ score: @Sendable (Int, Room) throws(RetortError) -> Float, room: () -> Room
  ) throws(RetortError) -> [Found] {
    let parts = (places.count + Self.passagesAtATime - 1) / Self.passagesAtATime
    let results = OrderedResults<[Found]>(count: parts)
    let rooms = (0..<max(1, min(threads, parts))).map { _ in room() }
    try parallelForThrowing(parts, threads: threads) { part, worker throws(RetortError) in
      try Interruption.check()
      let first = part * Self.passagesAtATime
      var found: [Found] = []
      found.reserveCapacity(Self.passagesAtATime)
      for place in places[first..<min(places.count, first + Self.passagesAtATime)] {
        found.append(Found(place: place, score: try score(place, rooms[worker])))
      }
      results.set(part, found)
    }
    return results.values.flatMap { $0 }
  }
}

extension [TermSet.Found] {
  /// The best `wanted`, best first, equal ones by place.
  fileprivate func best(_ wanted: Int) -> [TermSet.Found] {
    Array(
      sorted { $0.score != $1.score ? $0.score > $1.score : $0.place < $1.place }.prefix(wanted))
  }
}
