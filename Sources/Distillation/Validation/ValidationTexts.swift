import Formats
import Models
import Platform

/// Held-out queries and the passages that are ranked for them, as texts.
struct ValidationTexts {
  /// The queries that count: those with a relevant passage and something to rank.
  private(set) var queries: [Query] = []
  /// The passages.
  private(set) var passages: [Passage] = []
  /// By query the places of the passages that are ranked; nil: all are, for every query.
  private(set) var lists: [[Int]]?
  /// The judgements of these queries.
  private(set) var qrels: Qrels
  /// What the user should know, one sentence each.
  private(set) var warnings: [String] = []
  /// How a baseline chose the queries; nil without one.
  private(set) var drawn: String?

  /// Reads what the options name.
  init(_ options: TrainingOptions) throws(RetortError) {
    let validation = options.validation
    let path = validation.qrels ?? ""
    qrels = try Qrels(path: path)
    let relevant = qrels
    func counts(_ query: String) -> Bool {
      relevant.judgements(for: query)?.contains { $0.grade > 0 } ?? false
    }
    if let candidates = validation.candidates {
      try Self.holdsTexts(candidates)
        ? readCandidates(candidates, options, counts) : readRun(candidates, options, counts)
    } else {
      queries = try Self.topics(options).filter { counts($0.id) }
    }
    let left = relevant.queryIDs.count(where: counts) - queries.count
    if validation.candidates == nil {
      var wanted: Set<ByteKey> = []
      if let path = validation.baseline {
        let baseline = try ValidationBaseline(
          run: path, validation, qrels: relevant, queries: queries, seed: options.seed)
        (queries, wanted, drawn) = (baseline.queries, baseline.passages, baseline.summary)
      }
      try readReducedCorpus(options, wanted)
    }
    guard !queries.isEmpty, !passages.isEmpty else {
      throw RetortError(
        .badData,
        "leaves no query to validate with: none has both a relevant passage here and a text or "
          + "candidates; name files that belong together", path: path)
    }
    if left > 0 {
      warnings.append(
        counted(
          left, "judged query has no text or no candidates and is left out of validation",
          "judged queries have no text or no candidates and are left out of validation"))
    }
    var judgements: [(query: String, document: String, grade: Int)] = []
    for query in queries {
      for (document, grade) in relevant.judgements(for: query.id) ?? [] {
        judgements.append((query.id, document, grade))
      }
    }
    qrels = try Qrels(judgements)
  }

  private static func topics(_ options: TrainingOptions) throws(RetortError) -> [Query] {
    guard let path = options.validation.topics else {
      throw RetortError(
        .usage, "the candidates are ids; give the queries' texts with --validation-topics",
        path: options.validation.candidates)
    }
    return try readQueries(path: path, skipBadLines: options.skipBadLines)
  }

  private static func corpus(_ options: TrainingOptions) throws(RetortError) -> CorpusReader {
    guard let path = options.validation.corpus ?? options.collection else {
      throw RetortError(
        .usage, "the candidates are ids; give the passages' texts with --validation-corpus",
        path: options.validation.candidates)
    }
    return try CorpusReader(path: path, skipBadLines: options.skipBadLines)
  }

  // MARK: Candidates

  /// Whether lines are those of MS MARCO's candidates, not of a run: four columns, the first
  /// line's.
  private static func holdsTexts(_ path: String) throws(RetortError) -> Bool {
    let lines = try LineReader(path: path)
    guard try lines.next() else {
      throw RetortError(.badData, "is empty; name a file of candidates, or a run", path: path)
    }
    return lines.withLine { line in
      var tabs = 0
      for index in 0..<line.count where line[index] == UInt8(ascii: "\t") { tabs += 1 }
      return tabs == 3
    }
  }

  private mutating func readCandidates(
    _ path: String, _ options: TrainingOptions, _ counts: (String) -> Bool
  ) throws(RetortError) {
    let reader = try CandidateReader(path: path, skipBadLines: options.skipBadLines)
    var queryPlaces: [ByteKey: Int] = [:]
    var passagePlaces: [ByteKey: Int] = [:]
    var lists: [[Int]] = []
    while let candidate = try reader.next() {
      let key = ByteKey(candidate.queryID)
      if queryPlaces[key] == nil {
        guard counts(candidate.queryID) else { continue }
        queryPlaces[key] = queries.count
        queries.append(Query(id: candidate.queryID, text: candidate.query))
        lists.append([])
      }
      guard let query = queryPlaces[key], lists[query].count < options.validation.depth else {
        continue
      }
      let passageKey = ByteKey(candidate.passageID)
      let place = passagePlaces[passageKey] ?? passages.count
      if place == passages.count {
        passagePlaces[passageKey] = place
        passages.append(Passage(id: candidate.passageID, text: candidate.passage))
      }
      // A candidate that is listed twice is one candidate.
      if !lists[query].contains(place) { lists[query].append(place) }
    }
    self.lists = lists
    for line in reader.badLineReport { warnings.append("\(path): skipped " + line) }
  }

