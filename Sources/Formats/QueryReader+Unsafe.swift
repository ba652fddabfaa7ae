import Platform

/// Reads all queries of a file: tsv (`qid TAB text`, MS MARCO topics), JSON lines, or a BEIR
/// folder; plain or gzip; `-` is standard input.
///
/// A repeated id and a file without queries are errors. With `skipBadLines` lines that break the
/// format are skipped, and `report` is called once a reason, and once if texts are empty.
public func readQueries(
  path: String, format: TextFormat = .auto, skipBadLines: Bool = false,
  report: ((String) -> Void)? = nil
) throws(RetortError) -> [Query] {
  var records = try TextRecordReader(
    path: path, format: format, member: "queries", skipBadLines: skipBadLines)
  var queries: [Query] = []
  var lineOfID: [ByteKey: Int] = [:]
  var blank = 0
  while let record = try records.next() {
    if let line = lineOfID.updateValue(records.lines.lineNumber, forKey: ByteKey(record.id)) {
      throw records.lines.error(
        "query id \"\(record.id)\" was already used in line \(line); make the ids unique")
    }
    if record.isBlank { blank += 1 }
    queries.append(Query(id: record.id, text: record.text))
  }
  if let report {
    for line in records.bad.report { report("skipped " + line) }
    if blank > 0 { report(counted(blank, "query has", "queries have") + " an empty text") }
  }
  guard !queries.isEmpty else {
    let reason =
      records.lines.lineNumber == 0
      ? "is empty" : "holds no usable query (\(counted(records.bad.count, "bad line")))"
    throw RetortError(.badData, "\(reason); name a file with queries", path: records.lines.name)
  }
  return queries
}

/// A text compared by its bytes: unlike `String`, canonically equivalent spellings differ, as they
/// do for every other program that reads the same files.
package struct ByteKey: Hashable {
  package let text: String

  package init(_ text: String) { self.text = text }

  package static func == (one: Self, other: Self) -> Bool {
    one.text.utf8.elementsEqual(other.text.utf8)
  }

  package func hash(into hasher: inout Hasher) {
    var copy = text
    copy.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}
