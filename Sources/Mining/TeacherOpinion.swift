import Formats
import Models
import Platform
import Retrieval

/// What a teacher says of passages: a file of scores, or a cross-encoder that reads them.
struct TeacherOpinion {
  private enum Kind {
    /// By a query's place and a passage's number.
    case scores([UInt64: Float])
    case model(CrossEncoder)
  }

  private let kind: Kind
  private let threads: Int
  private let path: String
  /// What the scores depend on.
  let identity: String

  /// Whether scoring takes long.
  var isModel: Bool {
    if case .model = kind { true } else { false }
  }

  /// Reads or loads what the options name; nil where they name no teacher.
  init?(
    _ options: MiningOptions, _ index: PassageIndex, _ queries: MiningQueries
  ) throws(RetortError) {
    threads = options.threads
    if let folder = options.teacher {
      let model = try CrossEncoder(directory: folder, maxLength: options.teacherLength)
      kind = .model(model)
      path = folder
      identity = "model \(model.fingerprint)"
    } else if let file = options.teacherScores {
      var table = ScoreTable(index: index, queries: queries)
      try Self.isTriples(file)
        ? table.readTriples(file, skipBadLines: options.skipBadLines) : table.readRun(file)
      guard !table.scores.isEmpty else {
        throw RetortError(
          .badData,
          "has no score for a query and a passage that are here; its columns must be ids",
          path: file)
      }
      kind = .scores(table.scores)
      path = file
      identity = "scores " + hexadecimalText(table.digest.finalize())
    } else {
      return nil
    }
  }

  /// Whether a file has a teacher's five columns; else it is a run.
  private static func isTriples(_ path: String) throws(RetortError) -> Bool {
    // Standard input cannot be read twice; what is piped is a teacher's file.
    guard path != "-" else { return true }
    let lines = try LineReader(path: path)
    guard try lines.next() else {
      throw RetortError(.badData, "is empty; name a teacher's scores, or a run", path: path)
    }
    return lines.withLine { line in
      var tabs = 0
      for index in 0..<line.count where line[index] == UInt8(ascii: "\t") { tabs += 1 }
      return tabs == 4
    }
  }

  /// Scores of passages for a query, nil where there is none; `texts` are read by a model alone.
  func scores(
    query: Query, place: Int, passages: [Int], texts: [String]
  ) throws(RetortError) -> (scores: [Float?], truncated: Int) {
    switch kind {
    case .scores(let table): return (passages.map { table[ScoreTable.key(place, $0)] }, 0)
    case .model(let model):
      let answer = try model.score(texts: texts.map { (query.text, $0) }, threads: threads)
      if let wrong = answer.scores.first(where: { !$0.isFinite }) {
        throw RetortError(
          .badData,
          "scores a passage for query \"\(query.id)\" with \(wrong); its weights are damaged: train "
            + "or download the model again", path: path)
      }
      return (answer.scores, answer.truncated)
    }
  }
}

/// Scores of a file for the pairs of query and passage that are known here.
private struct ScoreTable {
  let index: PassageIndex
  let queries: MiningQueries
  private(set) var scores: [UInt64: Float] = [:]
  var digest = SHA256Digest()

  static func key(_ place: Int, _ passage: Int) -> UInt64 {
    UInt64(place) << 32 | UInt64(passage)
  }

  init(index: PassageIndex, queries: MiningQueries) {
    self.index = index
    self.queries = queries
  }

  private mutating func add(_ query: Int, _ id: String, _ score: Float) throws(RetortError) {
    guard let number = try index.number(of: id) else { return }
    guard score.isFinite else {
      throw RetortError(.badData, "a teacher's score of passage \"\(id)\" is out of range")
    }
    // A later line about the same pair counts.
    scores[Self.key(query, number)] = score
    digest.update(Array("\(query) \(number) \(score)\0".utf8))
  }

  mutating func readTriples(_ path: String, skipBadLines: Bool) throws(RetortError) {
    let reader = try TripleReader(path: path, layout: .teacherScores, skipBadLines: skipBadLines)
    while let triple = try reader.next() {
      if reader.lineNumber % 4096 == 0 { try Interruption.check() }
      guard let query = queries.places[ByteKey(triple.query)], let pair = triple.scores else {
        continue
      }
      try add(query, triple.positive, Float(pair.positive))
      try add(query, triple.negative, Float(pair.negative))
    }
  }

  mutating func readRun(_ path: String) throws(RetortError) {
    let run = try Run(path: path)
    guard run.order == .byScore else {
      throw RetortError(
        .badData, "has ranks and no scores; a teacher's run is a TREC run", path: path)
    }
    for (place, id) in run.queryIDs.enumerated() {
      try Interruption.check()
      guard let query = queries.places[ByteKey(id)] else { continue }
      for row in run.table.rows(place) {
        try add(query, run.table.documents[row], Float(run.table.values[row]))
      }
    }
  }
}