  private mutating func readRun(
    _ path: String, _ options: TrainingOptions, _ counts: (String) -> Bool
  ) throws(RetortError) {
    let run = try Run(path: path)
    let topics = try Self.topics(options).filter { counts($0.id) && run.hits(for: $0.id) != nil }
    var wanted: [ByteKey: Int] = [:]
    var named: [[ByteKey]] = []
    for topic in topics {
      let rows = run.table.query(topic.id).map { run.rankedRows($0) } ?? []
      let keys = rows.prefix(options.validation.depth).map { ByteKey(run.table.documents[$0]) }
      for key in keys where wanted[key] == nil { wanted[key] = -1 }
      named.append(keys)
    }
    let corpus = try Self.corpus(options)
    while let passage = try corpus.next() {
      if corpus.passagesRead % 4096 == 0 { try Interruption.check() }
      guard wanted[ByteKey(passage.id)] == -1 else { continue }
      wanted[ByteKey(passage.id)] = passages.count
      passages.append(passage)
    }
    let lists = named.map { $0.compactMap { wanted[$0] }.filter { $0 >= 0 } }
    let known = topics.indices.filter { !lists[$0].isEmpty }
    queries = known.map { topics[$0] }
    self.lists = known.map { lists[$0] }
    try checkUnknown(wanted.count { $0.value < 0 }, of: wanted.count, "candidates", options)
  }

  // MARK: Retrieval

  /// All judged passages of the queries, and those that a baseline chose or else a sample of the
  /// others: those with the smallest hashes of seed and id, so that it depends neither on the
  /// corpus' order nor on the rest of it.
  private mutating func readReducedCorpus(
    _ options: TrainingOptions, _ chosen: Set<ByteKey>
  ) throws(RetortError) {
    var judged = chosen
    let sample = options.validation.baseline == nil ? options.validation.sample : 0
    for query in queries {
      for (document, _) in qrels.judgements(for: query.id) ?? [] {
        judged.insert(ByteKey(document))
      }
    }
    let wanted = judged.count
    let known = judged
    var others: [(hash: UInt128, passage: Passage)] = []
    func trim() {
      others = others.ordered { $0.hash < $1.hash }
      // The first of passages with the same id counts, as it does among those that are judged.
      var last: UInt128?
      others.removeAll { other in
        defer { last = other.hash }
        return other.hash == last
      }
      if others.count > sample { others.removeLast(others.count - sample) }
    }
    let corpus = try Self.corpus(options)
    while let passage = try corpus.next() {
      if corpus.passagesRead % 4096 == 0 { try Interruption.check() }
      if judged.remove(ByteKey(passage.id)) != nil {
        passages.append(passage)
      } else if sample > 0, !known.contains(ByteKey(passage.id)) {
        others.append((Hashing.hash128(Array(passage.id.utf8), seed: options.seed), passage))
        if others.count >= 2 * sample + 1024 { trim() }
      }
    }
    trim()
    passages += others.map(\.passage)
    for line in corpus.badLineReport { warnings.append("validation: skipped " + line) }
    let what = chosen.isEmpty ? "judged passages" : "judged and chosen passages"
    try checkUnknown(judged.count, of: wanted, what, options)
  }

  private mutating func checkUnknown(
    _ unknown: Int, of count: Int, _ what: String, _ options: TrainingOptions
  ) throws(RetortError) {
    guard unknown > 0 else { return }
    let path = options.validation.corpus ?? options.collection
    let sentence =
      "\(unknown) of \(count) \(what) of the validation are not in \(path ?? "the corpus")"
    guard Double(unknown) <= options.maxUnknown * Double(count) else {
      throw RetortError(
        .badData, sentence + "; name the right corpus, or allow more with --max-unknown")
    }
    warnings.append(sentence)
  }

  /// A digest of all that the scores depend on.
  var digest: String {
    var digest = SHA256Digest()
    func add(_ text: String) {
      digest.update(Array(text.utf8))
      digest.update([0])
    }
    for query in queries {
      add(query.id)
      add(query.text)
      for (document, grade) in qrels.judgements(for: query.id) ?? [] { add("\(grade) \(document)") }
    }
    for passage in passages {
      add(passage.id)
      add(passage.text)
    }
    for list in lists ?? [] { add("\(list)") }
    return hexadecimalText(digest.finalize())
  }
}
