import Graph
import Models
import Platform
import Store
import Tensors
import Terms

extension PassageIndex {
  /// The stored term vectors of a ColBERT model; an error where there are none.
  package func requireTerms(of model: ColBERT) throws(RetortError) -> StoredTermSets {
    if let sets = storedTerms(fingerprint: model.termFingerprint),
      sets.info.dimension == model.dimension
    {
      return sets
    }
    let stored = manifest.terms ?? []
    guard !stored.isEmpty else {
      throw RetortError(
        .usage,
        "cannot be searched by term vectors: it stores none; add them with `retort index add-terms "
          + "\(path) --terms colbert:MODEL`", path: path)
    }
    let names = stored.map(\.identity).joined(separator: "; ")
    let own = Manifest.Terms.identity(model.dimension, model.termFingerprint)
    throw RetortError(
      .dimensionMismatch,
      "stores term vectors of other weights or settings (\(names)) than this model's (\(own)); name "
        + "the model they were made with, or add this one's with `retort index add-terms`",
      path: path)
  }

  /// The `k` best passages by MaxSim for each of many queries, from stored term vectors.
  ///
  /// Equal scores come by number; the answers do not depend on `threads`. A query without tokens
  /// finds nothing.
  ///
  /// - Parameters:
  ///   - queries: the vectors of each query's tokens, [tokens × dimension].
  ///   - candidates: passages that are scored over their centroids; nil derives it from k.
  ///   - isExhaustive: whether to score every passage.
  ///   - selection: what may be found, from `select`; nil: everything.
  package func searchTerms(
    _ queries: [Matrix], in sets: StoredTermSets, k: Int, candidates: Int? = nil,
    isExhaustive: Bool = false, among selection: PassageSelection? = nil, threads: Int = 1,
    space: TermSearchSpace = TermSearchSpace()
  ) throws(RetortError) -> [[SearchHit]] {
    let parameters =
      isExhaustive ? nil : TermSearchParameters(k: k, candidates: candidates)
    return try reading { () throws(RetortError) in
      try rank(queries, sets, k, parameters, selection, threads, space)
    }
  }

  private func rank(
    _ queries: [Matrix], _ sets: StoredTermSets, _ k: Int, _ parameters: TermSearchParameters?,
    _ selection: PassageSelection?, _ threads: Int, _ space: TermSearchSpace
  ) throws(RetortError) -> [[SearchHit]] {
    var answers: [[SearchHit]] = []
    for query in queries {
      try Interruption.check()
      let packed = TermQuery(query, for: sets.info.codec)
      var hits: [SearchHit] = []
      for (place, segment) in sets.segments.enumerated() {
        let set = selection?.segments[place] ?? opened.segments[place].live
        let allowed: (count: Int, contains: @Sendable (Int) -> Bool)? = set.map { set in
          (set.population, { set.contains($0) })
        }
        let found = try segment.terms.search(
          packed, k: k, allowed: allowed, parameters: parameters, space: space, threads: threads)
        hits += found.map { SearchHit(number: segment.base + $0.place, score: $0.score) }
      }
      if sets.segments.count > 1 {
        hits = hits.ordered { $0.score != $1.score ? $0.score > $1.score : $0.number < $1.number }
      }
      answers.append(Array(hits.prefix(k)))
    }
    return answers
  }
}
