import Platform

/// Reads ids, one a line: the line up to its first tab, so that a corpus or a run of the ids does,
/// too. Plain or gzip; `-` is standard input. Empty lines are skipped; an id may be listed twice.
public func readIDs(path: String) throws(RetortError) -> [String] {
  let lines = try LineReader(path: path)
  var ids: [String] = []
  while try lines.next() {
    if let defect = lines.defect {
      let bad = BadLine(defect)
      throw lines.error("\(bad.reason) \(bad.detail)")
    }
    let id = lines.withLine { line in
      var end = 0
      while end < line.count, line[end] != UInt8(ascii: "\t") { end += 1 }
      return text(line, 0..<end)
    }
    if !id.isEmpty { ids.append(id) }
  }
  return ids
}
