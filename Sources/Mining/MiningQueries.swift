import Formats
import Platform
import Retrieval

/// The queries that negatives are looked for, with their relevant passages by number.
struct MiningQueries {
  struct Item: Sendable {
    var query: Query
    /// Passages that get negatives.
    var positives: [Int]
    /// Passages that are no negatives, the positives among them.
    var relevant: Set<Int>
  }

  private(set) var items: [Item] = []
  /// By a query's id its place in `items`.
  private(set) var places: [ByteKey: Int] = [:]
  private(set) var warnings: [String] = []
  /// Queries, texts and judgements.
  private(set) var digest = ""

  /// Reads queries and qrels, and counts in `report` what they lack.
  init(
    _ options: MiningOptions, _ index: PassageIndex, _ report: inout MiningReport
  ) throws(RetortError) {
    var notes: [String] = []
    let queries = try readQueries(
      path: options.queries, skipBadLines: options.skipBadLines, report: { notes.append($0) })
    let qrels = try Qrels(path: options.qrels)
    var unknown = 0
    var first: String?
    var judged = 0
    for query in queries {
      try Interruption.check()
      let judgements = (qrels.judgements(for: query.id) ?? []).filter { $0.grade > 0 }
      guard judgements.contains(where: { $0.grade >= options.minGrade }) else {
        report.unjudgedQueries += 1
        continue
      }
      // A query without a text finds nothing, and cannot be a column.
      guard !query.text.allSatisfy(\.isWhitespace) else {
        report.unknownQueries += 1
        continue
      }
      var item = Item(query: query, positives: [], relevant: [])
      for (document, grade) in judgements {
        guard let number = try index.number(of: document) else {
          guard grade >= options.minGrade else { continue }
          judged += 1
          if try index.isDeleted(id: document) {
            report.deletedPositives += 1
          } else {
            unknown += 1
            first = first ?? document
          }
          continue
        }
        item.relevant.insert(number)
        if grade >= options.minGrade {
          judged += 1
          item.positives.append(number)
        }
      }
      item.draw(options.maxPositives, seed: options.seed)
      places[ByteKey(query.id)] = items.count
      items.append(item)
    }
    let known = Set(queries.map { ByteKey($0.id) })
    for id in qrels.queryIDs where !known.contains(ByteKey(id)) {
      let judgements = qrels.judgements(for: id) ?? []
      if judgements.contains(where: { $0.grade >= options.minGrade }) { report.unknownQueries += 1 }
    }
    report.unknownPositives = unknown
    warnings = notes
    try judge(options, unknown: unknown, of: judged, first: first)
    digest = makeDigest()
    report.queries = items.count
    report.positives = items.reduce(0) { $0 + $1.positives.count }
  }

  private mutating func judge(
    _ options: MiningOptions, unknown: Int, of judged: Int, first: String?
  ) throws(RetortError) {
    if let first {
      let what =
        "\(unknown) of \(counted(judged, "positive passage is", "positive passages are")) not in the "
        + "index (first: \"\(first)\")"
      guard Double(unknown) <= options.maxUnknown * Double(judged) else {
        throw RetortError(
          .badData,
          what + "; name the files that belong together, or allow more with --max-unknown",
          path: options.qrels)
      }
      warnings.append(what + "; they are left out")
    }
    guard items.contains(where: { !$0.positives.isEmpty }) else {
      throw RetortError(
        .badData,
        "has no positive passage (grade \(options.minGrade) or more) in the index for any query of "
          + "\(options.queries); name the files that belong together", path: options.qrels)
    }
  }

  private func makeDigest() -> String {
    var digest = SHA256Digest()
    for item in items {
      digest.update(Array("\(item.query.id)\0\(item.query.text)\0\(item.positives)\0".utf8))
      digest.update(Array("\(item.relevant.ordered())\0".utf8))
    }
    return hexadecimalText(digest.finalize())
  }
}

extension MiningQueries.Item {
  /// Keeps `most` positives: those whose hashes with seed and query are least.
  fileprivate mutating func draw(_ most: Int?, seed: UInt64) {
    guard let most, positives.count > most else { return }
    let key = seedOfQuery(query.id, seed)
    let kept = positives.ordered { Hashing.mix(key ^ UInt64($0)) < Hashing.mix(key ^ UInt64($1)) }
    let chosen = Set(kept.prefix(most))
    positives.removeAll { !chosen.contains($0) }
  }
}

/// What random choices for a query start from.
func seedOfQuery(_ id: String, _ seed: UInt64) -> UInt64 {
  UInt64(truncatingIfNeeded: Hashing.hash128(Array(id.utf8), seed: seed))
}
