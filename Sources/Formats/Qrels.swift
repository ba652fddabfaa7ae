import Platform

/// Relevance judgements: which documents are relevant to which query, and how much.
///
/// Grades above zero mean relevant (measures may ask for more), zero means judged and not
/// relevant, below zero as trec_eval has it: in the file, but not judged.
public struct Qrels: Sendable {
  package let table: DocumentTable

  /// The judged queries, in the order of the file.
  public var queryIDs: [String] { table.queryIDs }

  /// The number of judgements.
  public var count: Int { table.values.count }

  /// The judgements of a query in the order of the file; nil for a query without any.
  public func judgements(for queryID: String) -> [(document: String, grade: Int)]? {
    table.query(queryID).map { query in
      table.rows(query).map { (table.documents[$0], Int(table.values[$0])) }
    }
  }

  /// Judgements made in memory; a document given twice for one query is an error.
  public init(
    _ judgements: [(query: String, document: String, grade: Int)]
  ) throws(RetortError) {
    var builder = DocumentTableBuilder()
    for (query, document, grade) in judgements {
      builder.add(query: query, document: document, value: Double(grade))
    }
    table = try builder.finish(path: nil)
  }

  /// Reads a file (`-`: standard input; gzip is recognised).
  ///
  /// Layouts: TREC and MS MARCO, `qid iteration document grade` between any white space; BEIR,
  /// `qid document grade`, perhaps under a header line. Blank lines are ignored. Every other line
  /// is an error, and so are a repeated document of a query and a file without judgements. With
  /// `skipBadLines` lines that break the layout are left out; `report` gets a sentence for each reason.
  public init(
    path: String, skipBadLines: Bool = false, report: (String) -> Void = { _ in }
  ) throws(RetortError) {
    let lines = try LineReader(path: path)
    var builder = DocumentTableBuilder()
    var parser = QrelsLineParser()
    var bad = BadLineTally(skips: skipBadLines)
    try bad.forEach(lines) { line throws(RetortError) in
      try parser.parse(line, lines, &builder)
    }
    for sentence in bad.report { report("skipped " + sentence) }
    guard !builder.isEmpty else {
      throw RetortError(.badData, "holds no judgements; name a qrels file", path: lines.name)
    }
    table = try builder.finish(path: lines.name)
  }
}

private struct QrelsLineParser {
  private enum Layout { case trec, beir, beirWithTabs }
  private var layout: Layout?
  private var columns: [Range<Int>] = []

  mutating func parse(
    _ line: Span<UInt8>, _ lines: LineReader, _ builder: inout DocumentTableBuilder
  ) throws(RetortError) {
    if isBlank(line, 0..<line.count) { return }
    guard let layout else {
      if try detect(line, lines) { try parse(line, lines, &builder) }
      return
    }
    if layout == .beirWithTabs {
      splitTabs(line, into: &columns)
    } else {
      splitSpaces(line, into: &columns)
    }
    let expected = layout == .trec ? 4 : 3
    guard columns.count == expected, columns.allSatisfy({ !$0.isEmpty }) else {
      throw lines.error(
        "\(columns.count) columns where qrels like these have \(expected) "
          + (layout == .trec ? "(qid iteration document grade)" : "(qid document grade)")
          + "; correct the line")
    }
    guard let grade = integer(line, columns[expected - 1]) else {
      throw lines.error(
        "the grade \"\(text(line, columns[expected - 1]))\" is not an integer; correct the line")
    }
    builder.add(
      line, query: columns[0], document: columns[expected - 2], value: Double(grade),
      lineNumber: lines.lineNumber)
  }

  /// Sets the layout by the first line; false when that line is a header.
  private mutating func detect(
    _ line: Span<UInt8>, _ lines: LineReader
  ) throws(RetortError) -> Bool {
    splitSpaces(line, into: &columns)
    switch columns.count {
    case 4: layout = .trec
    case 3:
      var tabs = 0
      for index in 0..<line.count where line[index] == UInt8(ascii: "\t") { tabs += 1 }
      layout = tabs == 2 ? .beirWithTabs : .beir
    default:
      throw lines.error(
        "\(columns.count) columns; qrels have 4 (qid iteration document grade) or 3 (BEIR: qid "
          + "document grade)")
    }
    let header = ["query-id", "corpus-id", "score"]
    return columns.count != 3 || columns.map { text(line, $0) } != header
  }
}

extension LineReader {
  /// An error about the current line's encoding.
  func error(_ defect: Defect) -> RetortError {
    let bad = BadLine(defect)
    return error("\(bad.reason) \(bad.detail); convert the file to UTF-8")
  }
}
