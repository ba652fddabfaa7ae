import Formats

extension JudgedRanking {
  /// Ranks a query's documents and looks up their grades; `query` nil is an empty ranking.
  init(
    run: Run, query: Int?, qrels: Qrels, judgedQuery: Int, scores: RunEvaluation.ScorePrecision
  ) {
    let judgements = GradeTable(qrels.table, judgedQuery)
    grades = judgements.grades
    guard let query else {
      (hits, retrieved, ranks) = ([], 0, nil)
      return
    }
    let table = run.table
    let rows = table.rows(query)
    retrieved = rows.count
    var hits: [Hit] = []
    switch run.order {
    case .byScore:
      ranks = nil
      for (index, row) in Self.sorted(rows, of: table, scores).enumerated() {
        if let grade = judgements.grade(table.documents, row) {
          hits.append(Hit(rank: index + 1, grade: grade))
        }
      }
    case .byRank:
      ranks = rows.map { Int(table.values[$0]) }
      for row in rows.ordered(by: { table.values[$0] < table.values[$1] }) {
        if let grade = judgements.grade(table.documents, row) {
          hits.append(Hit(rank: Int(table.values[row]), grade: grade))
        }
      }
    }
    self.hits = hits
  }

  /// Rows by score, higher first, equal scores by id, byte-wise, larger first.
  fileprivate static func sorted(
    _ rows: Range<Int>, of table: DocumentTable, _ scores: RunEvaluation.ScorePrecision
  ) -> [Int] {
    rows.map { row in
      let score = table.values[row]
      return (score: scores == .float32 ? Double(Float(score)) : score, row: row)
    }
    .sorted { one, other in
      if one.score != other.score { return one.score > other.score }
      return table.documents.isBefore(other.row, one.row)
    }
    .map(\.row)
  }
}

/// One query's re-ranked documents, each with its rank among the candidates that were re-ranked.
struct RankedCandidates {
  /// In the order of the run: the rank as a candidate, and the grade where it was judged.
  private var documents: [(rank: Int, grade: Int?)] = []
  private let grades: [Int]
  /// Documents that are no candidates.
  private(set) var strangers = 0

  init(
    run: Run, query: Int?, candidates: Run, id: String, qrels: Qrels, judgedQuery: Int,
    scores: RunEvaluation.ScorePrecision
  ) {
    let judgements = GradeTable(qrels.table, judgedQuery)
    grades = judgements.grades
    guard let query else { return }
    var ranks: [ByteKey: Int] = [:]
    if let place = candidates.table.query(id) {
      for (index, row) in Self.order(candidates, place, scores).enumerated() {
        ranks[ByteKey(candidates.table.documents[row])] = index + 1
      }
    }
    for row in Self.order(run, query, scores) {
      guard let rank = ranks[ByteKey(run.table.documents[row])] else {
        strangers += 1
        continue
      }
      documents.append((rank, judgements.grade(run.table.documents, row)))
    }
  }

  /// The documents from the best; MS MARCO's ranks lose their gaps.
  private static func order(
    _ run: Run, _ query: Int, _ scores: RunEvaluation.ScorePrecision
  ) -> [Int] {
    let rows = run.table.rows(query)
    switch run.order {
    case .byScore: return JudgedRanking.sorted(rows, of: run.table, scores)
    case .byRank: return rows.ordered { run.table.values[$0] < run.table.values[$1] }
    }
  }

  /// What is left when only candidates with ranks up to `depth` were re-ranked.
  func ranking(depth: Int) -> JudgedRanking {
    let kept = documents.filter { $0.rank <= depth }
    var hits: [JudgedRanking.Hit] = []
    for (index, document) in kept.enumerated() {
      if let grade = document.grade { hits.append(.init(rank: index + 1, grade: grade)) }
    }
    return JudgedRanking(hits: hits, retrieved: kept.count, ranks: nil, grades: grades)
  }
}

/// A query's judgements, sorted by document for look-ups.
private struct GradeTable {
  private let documents: IDList
  private let sorted: [(key: UInt64, row: Int, grade: Int)]

  init(_ table: DocumentTable, _ query: Int) {
    documents = table.documents
    sorted = table.rows(query)
      .map { (table.documents.prefix($0), $0, Int(table.values[$0])) }
      .sorted { one, other in
        one.0 != other.0 ? one.0 < other.0 : table.documents.isBefore(one.1, other.1)
      }
  }

  var grades: [Int] { sorted.map(\.grade) }

  func grade(_ ids: IDList, _ row: Int) -> Int? {
    let key = ids.prefix(row)
    let id = ids.bytes(row)
    var low = 0
    var high = sorted.count
    while low < high {
      let middle = (low + high) / 2
      let entry = sorted[middle]
      let order =
        entry.key != key
        ? (entry.key < key ? -1 : 1) : IDList.compare(documents.bytes(entry.row), id)
      if order == 0 { return entry.grade }
      if order < 0 { low = middle + 1 } else { high = middle }
    }
    return nil
  }
}

extension IDList {
  /// Whether one id orders before another, byte-wise.
  fileprivate func isBefore(_ one: Int, _ other: Int) -> Bool {
    IDList.compare(bytes(one), bytes(other)) < 0
  }
}
