import Platform

/// A query with a passage that answers it and one that answers it less well.
public struct Triple: Sendable, Equatable {
  /// The query: its id, or its text.
  public var query: String
  /// The positive passage: its id, or its text.
  public var positive: String
  /// The negative passage: its id, or its text.
  public var negative: String
  /// The teacher's scores of both passages, unbounded logits; nil where there is no teacher.
  public var scores: Scores?

  /// What a teacher says of the two passages.
  public struct Scores: Sendable, Equatable {
    /// The positive passage's score.
    public var positive: Double
    /// The negative passage's score.
    public var negative: Double

    /// Makes a pair of scores.
    public init(positive: Double, negative: Double) {
      self.positive = positive
      self.negative = negative
    }
  }

  /// Makes a triple.
  public init(query: String, positive: String, negative: String, scores: Scores? = nil) {
    self.query = query
    self.positive = positive
    self.negative = negative
    self.scores = scores
  }
}

/// Training triples, one at a time, plain or gzip, `-` is standard input:
///   `query TAB positive TAB negative`
///   `positive score TAB negative score TAB query TAB positive TAB negative`, a teacher's file.
///
/// Queries and passages are ids or texts; the two kinds of file differ in nothing else. A line whose
/// two passages are the same teaches nothing and counts as bad.
public final class TripleReader {
  /// What the lines hold.
  public enum Layout: Sendable {
    /// Three columns.
    case triples
    /// Five columns, the teacher's two scores first.
    case teacherScores
  }

  /// The line of the triple last returned, counted from 1.
  public var lineNumber: Int { lines.lineNumber }
  /// What errors call the file.
  public var name: String { lines.name }
  /// Lines skipped so far.
  public var badLines: Int { bad.count }
  /// The skipped lines by reason.
  public var badLineReport: [String] { bad.report }
  private let lines: LineReader
  private let layout: Layout
  private var bad: BadLineTally

  /// Opens `path` (`-`: standard input).
  public init(path: String, layout: Layout, skipBadLines: Bool = false) throws(RetortError) {
    lines = try LineReader(path: path)
    self.layout = layout
    bad = BadLineTally(skips: skipBadLines)
  }

  /// The next triple, nil at the end.
  public func next() throws(RetortError) -> Triple? {
    var columns: [Range<Int>] = []
    return try bad.next(of: lines) { line throws(BadLine) in try parse(line, &columns) }
  }

  /// An error about the line last returned.
  package func error(_ message: String) -> RetortError { lines.error(message) }

  private func parse(_ line: Span<UInt8>, _ columns: inout [Range<Int>]) throws(BadLine) -> Triple {
    splitTabs(line, into: &columns)
    let expected = layout == .triples ? 3 : 5
    guard columns.count == expected else {
      let names = layout == .triples ? "" : "positive score, negative score, "
      throw BadLine(
        "wrong number of columns",
        "(\(expected) expected: \(names)query, positive, negative, separated by TAB; "
          + "\(columns.count) found"
          + (columns.count > expected ? "; a TAB inside a text makes a column, too)" : ")"))
    }
    let fields = columns.suffix(3)
    for (range, field) in zip(fields, ["query", "positive passage", "negative passage"])
    where isBlank(line, range) {
      throw BadLine("empty \(field)")
    }
    var triple = Triple(
      query: text(line, fields[expected - 3]), positive: text(line, fields[expected - 2]),
      negative: text(line, fields[expected - 1]))
    if layout == .teacherScores {
      triple.scores = Triple.Scores(
        positive: try score(line, columns[0]), negative: try score(line, columns[1]))
    }
    guard ByteKey(triple.positive) != ByteKey(triple.negative) else {
      throw BadLine("the positive passage is the negative one, too")
    }
    return triple
  }

  private func score(_ line: Span<UInt8>, _ range: Range<Int>) throws(BadLine) -> Double {
    guard let value = decimal(line, range), value.isFinite, abs(value) < 1e30 else {
      throw BadLine(
        "a score that is no finite number", "(\"\(text(line, range).prefix(40))\")")
    }
    return value
  }
}
