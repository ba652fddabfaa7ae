import Platform

/// Writes triples to a file or to standard output (`-`), as `TripleReader` reads them: with the
/// teacher's scores before the three columns where a triple has any.
///
/// A file appears only with `finish()`.
package final class TripleWriter {
  private let path: String
  private let sink: Sink
  private var buffer: [UInt8] = []

  /// Opens `path` (`-`: standard output).
  package init(path: String) throws(RetortError) {
    self.path = path
    sink = try Sink(path: path)
  }

  /// A text that fits into a column: TAB and line ends become blanks.
  package static func column(_ text: String) -> String {
    guard text.utf8.contains(where: isBreak) else { return text }
    return String(
      decoding: text.utf8.map { isBreak($0) ? UInt8(ascii: " ") : $0 }, as: UTF8.self)
  }

  private static func isBreak(_ byte: UInt8) -> Bool { byte == 9 || byte == 10 || byte == 13 }

  /// Writes a triple; a column with a TAB or a line end is an error.
  package func write(_ triple: Triple) throws(RetortError) {
    if let scores = triple.scores {
      // The shortest form that reads back as the same Float.
      append("\(Float(scores.positive))\t\(Float(scores.negative))\t")
    }
    for (place, text) in [triple.query, triple.positive, triple.negative].enumerated() {
      guard !text.isEmpty, !text.utf8.contains(where: Self.isBreak) else {
        throw RetortError(
          .badData,
          "\"\(text.prefix(40))\" is empty or holds a TAB or a line end, which a column of triples "
            + "cannot; correct the id", path: path)
      }
      append(text)
      buffer.append(place < 2 ? 9 : 10)
    }
    if buffer.count >= 1 << 16 { try flush() }
  }

  /// Completes the output: a file becomes visible under its name.
  package func finish() throws(RetortError) {
    try flush()
    try sink.finish()
  }

  private func append(_ text: String) { buffer.append(contentsOf: text.utf8) }

  private func flush() throws(RetortError) {
    try sink.write(buffer)
    buffer.removeAll(keepingCapacity: true)
  }
}
