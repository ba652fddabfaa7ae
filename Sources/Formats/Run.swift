import Platform

/// The ranked answers of a system to many queries.
public struct Run: Sendable {
  /// What orders the documents of a query.
  public enum Order: Sendable {
    /// The score, higher first (TREC).
    case byScore
    /// The rank, from 1 (MS MARCO).
    case byRank
  }

  /// How a run file is laid out.
  public enum Layout: String, Sendable, CaseIterable {
    /// By the first line: three columns are MS MARCO, six or more TREC.
    case auto
    /// `qid Q0 document rank score tag`; more after the tag is ignored, and so is the rank.
    case trec
    /// `qid document rank`.
    case msmarco
  }

  /// What orders the documents.
  public let order: Order
  package let table: DocumentTable

  /// The queries, in the order of the file.
  public var queryIDs: [String] { table.queryIDs }

  /// The number of hits.
  public var count: Int { table.values.count }

  /// The hits of a query in the order of the file, each with its score (its rank for MS MARCO
  /// runs); nil for a query without any.
  public func hits(for queryID: String) -> [(document: String, value: Double)]? {
    table.query(queryID).map { query in
      table.rows(query).map { (table.documents[$0], table.values[$0]) }
    }
  }

  /// A run made in memory, ordered by score.
  ///
  /// A score that is not finite and a document given twice for one query are errors.
  public init(
    _ answers: [(query: String, hits: [(document: String, score: Double)])]
  ) throws(RetortError) {
    var builder = DocumentTableBuilder()
    for (query, hits) in answers {
      for (document, score) in hits {
        guard score.isFinite else {
          throw RetortError(
            .badData, "the score of document \"\(document)\" for query \"\(query)\" is \(score)")
        }
        builder.add(query: query, document: document, value: score)
      }
    }
    order = .byScore
    table = try builder.finish(path: nil)
  }

  /// Reads a file (`-`: standard input; gzip is recognised).
  ///
  /// Blank lines are ignored. Every other line must fit the layout; scores must be finite numbers,
  /// ranks integers from 1, and no document or rank may occur twice for a query. With `skipBadLines` lines
  /// that break the layout are left out; `report` gets a sentence for each reason.
  public init(
    path: String, layout: Layout = .auto, skipBadLines: Bool = false,
    report: (String) -> Void = { _ in }
  ) throws(RetortError) {
    let lines = try LineReader(path: path)
    var builder = DocumentTableBuilder()
    var parser = RunLineParser(layout)
    var bad = BadLineTally(skips: skipBadLines)
    try bad.forEach(lines) { line throws(RetortError) in
      try parser.parse(line, lines, &builder)
    }
    for sentence in bad.report { report("skipped " + sentence) }
    guard !builder.isEmpty else {
      throw RetortError(.badData, "holds no hits; name a run file", path: lines.name)
    }
    order = parser.layout == .msmarco ? .byRank : .byScore
    table = try builder.finish(path: lines.name)
    if order == .byRank { try checkRanks(path: lines.name) }
  }

  private func checkRanks(path: String) throws(RetortError) {
    for query in table.queryIDs.indices {
      let rows = table.rows(query).ordered { table.values[$0] < table.values[$1] }
      for (one, other) in zip(rows, rows.dropFirst())
      where table.values[one] == table.values[other] {
        throw RetortError(
          .badData,
          "documents \"\(table.documents[one])\" and \"\(table.documents[other])\" of query "
            + "\"\(table.queryIDs[query])\" both have rank \(Int(table.values[one])); number the "
            + "hits of a query from 1", path: path)
      }
    }
  }
}

private struct RunLineParser {
  private(set) var layout: Run.Layout
  private var columns: [Range<Int>] = []

  init(_ layout: Run.Layout) { self.layout = layout }

  mutating func parse(
    _ line: Span<UInt8>, _ lines: LineReader, _ builder: inout DocumentTableBuilder
  ) throws(RetortError) {
    splitSpaces(line, into: &columns)
    if columns.isEmpty { return }
    if layout == .auto { layout = columns.count == 3 ? .msmarco : .trec }
    if layout == .msmarco {
      guard columns.count == 3 else {
        throw lines.error(
          "\(columns.count) columns where an MS MARCO run has 3 (qid document rank); correct the "
            + "line")
      }
      guard let rank = integer(line, columns[2]), rank >= 1 else {
        throw lines.error(
          "the rank \"\(text(line, columns[2]))\" is not an integer from 1; runs with scores need "
            + "TREC's six columns (qid Q0 document rank score tag)")
      }
      builder.add(
        line, query: columns[0], document: columns[1], value: Double(rank),
        lineNumber: lines.lineNumber)
      return
    }
    guard columns.count >= 6 else {
      throw lines.error(
        "\(columns.count) columns where a TREC run has 6 (qid Q0 document rank score tag); "
          + "correct the line")
    }
    builder.add(
      line, query: columns[0], document: columns[2], value: try score(line, lines),
      lineNumber: lines.lineNumber)
  }

  private func score(_ line: Span<UInt8>, _ lines: LineReader) throws(RetortError) -> Double {
    if let value = decimal(line, columns[4]), value.isFinite { return value }
    let written = text(line, columns[4])
    let kind = Double(written) == nil ? "not a number" : "not finite"
    throw lines.error("the score \"\(written)\" is \(kind); correct the line")
  }
}
