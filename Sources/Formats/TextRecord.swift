/// One line of a corpus or of a query file: an id and a text.
struct TextRecord {
  var id: String
  var text: String
  var fields: [String: [FieldValue]] = [:]
}

/// Turns lines into records.
struct TextRecordParser {
  /// The two line formats.
  enum Layout { case tsv, jsonl }

  let layout: Layout
  private var scanner = JSONRecordScanner()
  /// Metadata that was left out.
  private(set) var leftOut = LeftOutFields()

  init(_ layout: Layout, fields: FieldSelection = .none) {
    self.layout = layout
    scanner.selection = fields
  }

  /// The record on a line, nil for a blank JSON line (which holds nothing to lose).
  mutating func parse(_ line: Span<UInt8>) throws(BadLine) -> TextRecord? {
    switch layout {
    case .tsv: return try check(try parseTSV(line))
    case .jsonl:
      return isBlank(line, 0..<line.count) ? nil : try check(try parseJSON(line))
    }
  }

  /// Ids are kept many to a block, in memory too: one of megabytes is a mistake in the columns.
  private func check(_ record: TextRecord) throws(BadLine) -> TextRecord {
    let limit = 4096
    guard record.id.utf8.count <= limit else {
      throw BadLine("id too long", "(\(record.id.utf8.count) bytes, at most \(limit))")
    }
    return record
  }

  private func parseTSV(_ line: Span<UInt8>) throws(BadLine) -> TextRecord {
    let tab = UInt8(ascii: "\t")
    var first = -1
    var columns = 1
    for index in 0..<line.count where line[index] == tab {
      if first < 0 { first = index }
      columns += 1
    }
    guard columns == 2 else {
      throw BadLine("wrong number of columns", "(2 expected, id TAB text; \(columns) found)")
    }
    if isBlank(line, 0..<first) { throw BadLine("empty id") }
    return TextRecord(
      id: Formats.text(line, 0..<first), text: Formats.text(line, first + 1..<line.count))
  }

  private mutating func parseJSON(_ line: Span<UInt8>) throws(BadLine) -> TextRecord {
    let record = try scanner.scan(line)
    guard let id = record.underscoreID ?? record.id ?? record.docid else {
      throw BadLine("missing field \"id\"", "(\"_id\" and \"docid\" serve too)")
    }
    if trimmed(id).isEmpty { throw BadLine("empty id") }
    guard let body = record.text ?? record.contents else {
      throw BadLine("missing field \"text\"", "(\"contents\" serves too)")
    }
    for name in record.leftOut { leftOut.add(name) }
    let text = record.title.map { $0 + " " + body } ?? body
    return TextRecord(id: id, text: trimmed(text), fields: record.fields)
  }
}

/// Whether a range holds nothing but ASCII white space.
func isBlank(_ line: Span<UInt8>, _ range: Range<Int>) -> Bool {
  for index in range where !isSpace(line[index]) { return false }
  return true
}

/// ASCII white space, as C's isspace.
func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

/// A text without ASCII white space at its ends.
func trimmed(_ text: String) -> String {
  let bytes = text.utf8
  guard let first = bytes.first, let last = bytes.last, isSpace(first) || isSpace(last) else {
    return text
  }
  guard let lower = bytes.firstIndex(where: { !isSpace($0) }),
    let upper = bytes.lastIndex(where: { !isSpace($0) })
  else { return "" }
  return String(text[lower...upper])
}
