import Models
import Platform
import Retrieval
import Store
import Terms

/// A re-ranker together with the term vectors that an index stores for it.
struct StoredTerms {
  private let reranker: any TermReranker
  private let sets: StoredTermSets
  private let index: PassageIndex

  /// Passages that one thread scores at a time.
  private static let passagesAtATime = 16

  /// Passages whose vectors one thread decodes and scores at a time, for re-rankers that take nothing
  /// else.
  ///
  /// Few enough that what is decoded stays in the cache, and that many threads have work. It does not
  /// depend on threads, so neither do scores.
  private static let decodedAtATime = 16

  /// Nil where the re-ranker has no terms, or the index none of this model.
  init?(_ reranker: any Reranker, in index: PassageIndex) {
    guard let reranker = reranker as? any TermReranker,
      let sets = index.storedTerms(fingerprint: reranker.termFingerprint),
      sets.info.dimension == reranker.termDimension
    else { return nil }
    self.reranker = reranker
    self.sets = sets
    self.index = index
  }

  /// The scores of the passages of these numbers, in order.
  func rerank(
    query: String, numbers: [Int], threads: Int
  ) throws(RetortError) -> RerankScores {
    try index.reading { () throws(RetortError) in try score(query, numbers, threads: threads) }
  }

  private func score(
    _ query: String, _ numbers: [Int], threads: Int
  ) throws(RetortError) -> RerankScores {
    if let reranker = reranker as? any MaxSimReranker {
      let question = try reranker.queryTerms(query)
      return RerankScores(
        scores: try maxSim(
          TermQuery(question.vectors, for: sets.info.codec), numbers, threads: threads),
        truncated: question.isTruncated ? 1 : 0)
    }
    let size = Self.decodedAtATime
    let parts = (numbers.count + size - 1) / size
    let read = try reranker.reading(query)
    let results = OrderedResults<[Float]>(count: parts)
    try parallelForThrowing(parts, threads: threads) { part, _ throws(RetortError) in
      try Interruption.check()
      let terms = try decoded(numbers[part * size..<min(numbers.count, (part + 1) * size)])
      results.set(part, try read.score(terms, 1))
    }
    return RerankScores(
      scores: results.values.flatMap { $0 }, truncated: read.isTruncated ? 1 : 0)
  }

  /// Why passages have their scores, by the vectors that gave them.
  func explain(
    query: String, passages: [(number: Int, text: String)], threads: Int
  ) throws(RetortError) -> [RerankExplanation?] {
    try index.reading { () throws(RetortError) in
      try explanations(query, passages, threads: threads)
    }
  }

  private func explanations(
    _ query: String, _ passages: [(number: Int, text: String)], threads: Int
  ) throws(RetortError) -> [RerankExplanation?] {
    var explanations: [RerankExplanation?] = []
    if let reranker = reranker as? any MaxSimReranker {
      let question = TermQuery(try reranker.queryTerms(query).vectors, for: sets.info.codec)
      let scratch = TermScratch()
      for passage in passages {
        try Interruption.check()
        let (set, place) = sets.place(of: passage.number)
        let products = try set.products(place, question, scratch: scratch)
        explanations.append(
          try reranker.explain(query: query, passage: passage.text, products: products))
      }
      return explanations
    }
    for passage in passages {
      try Interruption.check()
      explanations.append(
        try reranker.explain(
          query: query, passage: passage.text, terms: decoded([passage.number]), threads: threads))
    }
    return explanations
  }

  private func decoded(_ numbers: ArraySlice<Int>) throws(RetortError) -> PassageTerms {
    // One segment is the rule; its passages are decoded into place.
    if sets.segments.count == 1 {
      let (base, set) = sets.segments[0]
      let (values, offsets) = try set.terms(numbers.map { $0 - base })
      return PassageTerms(values: values, offsets: offsets)
    }
    var terms = PassageTerms()
    for number in numbers {
      let (set, place) = sets.place(of: number)
      let decoded = try set.terms([place])
      terms.values += decoded.values
      terms.offsets.append((terms.offsets.last ?? 0) + (decoded.offsets.last ?? 0))
    }
    return terms
  }

  private func maxSim(
    _ query: TermQuery, _ numbers: [Int], threads: Int
  ) throws(RetortError) -> [Float] {
    let parts = (numbers.count + Self.passagesAtATime - 1) / Self.passagesAtATime
    let results = OrderedResults<[Float]>(count: parts)
    let sets = sets
    let scratches = (0..<max(1, min(threads, parts))).map { _ in TermScratch() }
    try parallelForThrowing(parts, threads: threads) { part, worker throws(RetortError) in
      try Interruption.check()
      let first = part * Self.passagesAtATime
      var scores: [Float] = []
      for number in numbers[first..<min(numbers.count, first + Self.passagesAtATime)] {
        let (terms, place) = sets.place(of: number)
        scores.append(try terms.score(place, query, scratch: scratches[worker]))
      }
      results.set(part, scores)
    }
    return results.values.flatMap { $0 }
  }
}

extension Reranker {
  /// What a user should know about how it works over `index`, if anything: whether stored terms are
  /// used, and why not.
  public func note(over index: PassageIndex) -> String? {
    guard StoredTerms(self, in: index) == nil else { return nil }
    guard let reranker = self as? any TermReranker, let stored = index.manifest.terms,
      !stored.isEmpty
    else { return note }
    let names = stored.map(\.identity).joined(separator: "; ")
    let own = Manifest.Terms.identity(reranker.termDimension, reranker.termFingerprint)
    return
      "the index stores term vectors of other weights or settings (\(names)) than this model's "
      + "(\(own)); candidates are encoded as they are read"
  }
}
