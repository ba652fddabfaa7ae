import Formats
import Platform
import Retrieval

/// Finds the negatives of queries.
struct QueryMiner {
  let options: MiningOptions
  let index: PassageIndex
  let queries: MiningQueries
  let source: CandidateSource
  let teacher: TeacherOpinion?

  /// Queries that are mined, and made safe against a crash, together.
  var batch: Int { teacher?.isModel == true ? 8 : 256 }

  /// A query's passages before the draw.
  private struct Prepared: Sendable {
    /// By rank.
    var candidates: [NegativeCandidate] = []
    /// Positives that can be compared.
    var positives: [NegativeCandidate] = []
    /// Texts of candidates, then of positives, where a model reads them.
    var texts: [String] = []
    var counts = MiningCounts()
  }

  /// Mines the queries of `range`; the same for every number of threads.
  func mine(_ range: Range<Int>) throws(RetortError) -> [MinedQuery] {
    let rankings = try source.rankings(queries.items[range])
    let looked = OrderedResults<Prepared>(count: range.count)
    try parallelForThrowing(range.count, threads: options.threads) { item, _ throws(RetortError) in
      looked.set(item, try look(at: rankings[item], queries.items[range.lowerBound + item]))
    }
    var prepared = looked.values
    if let teacher {
      for item in prepared.indices {
        try Interruption.check()
        try ask(teacher, range.lowerBound + item, &prepared[item])
      }
    }
    let ready = prepared
    let mined = OrderedResults<MinedQuery>(count: range.count)
    parallelFor(range.count, threads: options.threads) { item, _ in
      mined.set(item, draw(range.lowerBound + item, ready[item]))
    }
    return mined.values
  }

  /// Leaves out what is known to be no negative.
  private func look(
    at ranking: CandidateSource.Ranking, _ item: MiningQueries.Item
  ) throws(RetortError) -> Prepared {
    var prepared = Prepared()
    if ranking.isTruncated { prepared.counts.truncated += 1 }
    let keepsTexts = teacher?.isModel == true
    var texts: [Int: String] = [:]
    var answers: Set<ByteKey> = []
    for number in item.relevant {
      let text = TripleWriter.column(try index.passage(number).text)
      texts[number] = text
      if !text.isEmpty { answers.insert(ByteKey(text)) }
    }
    for hit in ranking.hits.dropFirst(options.ranks.lowerBound - 1).prefix(options.ranks.count) {
      prepared.counts.candidates += 1
      guard hit.number >= 0 else {
        prepared.counts.missing += 1
        continue
      }
      guard !item.relevant.contains(hit.number) else {
        prepared.counts.relevant += 1
        continue
      }
      let text = TripleWriter.column(try index.passage(hit.number).text)
      guard !answers.contains(ByteKey(text)) else {
        prepared.counts.repeated += 1
        continue
      }
      guard !options.readsTexts || !text.allSatisfy(\.isWhitespace) else {
        prepared.counts.blank += 1
        continue
      }
      prepared.candidates.append(NegativeCandidate(number: hit.number, score: hit.score))
      if keepsTexts { prepared.texts.append(text) }
    }
    let found = Dictionary(ranking.hits.map { ($0.number, $0.score) }) { first, _ in first }
    for number in item.positives {
      let text = texts[number] ?? ""
      let score = found[number] ?? ranking.others[number]
      guard !options.readsTexts || !text.allSatisfy(\.isWhitespace),
        score != nil || teacher != nil || !filter.isActive
      else {
        prepared.counts.unscoredPositives += 1
        prepared.counts.without += 1
        continue
      }
      prepared.positives.append(NegativeCandidate(number: number, score: score ?? 0))
      if keepsTexts { prepared.texts.append(text) }
    }
    return prepared
  }

  /// Puts the teacher's scores in the place of the ranking's.
  private func ask(
    _ teacher: TeacherOpinion, _ place: Int, _ prepared: inout Prepared
  ) throws(RetortError) {
    let passages = prepared.candidates + prepared.positives
    let answer = try teacher.scores(
      query: queries.items[place].query, place: place, passages: passages.map(\.number),
      texts: prepared.texts)
    prepared.counts.truncated += answer.truncated
    let scored = zip(passages, answer.scores).map { passage, score in
      score.map { NegativeCandidate(number: passage.number, score: $0) }
    }
    let candidates = scored.prefix(prepared.candidates.count).compactMap { $0 }
    let positives = scored.dropFirst(prepared.candidates.count).compactMap { $0 }
    prepared.counts.unscored += prepared.candidates.count - candidates.count
    let silent = prepared.positives.count - positives.count
    prepared.counts.unscoredPositives += silent
    prepared.counts.without += silent
    prepared.candidates = candidates
    prepared.positives = positives
    prepared.texts = []
  }

  private var filter: FalseNegativeFilter {
    FalseNegativeFilter(maxRatio: options.maxRatio, minMargin: options.minMargin)
  }

  /// Draws the negatives of every positive.
  private func draw(_ place: Int, _ prepared: Prepared) -> MinedQuery {
    var counts = prepared.counts
    var pairs: [MinedQuery.Pair] = []
    let (filter, key) = (filter, seedOfQuery(queries.items[place].query.id, options.seed))
    let draw = NegativeDraw(options.drawing, count: options.negatives, bins: options.bins)
    for positive in prepared.positives {
      var left: [NegativeCandidate] = []
      for candidate in prepared.candidates {
        switch filter.verdict(score: candidate.score, positive: positive.score) {
        case .negative: left.append(candidate)
        case .aboveRatio: counts.aboveRatio += 1
        case .withinMargin: counts.withinMargin += 1
        }
      }
      let drawn = draw.places(left.map(\.score), seed: key ^ UInt64(positive.number))
      if drawn.isEmpty {
        counts.without += 1
      } else if drawn.count < options.negatives {
        counts.short += 1
      }
      for place in drawn {
        let negative = left[place]
        pairs.append(
          MinedQuery.Pair(
            positive: positive.number, negative: negative.number,
            scores: teacher == nil ? [] : [positive.score, negative.score]))
      }
    }
    return MinedQuery(place: place, counts: counts, pairs: pairs)
  }
}
