import Formats
import Platform

/// The scores that several teachers give to pairs of query and passage, in memory: some 20 bytes a
/// pair and 4 for each teacher, beside the names.
package struct TeacherTable: Sendable {
  /// What one of the files says, beside the scores.
  package struct Teacher: Sendable {
    /// The file.
    package var path: String
    /// The mean of its scores over all pairs it knows.
    package var mean = 0.0
    /// Their standard deviation.
    package var deviation = 0.0
    /// Pairs of the other files that it does not have.
    package var missing = 0
    /// Pairs that it scores differently in several lines; the last counts.
    package var conflicts = 0
  }

  /// The teachers in the order of the files.
  package private(set) var teachers: [Teacher]
  /// The scores of every teacher by pair; NaN where it has none.
  package private(set) var scores: [[Float]]
  /// The triples of the first file, by the pairs of their two passages.
  package private(set) var triples: [(positive: Int32, negative: Int32)] = []
  /// Bad lines skipped on request, all files together.
  package private(set) var skippedLines = 0
  /// What was skipped, one sentence a reason.
  package private(set) var warnings: [String] = []

  private var queries = NameTable()
  private var passages = NameTable()
  /// Query and passage of a pair.
  private var pairs: [(query: Int32, passage: Int32)] = []
  private var places: [UInt64: Int32] = [:]

  /// The number of pairs.
  package var count: Int { pairs.count }

  /// Reads teachers' files, in any order of lines.
  package init(paths: [String], skipBadLines: Bool, quiet: Bool = true) throws(RetortError) {
    teachers = paths.map { Teacher(path: $0) }
    scores = Array(repeating: [], count: paths.count)
    let progress = ProgressReporter(quiet: quiet)
    for number in paths.indices {
      progress.begin("reading \(paths[number])", unit: "triples", total: nil)
      try read(number, skipBadLines, progress)
      progress.finishPhase()
    }
    guard !triples.isEmpty else {
      throw RetortError(
        .badData,
        "holds no usable triple (\(counted(skippedLines, "bad line"))); name a teacher's scores",
        path: paths.first)
    }
    for number in paths.indices { describe(number) }
  }

  private mutating func read(
    _ number: Int, _ skipBadLines: Bool, _ progress: ProgressReporter
  ) throws(RetortError) {
    let reader = try TripleReader(
      path: teachers[number].path, layout: .teacherScores, skipBadLines: skipBadLines)
    scores[number] = Array(repeating: .nan, count: count)
    var lines = 0
    while let triple = try reader.next() {
      lines += 1
      if lines % 4096 == 0 {
        try Interruption.check()
        progress.update(lines)
      }
      guard let given = triple.scores else { continue }
      let query = try queries.place(of: triple.query, reader)
      let positive = try pair(query, triple.positive, reader)
      let negative = try pair(query, triple.negative, reader)
      set(number, positive, Float(given.positive))
      set(number, negative, Float(given.negative))
      if number == 0 { triples.append((positive, negative)) }
    }
    progress.update(lines)
    skippedLines += reader.badLines
    for line in reader.badLineReport { warnings.append("\(reader.name): skipped " + line) }
  }

  private mutating func pair(
    _ query: Int32, _ passage: String, _ reader: TripleReader
  ) throws(RetortError) -> Int32 {
    let passage = try passages.place(of: passage, reader)
    let key = UInt64(UInt32(bitPattern: query)) << 32 | UInt64(UInt32(bitPattern: passage))
    if let known = places[key] { return known }
    guard let fresh = Int32(exactly: count) else {
      throw reader.error("more than 2³¹ different pairs; combine a part of the files at a time")
    }
    places[key] = fresh
    pairs.append((query, passage))
    return fresh
  }

  private mutating func set(_ number: Int, _ pair: Int32, _ score: Float) {
    let missing = count - scores[number].count
    if missing > 0 { scores[number].append(contentsOf: repeatElement(.nan, count: missing)) }
    let old = scores[number][Int(pair)]
    if !old.isNaN, old != score { teachers[number].conflicts += 1 }
    scores[number][Int(pair)] = score
  }

  /// Fills in what is known once all files are read.
  private mutating func describe(_ number: Int) {
    let missing = count - scores[number].count
    scores[number].append(contentsOf: repeatElement(.nan, count: missing))
    let known = scores[number].lazy.filter { !$0.isNaN }
    let total = Double(known.count)
    teachers[number].missing = count - known.count
    guard total > 0 else { return }
    let mean = known.reduce(0.0) { $0 + Double($1) } / total
    let squares = known.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
    teachers[number].mean = mean
    teachers[number].deviation = (squares / total).squareRoot()
  }

  // MARK: What is asked of it

  /// Whether every teacher scores a pair.
  package func isComplete(_ pair: Int) -> Bool { scores.allSatisfy { !$0[pair].isNaN } }

  /// The names of a pair's query and passage.
  package func names(_ pair: Int) -> (query: String, passage: String) {
    (queries.names[Int(pairs[pair].query)], passages.names[Int(pairs[pair].passage)])
  }

  /// The first pair that a teacher lacks.
  package func firstMissing(_ teacher: Int) -> Int? { scores[teacher].firstIndex { $0.isNaN } }

  /// Pairs that all teachers score, query by query in the order of the files.
  package func lists() -> [[Int]] {
    var lists = [[Int]](repeating: [], count: queries.names.count)
    for (number, pair) in pairs.enumerated() where isComplete(number) {
      lists[Int(pair.query)].append(number)
    }
    return lists.filter { !$0.isEmpty }
  }

  /// The grades that the first file's triples imply: 1 for a passage that is the positive one of any
  /// triple of its query, 0 for others of the file.
  package func tripleGrades() -> [Double?] {
    var grades = [Double?](repeating: nil, count: count)
    for triple in triples { grades[Int(triple.negative)] = 0 }
    for triple in triples { grades[Int(triple.positive)] = 1 }
    return grades
  }

  /// The grades of a qrels file; nil for pairs without a judgement.
  package func grades(of qrels: Qrels) -> [Double?] {
    var known: [UInt64: Double] = [:]
    for query in qrels.queryIDs {
      guard let place = queries.places[ByteKey(query)] else { continue }
      for (document, grade) in qrels.judgements(for: query) ?? [] {
        guard grade >= 0, let passage = passages.places[ByteKey(document)] else { continue }
        let key = UInt64(UInt32(bitPattern: place)) << 32 | UInt64(UInt32(bitPattern: passage))
        known[key] = Double(grade)
      }
    }
    return pairs.map { pair in
      known[UInt64(UInt32(bitPattern: pair.query)) << 32 | UInt64(UInt32(bitPattern: pair.passage))]
    }
  }
}
