import CKernels
import Platform

/// The best passages of each query, in the order that measures see: by score, equal scores by id,
/// byte-wise, larger first.
struct TopPassages: Sendable {
  /// A passage, by its place, and its score.
  struct Entry: Sendable {
    var passage: Int
    var score: Float
  }

  private let limit: Int
  /// The place of every passage in the order of ids.
  private let order: [Int32]

  init(_ ids: [String], limit: Int) {
    self.limit = limit
    let sorted = ids.indices.ordered { ids[$0].precedesInBytes(ids[$1]) }
    var order = [Int32](repeating: 0, count: ids.count)
    for (place, passage) in sorted.enumerated() {
      order[passage] = Int32(truncatingIfNeeded: place)
    }
    self.order = order
  }

  /// The best of all passages by inner product, [queries].
  func retrieve(
    _ queries: [Float], from passages: [Float], dimension: Int, threads: Int
  ) -> [[Entry]] {
    let results = OrderedResults<[Entry]>(count: queries.count / dimension)
    parallelFor(queries.count / dimension, threads: threads) { query, _ in
      results.set(
        query, best(order.indices.lazy.map { ($0, dot(queries, query, passages, $0, dimension)) }))
    }
    return results.values
  }

  /// The best of each query's list by inner product.
  func rank(
    _ lists: [[Int]], _ queries: [Float], by passages: [Float], dimension: Int
  ) -> [[Entry]] {
    lists.enumerated().map { query, list in
      best(list.lazy.map { ($0, dot(queries, query, passages, $0, dimension)) })
    }
  }

  /// The best of each list by given scores, list behind list.
  func rank(_ lists: [[Int]], _ scores: [Float]) -> [[Entry]] {
    var start = 0
    return lists.map { list in
      defer { start += list.count }
      return best(zip(list, scores[start..<start + list.count]).lazy.map { ($0, $1) })
    }
  }

  private func dot(
    _ queries: [Float], _ query: Int, _ passages: [Float], _ passage: Int, _ dimension: Int
  ) -> Float {
    queries.withUnsafeBufferPointer { left in
      passages.withUnsafeBufferPointer { right in
        guard let left = left.baseAddress, let right = right.baseAddress else { return 0 }
        return retort_dot_f32(left + query * dimension, right + passage * dimension, dimension)
      }
    }
  }

  private func best(_ scored: some Sequence<(Int, Float)>) -> [Entry] {
    var top: [Entry] = []
    for (passage, score) in scored {
      let entry = Entry(passage: passage, score: score)
      if top.count == limit, let last = top.last, !isBefore(entry, last) { continue }
      let place = top.firstIndex { isBefore(entry, $0) } ?? top.count
      top.insert(entry, at: place)
      if top.count > limit { top.removeLast() }
    }
    return top
  }

  private func isBefore(_ one: Entry, _ other: Entry) -> Bool {
    // What is no number goes first, so that it is not overlooked: a run of it is refused.
    if one.score.isNaN || other.score.isNaN { return one.score.isNaN && !other.score.isNaN }
    return one.score != other.score
      ? one.score > other.score : order[one.passage] > order[other.passage]
  }
}
