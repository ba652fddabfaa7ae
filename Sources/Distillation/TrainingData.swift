import Formats
import Models
import Platform

/// Triples in memory, with the texts they name.
package struct TrainingData: Sendable {
  /// Texts of queries and of passages.
  private var queries: [String] = []
  private var passages: [String] = []
  /// What the file calls them (ids, or the texts themselves).
  private var queryNames = NameTable()
  private var passageNames = NameTable()
  private var triples: [(query: Int32, positive: Int32, negative: Int32)] = []
  private var scores: [(positive: Float, negative: Float)] = []
  /// Triples left out because an id of theirs is unknown.
  package private(set) var unknownTriples = 0
  /// Bad lines skipped on request.
  package private(set) var skippedLines = 0
  /// What the user should know, one sentence each.
  package private(set) var warnings: [String] = []
  /// A digest of the triples, their scores and texts, in order.
  package private(set) var digest = ""

  /// The number of triples.
  package var count: Int { triples.count }

  /// Reads what the options name.
  package init(_ options: TrainingOptions) throws(RetortError) {
    try readTriples(options)
    guard !triples.isEmpty else {
      throw RetortError(
        .badData,
        "holds no usable triple (\(counted(skippedLines, "bad line"))); name a file with triples",
        path: options.teacherScores ?? options.triples)
    }
    if options.namesIDs {
      try fillTexts(options)
    } else {
      (queries, passages) = (queryNames.names, passageNames.names)
    }
    warnSigmoid()
    digest = makeDigest()
  }

  /// A triple as texts.
  func item(_ number: Int) -> RankingItem {
    let triple = triples[number]
    return RankingItem(
      query: queries[Int(triple.query)],
      passages: [passages[Int(triple.positive)], passages[Int(triple.negative)]])
  }

  /// The teacher's scores of a triple's passages; empty without a teacher.
  func teacher(_ number: Int) -> [Double] {
    scores.isEmpty ? [] : [Double(scores[number].positive), Double(scores[number].negative)]
  }

  /// Calls `body` with the texts of all queries and, if wanted, of all passages.
  func forEachText(passages wantsPassages: Bool, _ body: (String) -> Void) {
    queries.forEach(body)
    if wantsPassages { passages.forEach(body) }
  }

  /// The number of queries that are named, with triples or without.
  var queryCount: Int { queryNames.names.count }

  /// The text of a query.
  func query(_ number: Int) -> String { queries[number] }

  /// The number of a triple's query.
  func query(ofTriple number: Int) -> Int { Int(triples[number].query) }

  /// How much higher the teacher scores a triple's positive passage; 0 without a teacher.
  func margin(_ number: Int) -> Double {
    scores.isEmpty ? 0 : Double(scores[number].positive) - Double(scores[number].negative)
  }

  /// What the file calls a triple's query and passages.
  func columns(_ number: Int) -> [String] {
    let triple = triples[number]
    return [
      queryNames.names[Int(triple.query)], passageNames.names[Int(triple.positive)],
      passageNames.names[Int(triple.negative)],
    ]
  }

  /// A triple as a person finds it in the files.
  func name(_ number: Int) -> String {
    let short = columns(number).map { $0.count > 40 ? $0.prefix(40) + "…" : $0 }
    return "(" + short.joined(separator: ", ") + ")"
  }

  // MARK: Reading

  private mutating func readTriples(_ options: TrainingOptions) throws(RetortError) {
    guard let path = options.teacherScores ?? options.triples else { return }
    let reader = try TripleReader(
      path: path, layout: options.teacherScores == nil ? .triples : .teacherScores,
      skipBadLines: options.skipBadLines)
    // Where both are given, the triples' file says which triples the scores must be of.
    var order: TripleReader?
    if options.teacherScores != nil, let triples = options.triples {
      order = try TripleReader(
        path: triples, layout: .triples, skipBadLines: options.skipBadLines)
    }
    while let triple = try reader.next() {
      if triples.count % 4096 == 0 { try Interruption.check() }
      if let order { try Self.match(triple, reader, order) }
      triples.append(
        (
          try queryNames.place(of: triple.query, reader),
          try passageNames.place(of: triple.positive, reader),
          try passageNames.place(of: triple.negative, reader)
        ))
      if let score = triple.scores { scores.append((Float(score.positive), Float(score.negative))) }
    }
    if let order, try order.next() != nil {
      throw order.error(
        "the teacher's scores (\(reader.name)) end before this triple; score all triples, or leave "
          + "--triples out to train on those that have scores")
    }
    skippedLines = reader.badLines
    for line in reader.badLineReport { warnings.append("skipped " + line) }
  }

  private static func match(
    _ scored: Triple, _ reader: TripleReader, _ order: TripleReader
  ) throws(RetortError) {
    guard let expected = try order.next() else {
      throw reader.error(
        "the triples (\(order.name)) end before this line; give the scores of these triples, or "
          + "leave --triples out")
    }
    guard
      zip(
        [scored.query, scored.positive, scored.negative],
        [expected.query, expected.positive, expected.negative]
      ).allSatisfy({ ByteKey($0) == ByteKey($1) })
    else {
      throw reader.error(
        "is of another triple than line \(order.lineNumber) of \(order.name); the two files must "
          + "have the same order: leave --triples out to train on this file alone")
    }
  }

  /// Puts texts in the places of ids; triples with an unknown id are dropped and counted.
  private mutating func fillTexts(_ options: TrainingOptions) throws(RetortError) {
    guard let collection = options.collection, let queryFile = options.queries else { return }
    var knownQueries: [String?] = Array(repeating: nil, count: queryNames.names.count)
    for query in try readQueries(path: queryFile, skipBadLines: options.skipBadLines) {
      guard let place = queryNames.places[ByteKey(query.id)] else { continue }
      knownQueries[Int(place)] = query.text
    }
    var texts: [String?] = Array(repeating: nil, count: passageNames.names.count)
    let corpus = try CorpusReader(path: collection, skipBadLines: options.skipBadLines)
    while let passage = try corpus.next() {
      guard let place = passageNames.places[ByteKey(passage.id)] else { continue }
      texts[Int(place)] = passage.text
    }
    queries = knownQueries.map { $0 ?? "" }
    passages = texts.map { $0 ?? "" }
    let usable = triples.map { triple in
      knownQueries[Int(triple.query)] != nil && texts[Int(triple.positive)] != nil
        && texts[Int(triple.negative)] != nil
    }
    unknownTriples = usable.count { !$0 }
    guard unknownTriples > 0 else { return }
    let first = usable.firstIndex(of: false).map(name) ?? ""
    let share = Double(unknownTriples) / Double(usable.count)
    let what =
      "\(unknownTriples) of \(counted(usable.count, "triple names", "triples name")) a query or passage "
      + "that \(queryFile) and "
      + "\(collection) do not have (first: \(first))"
    guard share <= options.maxUnknown, unknownTriples < usable.count else {
      throw RetortError(
        .badData, what + "; name the right files, or allow more with --max-unknown",
        path: options.teacherScores ?? options.triples)
    }
    warnings.append(what + "; they are left out")
    if !scores.isEmpty { scores = zip(scores, usable).filter(\.1).map(\.0) }
    triples = zip(triples, usable).filter(\.1).map(\.0)
  }

  /// Teachers write logits; probabilities make every margin small.
  private mutating func warnSigmoid() {
    guard scores.count >= 100,
      scores.allSatisfy({ (0...1).contains($0.positive) && (0...1).contains($0.negative) })
    else { return }
    let values = scores.flatMap { [$0.positive, $0.negative] }
    warnings.append(
      "all \(values.count) teacher scores lie in 0...1 (\(values.min() ?? 0)...\(values.max() ?? 0)):"
        + " they look like probabilities, where raw logits are expected")
  }

  private func makeDigest() -> String {
    var digest = SHA256Digest()
    func add(_ text: String) {
      digest.update(Array(text.utf8))
      digest.update([0])
    }
    for (number, triple) in triples.enumerated() {
      add("\(triple.query) \(triple.positive) \(triple.negative)")
      if !scores.isEmpty { add("\(scores[number].positive) \(scores[number].negative)") }
    }
    for text in queries { add(text) }
    for text in passages { add(text) }
    return hexadecimalText(digest.finalize())
  }
}
