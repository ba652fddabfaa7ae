import Lexical
import Platform
import Store

extension PassageIndex {
  /// The `k` best passages by BM25 for each of many queries, from the index's lexical data.
  ///
  /// Only passages with some of a query's terms are found, equal scores by number. Weights are
  /// computed over all segments, so that they do not matter; deleted passages are never found but
  /// count in the statistics until `IndexMerge.merge` removes them. The answers do not depend on
  /// `threads`.
  ///
  /// - Parameters:
  ///   - selection: what may be found, from `select`; nil: everything.
  ///   - isExhaustive: whether to score every posting of every term, which finds the same, slower.
  public func searchWords(
    _ queries: [String], k: Int, parameters: BM25 = BM25(),
    among selection: PassageSelection? = nil,
    isExhaustive: Bool = false, threads: Int = 1
  ) throws(RetortError) -> [[SearchHit]] {
    try parameters.validate()
    let settings = try requireLexical()
    return try reading { () throws(RetortError) in
      try rank(queries, k, parameters, settings, selection, isExhaustive, threads)
    }
  }

  private func rank(
    _ queries: [String], _ k: Int, _ parameters: BM25, _ settings: LexicalSettings,
    _ selection: PassageSelection?, _ isExhaustive: Bool, _ threads: Int
  ) throws(RetortError) -> [[SearchHit]] {
    let analyzer = Analyzer(settings)
    let files = opened.segments.compactMap(\.lexical?.inverted)
    let statistics = CollectionStatistics(
      passages: capacity, totalLength: files.reduce(0) { $0 + Double($1.totalLength) })
    let allowed = opened.segments.indices.map {
      (selection?.segments[$0] ?? opened.segments[$0].live)?.words
    }
    let results = OrderedResults<[SearchHit]>(count: queries.count)
    try parallelForThrowing(queries.count, threads: threads) { q, _ throws(RetortError) in
      try Interruption.check()
      let query = try WeightedQuery(
        analyzer.terms(of: queries[q].utf8), parameters, statistics
      ) { term throws(RetortError) in
        var frequency = 0
        for file in files { frequency += try file.frequency(of: term) }
        return frequency
      }
      var top = TopPassages(capacity: k)
      for (place, file) in files.enumerated() {
        try file.search(
          query, base: opened.segments[place].base, allowed: allowed[place],
          isExhaustive: isExhaustive, into: &top)
      }
      results.set(
        q, top.hits(scale: query.scale).map { SearchHit(number: $0.number, score: $0.score) })
    }
    return results.values
  }

  /// How the index's texts became terms; an error where they did not.
  @discardableResult
  func requireLexical() throws(RetortError) -> LexicalSettings {
    guard let settings = manifest.lexical else {
      throw RetortError(
        .usage,
        "cannot be searched by words: it has no lexical data; add it with `retort index "
          + "add-lexical \(path)`", path: path)
    }
    return settings
  }
}
