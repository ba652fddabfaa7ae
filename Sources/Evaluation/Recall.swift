/// The share of the exact nearest neighbours that an approximate search found: the mean over
/// queries of |exact top k ∩ approximate top k| / |exact top k|.
///
/// Row i of both is query i, best first. Queries without exact neighbours do not count; without
/// any query that counts the result is 1. An id that an answer repeats counts once.
public func recallAtK(exact: [[UInt32]], approximate: [[UInt32]], k: Int) -> Double {
  precondition(exact.count == approximate.count, "the same queries are compared")
  var sum = 0.0
  var queries = 0
  for (truth, answer) in zip(exact, approximate) {
    let wanted = Set(truth.prefix(k))
    guard !wanted.isEmpty else { continue }
    sum += Double(wanted.intersection(answer.prefix(k)).count) / Double(wanted.count)
    queries += 1
  }
  return queries == 0 ? 1 : sum / Double(queries)
}

/// Like `recallAtK`, but by score: an answer is right when its score reaches the k-th exact score
/// less `tolerance`, so that either of two equally good neighbours will do (ann-benchmarks' rule).
///
/// Scores are higher-is-better, best first.
public func scoreRecallAtK(
  exact: [[Float]], approximate: [[Float]], k: Int, tolerance: Float = 1e-3
) -> Double {
  precondition(exact.count == approximate.count, "the same queries are compared")
  var sum = 0.0
  var queries = 0
  for (truth, answer) in zip(exact, approximate) {
    let wanted = truth.prefix(k)
    guard let bound = wanted.last else { continue }
    let right = answer.prefix(k).count { $0 >= bound - tolerance }
    sum += Double(min(right, wanted.count)) / Double(wanted.count)
    queries += 1
  }
  return queries == 0 ? 1 : sum / Double(queries)
}
