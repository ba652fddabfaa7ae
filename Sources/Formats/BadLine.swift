import Platform

/// Why a line cannot be used.
struct BadLine: Error, Equatable {
  /// The kind of defect: lines with the same reason are counted together.
  var reason: String
  /// Where or what exactly, for the one line; may be empty.
  var detail = ""

  init(_ reason: String, _ detail: String = "") {
    self.reason = reason
    self.detail = detail
  }

  init(_ defect: LineReader.Defect) {
    switch defect {
    case .invalidUTF8(let byte): self.init("invalid UTF-8", "at byte \(byte)")
    case .nul(let byte): self.init("a NUL byte", "at byte \(byte)")
    }
  }
}

/// The bad lines of a file: an error on the first, or counts by reason.
struct BadLineTally {
  let skips: Bool
  private(set) var count = 0
  private var byReason: [(reason: String, count: Int, first: String)] = []

  init(skips: Bool) { self.skips = skips }

  /// Counts the reader's current line, or throws where bad lines are not skipped.
  mutating func add(_ bad: BadLine, from lines: LineReader) throws(RetortError) {
    guard skips else {
      let what = bad.detail.isEmpty ? bad.reason : "\(bad.reason) \(bad.detail)"
      throw lines.error("\(what); correct the line, or skip bad lines (--skip-bad-lines)")
    }
    count += 1
    if let known = byReason.firstIndex(where: { $0.reason == bad.reason }) {
      byReason[known].count += 1
    } else {
      byReason.append((bad.reason, 1, "\(lines.name):\(lines.lineNumber)"))
    }
  }

  /// Hands every line to `parse`; those that it refuses end the reading with its error, or are counted.
  mutating func forEach(
    _ lines: LineReader, _ parse: (Span<UInt8>) throws(RetortError) -> Void
  ) throws(RetortError) {
    while try lines.next() {
      do throws(RetortError) {
        if let defect = lines.defect { throw lines.error(defect) }
        try lines.withLine(parse)
      } catch {
        guard skips, error.code == .badData else { throw error }
        try add(BadLine(error.message), from: lines)
      }
    }
  }

  /// The next line that `parse` can use, nil at the end; lines before it that it cannot are counted.
  mutating func next<Record>(
    of lines: LineReader, _ parse: (Span<UInt8>) throws(BadLine) -> Record
  ) throws(RetortError) -> Record? {
    while try lines.next() {
      if let defect = lines.defect {
        try add(BadLine(defect), from: lines)
        continue
      }
      do throws(BadLine) {
        return try lines.withLine(parse)
      } catch {
        try add(error, from: lines)
      }
    }
    return nil
  }

  /// One sentence a reason, most frequent first.
  var report: [String] {
    byReason.ordered { $0.count > $1.count }.map {
      "\(counted($0.count, "line")): \($0.reason) (first: \($0.first))"
    }
  }
}
