import Platform

/// A passage to re-rank for a query.
public struct Candidate: Sendable, Equatable {
  /// The query's id.
  public var queryID: String
  /// The passage's id.
  public var passageID: String
  /// The query's text, empty where texts are dropped.
  public var query: String
  /// The passage's text, empty where texts are dropped.
  public var passage: String

  /// Makes a candidate.
  public init(queryID: String, passageID: String, query: String, passage: String) {
    self.queryID = queryID
    self.passageID = passageID
    self.query = query
    self.passage = passage
  }
}

/// Re-ranking candidates (MS MARCO's `top1000` files), one at a time: `qid TAB pid TAB query TAB
/// passage`. The lines of a query need not be adjacent.
public final class CandidateReader {
  /// The line of the candidate last returned, counted from 1.
  public var lineNumber: Int { lines.lineNumber }
  private let lines: LineReader
  private let dropTexts: Bool
  private var bad: BadLineTally

  /// Opens `path` (`-`: standard input); `dropTexts` keeps only the ids.
  public init(
    path: String, dropTexts: Bool = false, skipBadLines: Bool = false
  ) throws(RetortError) {
    lines = try LineReader(path: path)
    self.dropTexts = dropTexts
    bad = BadLineTally(skips: skipBadLines)
  }

  /// Lines skipped so far.
  public var badLines: Int { bad.count }

  /// The skipped lines by reason.
  public var badLineReport: [String] { bad.report }

  /// The next candidate, nil at the end.
  public func next() throws(RetortError) -> Candidate? {
    var columns: [Range<Int>] = []
    return try bad.next(of: lines) { line throws(BadLine) in try parse(line, &columns) }
  }

  private func parse(
    _ line: Span<UInt8>, _ columns: inout [Range<Int>]
  ) throws(BadLine) -> Candidate {
    splitTabs(line, into: &columns)
    guard columns.count == 4 else {
      throw BadLine(
        "wrong number of columns",
        "(4 expected: qid, pid, query, passage, separated by TAB; \(columns.count) found)")
    }
    if isBlank(line, columns[0]) || isBlank(line, columns[1]) {
      throw BadLine("empty id")
    }
    return Candidate(
      queryID: text(line, columns[0]), passageID: text(line, columns[1]),
      query: dropTexts ? "" : text(line, columns[2]),
      passage: dropTexts ? "" : text(line, columns[3]))
  }
}
