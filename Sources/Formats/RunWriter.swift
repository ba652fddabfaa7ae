import Platform

/// How answers are written.
public enum RunFormat: String, Sendable, CaseIterable {
  /// `qid Q0 document rank score tag`, for trec_eval and its kin.
  case trec
  /// `qid TAB document TAB rank`, for MS MARCO's script.
  case msmarco
  /// One JSON object a query: `{"query_id", "query", "hits": [{"rank", "id", "score"}, …]}`.
  case jsonl
}

/// Writes a run to a file or to standard output (`-`).
///
/// A file appears only with `finish()`: until then the answers are in a temporary beside it, so
/// nobody reads half a run. TREC scores are written with as many digits as give back the same
/// `Float`, and strictly decreasing within a query: an equal score is lowered to the next smaller
/// `Float`, because evaluators ignore the rank column and break ties by document id, in one order
/// or the other. So every evaluator keeps the order given here.
public final class RunWriter {
  private let format: RunFormat
  private let tag: String
  private let path: String
  private let sink: Sink
  private var buffer: [UInt8] = []

  /// Opens `path` (`-`: standard output). `tag` names the system in TREC runs.
  public init(path: String, format: RunFormat, tag: String = "retort") throws(RetortError) {
    if tag.isEmpty || tag.utf8.contains(where: isSpace) {
      throw RetortError(.usage, "the run tag \"\(tag)\" must be one word without white space")
    }
    self.path = path
    self.format = format
    self.tag = tag
    sink = try Sink(path: path)
  }

  /// Writes the answers to one query, best first.
  ///
  /// Errors: a score that is not finite or larger than the one before; for TREC and MS MARCO an id
  /// that is empty or holds white space; and whatever the operating system refuses.
  public func write(query: Query, hits: [(id: String, score: Float)]) throws(RetortError) {
    try check(query, hits)
    switch format {
    case .trec: try appendTREC(query, hits)
    case .msmarco:
      for (index, hit) in hits.enumerated() {
        append("\(query.id)\t\(hit.id)\t\(index + 1)\n")
      }
    case .jsonl: appendJSON(query, hits)
    }
    if buffer.count >= 1 << 16 { try flush() }
  }

  /// Completes the run: a file becomes visible under its name.
  public func finish() throws(RetortError) {
    try flush()
    try sink.finish()
  }

  private func flush() throws(RetortError) {
    try sink.write(buffer)
    buffer.removeAll(keepingCapacity: true)
  }

  private func append(_ text: String) { buffer.append(contentsOf: text.utf8) }

  private func check(
    _ query: Query, _ hits: [(id: String, score: Float)]
  ) throws(RetortError) {
    if format != .jsonl { try checkWord(query.id, "query") }
    var last = Float.infinity
    for hit in hits {
      if format != .jsonl { try checkWord(hit.id, "passage") }
      guard hit.score.isFinite else {
        throw RetortError(
          .badData,
          "the score of passage \"\(hit.id)\" for query \"\(query.id)\" is \(hit.score)",
          path: path)
      }
      guard hit.score <= last else {
        throw RetortError(
          .usage,
          "the hits of query \"\(query.id)\" are not in order of score (at \"\(hit.id)\"); sort "
            + "them before writing", path: path)
      }
      last = hit.score
    }
  }

  private func checkWord(_ id: String, _ kind: String) throws(RetortError) {
    guard id.isEmpty || id.utf8.contains(where: isSpace) else { return }
    throw RetortError(
      .badData,
      "the \(kind) id \"\(id)\" \(id.isEmpty ? "is empty" : "holds white space"), which a "
        + "\(format.rawValue) run cannot hold; write jsonl instead", path: path)
  }

  private func appendTREC(
    _ query: Query, _ hits: [(id: String, score: Float)]
  ) throws(RetortError) {
    var last = Float.infinity
    for (index, hit) in hits.enumerated() {
      let score = min(hit.score, last.nextDown)
      guard score.isFinite else {
        throw RetortError(
          .badData, "the scores of query \"\(query.id)\" are too low to be told apart", path: path)
      }
      append("\(query.id) Q0 \(hit.id) \(index + 1) \(score) \(tag)\n")
      last = score
    }
  }

  private func appendJSON(_ query: Query, _ hits: [(id: String, score: Float)]) {
    append("{\"query_id\":\(jsonText(query.id)),\"query\":\(jsonText(query.text)),\"hits\":[")
    for (index, hit) in hits.enumerated() {
      append(index == 0 ? "" : ",")
      append("{\"rank\":\(index + 1),\"id\":\(jsonText(hit.id)),\"score\":\(hit.score)}")
    }
    append("]}\n")
  }
}

/// A text as a JSON string, quotes included (RFC 8259: only quotes, backslashes and control
/// characters need escapes).
package func jsonText(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case "\n": result += "\\n"
    case "\r": result += "\\r"
    case "\t": result += "\\t"
    case _ where scalar.value < 0x20:
      let digits = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}
