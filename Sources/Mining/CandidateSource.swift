import Formats
import Lexical
import Models
import Platform
import Retrieval
import Text

/// What ranks passages for queries.
struct CandidateSource {
  private enum Kind {
    case words(BM25)
    case vectors(TextEncoder, SearchMode)
    case run(Run)
  }

  /// The answer to one query.
  struct Ranking: Sendable {
    /// The best passages, to the end of the window.
    var hits: [SearchHit] = []
    /// Scores of positives that are not among them; what is not here has none.
    var others: [Int: Float] = [:]
    var isTruncated = false
  }

  private let kind: Kind
  private let index: PassageIndex
  private let depth: Int
  private let threads: Int
  /// Whether positives beyond the window need a score, too.
  private let needsPositives: Bool
  /// What the rankings depend on beside index and queries.
  let identity: String

  init(_ options: MiningOptions, _ index: PassageIndex) throws(RetortError) {
    self.index = index
    depth = options.ranks.upperBound
    threads = options.threads
    let compares = options.maxRatio != nil || options.minMargin != nil
    needsPositives = compares && !options.hasTeacher
    switch options.source {
    case .words(let parameters):
      try parameters.validate()
      // Asked for nothing, an index without lexical data says so now.
      _ = try index.searchWords([], k: 1, parameters: parameters)
      kind = .words(parameters)
      identity = "words \(parameters.k1) \(parameters.b)"
    case .vectors(let model, let mode):
      kind = .vectors(try Searcher.encoder(of: index, at: model), mode)
      identity = "vectors \(mode)"
    case .run(let path):
      let run = try Run(path: path)
      guard run.order == .byScore || options.hasTeacher || !compares && options.drawing != .bins
      else {
        throw RetortError(
          .usage,
          "has ranks and no scores, which --max-ratio, --min-margin and --sampling bins compare; "
            + "give a TREC run, or a teacher", path: path)
      }
      kind = .run(run)
      var digest = SHA256Digest()
      for (place, id) in run.queryIDs.enumerated() {
        digest.update(Array("\(id)\0".utf8))
        for row in run.rankedRows(place).prefix(depth) {
          digest.update(Array(run.table.documents.bytes(row)) + [0])
          digest.update(Array("\(run.table.values[row])\0".utf8))
        }
      }
      identity = "run \(hexadecimalText(digest.finalize()))"
    }
  }

  /// Refuses a run that is about other queries or passages; a sentence where a few are unknown.
  func check(_ queries: MiningQueries, maxUnknown: Double) throws(RetortError) -> String? {
    guard case .run(let run) = kind else { return nil }
    var (unknown, all) = (0, 0)
    var first: String?
    for (place, id) in run.queryIDs.enumerated() where queries.places[ByteKey(id)] != nil {
      try Interruption.check()
      for row in run.rankedRows(place).prefix(depth) {
        all += 1
        let id = run.table.documents[row]
        guard try index.number(of: id) == nil, try !index.isDeleted(id: id) else { continue }
        unknown += 1
        first = first ?? id
      }
    }
    guard all > 0 else {
      throw RetortError(
        .badData, "has no passage for any of the queries; name the run that belongs to them")
    }
    guard let first else { return nil }
    let what =
      "\(unknown) of \(counted(all, "passage of the run is", "passages of the run are")) not in the "
      + "index (first: \"\(first)\")"
    guard Double(unknown) <= maxUnknown * Double(all) else {
      throw RetortError(
        .badData, what + "; name the index that belongs to it, or allow more with --max-unknown")
    }
    return what + "; they are left out"
  }

  /// The best passages for some queries.
  func rankings(_ items: ArraySlice<MiningQueries.Item>) throws(RetortError) -> [Ranking] {
    let texts = items.map(\.query.text)
    switch kind {
    case .words(let parameters):
      let hits = try index.searchWords(texts, k: depth, parameters: parameters, threads: threads)
      return try completed(items, hits.map { Ranking(hits: $0) }) {
        place, selection throws(RetortError) in
        try index.searchWords(
          [texts[place]], k: selection.count, parameters: parameters, among: selection)[0]
      }
    case .vectors(let encoder, let mode):
      let tokens = OrderedResults<TokenizedText>(count: texts.count)
      parallelFor(texts.count, threads: threads) { item, _ in
        tokens.set(item, encoder.tokenize(texts[item]))
      }
      let tokenized = tokens.values
      let vectors = try encoder.encode(tokenized.map(\.ids), threads: threads)
      let hits = try index.search(vectors, k: depth, mode: mode, threads: threads)
      let rankings = zip(hits, tokenized).map { Ranking(hits: $0, isTruncated: $1.isTruncated) }
      let width = index.dimension
      return try completed(items, rankings) { place, selection throws(RetortError) in
        let query = Array(vectors[place * width..<(place + 1) * width])
        // So few passages are not walked to but scanned.
        return try index.search(
          query, k: selection.count, mode: .graph(efSearch: 100), among: selection)[0]
      }
    case .run(let run):
      var rankings: [Ranking] = []
      for item in items { rankings.append(try ranking(of: item, in: run)) }
      return rankings
    }
  }

  /// A query's ranking in a run. Passages that the index does not have keep their ranks empty.
  private func ranking(
    of item: MiningQueries.Item, in run: Run
  ) throws(RetortError) -> Ranking {
    var ranking = Ranking()
    guard let place = run.table.query(item.query.id) else { return ranking }
    for (rank, row) in run.rankedRows(place).enumerated() {
      guard rank < depth || needsPositives else { break }
      let number = try index.number(of: run.table.documents[row]) ?? -1
      let score = run.order == .byScore ? Float(run.table.values[row]) : Float(-rank)
      if rank < depth {
        ranking.hits.append(SearchHit(number: number, score: score))
      } else if item.relevant.contains(number) {
        ranking.others[number] = score
      }
    }
    return ranking
  }

  /// Adds the scores of positives that were not found.
  private func completed(
    _ items: ArraySlice<MiningQueries.Item>, _ rankings: [Ranking],
    _ search: @Sendable (Int, PassageSelection) throws(RetortError) -> [SearchHit]
  ) throws(RetortError) -> [Ranking] {
    guard needsPositives else { return rankings }
    let results = OrderedResults<Ranking>(count: rankings.count)
    let first = items.startIndex
    try parallelForThrowing(rankings.count, threads: threads) { place, _ throws(RetortError) in
      var ranking = rankings[place]
      let found = Set(ranking.hits.map(\.number))
      let missing = items[first + place].positives.filter { !found.contains($0) }
      if !missing.isEmpty {
        var ids: [String] = []
        for number in missing { ids.append(try index.id(number)) }
        for hit in try search(place, try index.select(ids: ids)) {
          ranking.others[hit.number] = hit.score
        }
        // Without a common word BM25 gives nothing.
        if case .words = kind {
          for number in missing where ranking.others[number] == nil { ranking.others[number] = 0 }
        }
      }
      results.set(place, ranking)
    }
    return results.values
  }
}
