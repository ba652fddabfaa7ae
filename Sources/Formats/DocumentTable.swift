import Platform

/// A number for each of many documents of each of many queries: what qrels and runs have in common.
///
/// Row `r` is one line of the file; the rows of query `q` are `rows(q)`, in the file's order.
package struct DocumentTable: Sendable {
  /// The queries in the order of their first lines.
  package let queryIDs: [String]
  /// The document of every row.
  package let documents: IDList
  /// The number of every row: a grade, a score or a rank.
  package let values: [Double]
  private let starts: [Int]
  private let places: [ByteKey: Int]

  init(
    queryIDs: [String], places: [ByteKey: Int], starts: [Int], documents: IDList, values: [Double]
  ) {
    self.queryIDs = queryIDs
    self.places = places
    self.starts = starts
    self.documents = documents
    self.values = values
  }

  /// The place of a query in `queryIDs`.
  package func query(_ id: String) -> Int? { places[ByteKey(id)] }

  /// The rows of a query.
  package func rows(_ query: Int) -> Range<Int> { starts[query]..<starts[query + 1] }
}

/// Collects the rows of a `DocumentTable` in any order.
struct DocumentTableBuilder {
  private var queryIDs: [String] = []
  private var places: [ByteKey: Int] = [:]
  private var documents = IDList()
  private var values: [Double] = []
  private var queries: [UInt32] = []
  private var lines: [UInt32] = []
  private var last = 0

  var isEmpty: Bool { values.isEmpty }

  /// Adds a row read from a line.
  mutating func add(
    _ line: Span<UInt8>, query: Range<Int>, document: Range<Int>, value: Double, lineNumber: Int
  ) {
    // Runs list a query's documents together; only a change of query costs a look-up.
    if queryIDs.isEmpty || !Self.equal(line, query, queryIDs[last]) {
      last = place(of: text(line, query))
    }
    documents.append(line, document)
    finishRow(value, lineNumber)
  }

  /// Adds a row from memory.
  mutating func add(query: String, document: String, value: Double) {
    last = place(of: query)
    documents.append(document.utf8)
    finishRow(value, values.count + 1)
  }

  private mutating func finishRow(_ value: Double, _ lineNumber: Int) {
    values.append(value)
    queries.append(UInt32(truncatingIfNeeded: last))
    lines.append(UInt32(truncatingIfNeeded: lineNumber))
  }

  private mutating func place(of id: String) -> Int {
    let key = ByteKey(id)
    if let known = places[key] { return known }
    places[key] = queryIDs.count
    queryIDs.append(id)
    return queryIDs.count - 1
  }

  private static func equal(_ line: Span<UInt8>, _ range: Range<Int>, _ id: String) -> Bool {
    guard id.utf8.count == range.count else { return false }
    var index = range.lowerBound
    for byte in id.utf8 {
      if line[index] != byte { return false }
      index += 1
    }
    return true
  }

  /// Groups the rows by query; a document listed twice for one query is an error.
  func finish(path: String?) throws(RetortError) -> DocumentTable {
    var starts = [Int](repeating: 0, count: queryIDs.count + 1)
    for query in queries { starts[Int(query) + 1] += 1 }
    for query in queryIDs.indices { starts[query + 1] += starts[query] }
    var next = starts
    var order = [Int](repeating: 0, count: values.count)
    var isGrouped = true
    for row in queries.indices {
      let place = next[Int(queries[row])]
      next[Int(queries[row])] += 1
      order[place] = row
      if place != row { isGrouped = false }
    }
    for query in queryIDs.indices {
      try checkDuplicates(order[starts[query]..<starts[query + 1]], queryIDs[query], path)
    }
    var documents = documents
    var values = values
    if !isGrouped {
      documents = IDList()
      for row in order { documents.append(self.documents.bytes(row)) }
      values = order.map { self.values[$0] }
    }
    return DocumentTable(
      queryIDs: queryIDs, places: places, starts: starts, documents: documents, values: values)
  }

  private func checkDuplicates(
    _ rows: ArraySlice<Int>, _ query: String, _ path: String?
  ) throws(RetortError) {
    let sorted = rows.map { (key: documents.prefix($0), row: $0) }.sorted { one, other in
      if one.key != other.key { return one.key < other.key }
      let order = IDList.compare(documents.bytes(one.row), documents.bytes(other.row))
      return order != 0 ? order < 0 : one.row < other.row
    }
    for (one, other) in zip(sorted, sorted.dropFirst()) where one.key == other.key {
      guard IDList.compare(documents.bytes(one.row), documents.bytes(other.row)) == 0 else {
        continue
      }
      throw RetortError(
        .badData,
        "document \"\(documents[other.row])\" is listed twice for query \"\(query)\" (first in "
          + "line \(lines[one.row])); remove one of the lines", path: path,
        at: .line(Int(lines[other.row])))
    }
  }
}
