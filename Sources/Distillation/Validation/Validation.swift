import Evaluation
import Formats
import Models
import Platform

/// Held-out queries as token ids, ready to be ranked again and again.
struct Validation: Sendable {
  /// What is ranked.
  private enum Task: Sendable {
    /// Every query with every passage, by their vectors.
    case retrieval(queries: [[Int32]], passages: [[Int32]])
    /// Every query with its candidates, by their vectors.
    case candidates(queries: [[Int32]], passages: [[Int32]], lists: [[Int]])
    /// The same for a model that compares their tokens.
    case sequences(queries: [TermSequence], passages: [TermSequence], lists: [[Int]])
    /// The same for a model that reads both together.
    case pairs([TokenizedPair], lists: [[Int]])
  }

  /// A digest of queries, passages and judgements.
  let digest: String
  /// What is ranked, in a few words.
  let summary: String
  /// What the user should know, one sentence each.
  let warnings: [String]
  private let task: Task
  private let queryIDs: [String]
  private let passageIDs: [String]
  private let qrels: Qrels
  private static let cutoff = 10

  /// Reads what the options name; nil where there is no validation.
  init?(_ options: TrainingOptions, for model: some Ranker) throws(RetortError) {
    guard options.validation.isWanted else { return nil }
    let texts = try ValidationTexts(options)
    digest = texts.digest
    warnings = texts.warnings
    queryIDs = texts.queries.map(\.id)
    passageIDs = texts.passages.map(\.id)
    qrels = texts.qrels
    let threads = options.threads
    func sequences() -> (queries: [TermSequence], passages: [TermSequence]) {
      (
        model.sequences(texts.queries.map(\.text), .query, threads: threads),
        model.sequences(texts.passages.map(\.text), .passage, threads: threads)
      )
    }
    func ids() -> (queries: [[Int32]], passages: [[Int32]]) {
      let (queries, passages) = sequences()
      return (queries.map(\.ids), passages.map(\.ids))
    }
    let what: String
    switch (texts.lists, options.model) {
    case (nil, _):
      let (queries, passages) = ids()
      task = .retrieval(queries: queries, passages: passages)
      what = counted(passages.count, "passage")
    case (let lists?, .bertDot):
      let (queries, passages) = ids()
      task = .candidates(queries: queries, passages: passages, lists: lists)
      what = counted(lists.reduce(0) { $0 + $1.count }, "candidate")
    case (let lists?, .colbert), (let lists?, .tk), (let lists?, .prettr):
      let (queries, passages) = sequences()
      task = .sequences(queries: queries, passages: passages, lists: lists)
      what = counted(lists.reduce(0) { $0 + $1.count }, "candidate")
    case (let lists?, .bertCat):
      var pairs: [(query: String, passage: String)] = []
      for (query, list) in zip(texts.queries, lists) {
        pairs += list.map { (query.text, texts.passages[$0].text) }
      }
      task = .pairs(model.tokens(pairs: pairs, threads: threads), lists: lists)
      what = counted(pairs.count, "candidate")
    }
    summary = (texts.drawn ?? counted(queryIDs.count, "query")) + " over \(what)"
  }

  /// Ranks with the model's weights as they are now; the same for every number of threads.
  func scores(_ model: some Ranker, threads: Int) throws(RetortError) -> ValidationScores {
    let snapshot = model.snapshot()
    let best: [[TopPassages.Entry]]
    switch task {
    case .retrieval(let queries, let passages):
      best = TopPassages(passageIDs, limit: Self.cutoff).retrieve(
        try snapshot.vectors(queries, threads: threads),
        from: try snapshot.vectors(passages, threads: threads), dimension: snapshot.dimension,
        threads: threads)
    case .candidates(let queries, let passages, let lists):
      best = TopPassages(passageIDs, limit: Self.cutoff).rank(
        lists, try snapshot.vectors(queries, threads: threads),
        by: try snapshot.vectors(passages, threads: threads), dimension: snapshot.dimension)
    case .sequences(let queries, let passages, let lists):
      var scores: [Float] = []
      for (query, list) in zip(queries, lists) {
        scores += try snapshot.scores(query, list.map { passages[$0] }, threads: threads)
      }
      best = TopPassages(passageIDs, limit: Self.cutoff).rank(lists, scores)
    case .pairs(let pairs, let lists):
      let scores = try snapshot.scores(pairs, threads: threads)
      best = TopPassages(passageIDs, limit: Self.cutoff).rank(lists, scores)
    }
    let run = try Run(
      zip(queryIDs, best).map { query, entries in
        (query, entries.map { (passageIDs[$0.passage], Double($0.score)) })
      })
    let evaluation = RunEvaluation(
      run, against: qrels,
      measures: [
        Measure(.nDCG, cutoff: Self.cutoff), Measure(.reciprocalRank, cutoff: Self.cutoff),
      ])
    return ValidationScores(nDCG10: evaluation.summary(0), mrr10: evaluation.summary(1))
  }
}
