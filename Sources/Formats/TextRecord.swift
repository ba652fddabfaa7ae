import Foundation
import Platform

/// One line of a corpus or of a query file: an id and a text.
struct TextRecord {
  var id: String
  var text: String
}

/// Turns lines into records.
struct TextRecordParser {
  /// The two line formats.
  enum Layout { case tsv, jsonl }

  let layout: Layout
  private let decoder = JSONDecoder()

  init(_ layout: Layout) { self.layout = layout }

  /// The record on a line, nil for a blank JSON line (which holds nothing to lose).
  func parse(_ line: Span<UInt8>) -> Result<TextRecord?, BadLine> {
    switch layout {
    case .tsv: return parseTSV(line).map { $0 }
    case .jsonl:
      if isBlank(line, 0..<line.count) { return .success(nil) }
      return parseJSON(line).map { $0 }
    }
  }

  private func parseTSV(_ line: Span<UInt8>) -> Result<TextRecord, BadLine> {
    let tab = UInt8(ascii: "\t")
    var first = -1
    var columns = 1
    for index in 0..<line.count where line[index] == tab {
      if first < 0 { first = index }
      columns += 1
    }
    guard columns == 2 else {
      return .failure(
        BadLine("wrong number of columns", "(2 expected, id TAB text; \(columns) found)"))
    }
    if isBlank(line, 0..<first) { return .failure(BadLine("empty id")) }
    return .success(
      TextRecord(
        id: Formats.text(line, 0..<first), text: Formats.text(line, first + 1..<line.count)))
  }

  private func parseJSON(_ line: Span<UInt8>) -> Result<TextRecord, BadLine> {
    let fields: JSONFields
    do {
      fields = try decodeJSON(line, as: JSONFields.self, with: decoder)
    } catch let error as DecodingError {
      return .failure(BadLine(error))
    } catch {
      return .failure(BadLine("malformed JSON", "(\(error))"))
    }
    guard let id = (fields._id ?? fields.id ?? fields.docid)?.text else {
      return .failure(BadLine("missing field \"id\"", "(\"_id\" and \"docid\" serve too)"))
    }
    if trimmed(id).isEmpty { return .failure(BadLine("empty id")) }
    guard let body = fields.text ?? fields.contents else {
      return .failure(BadLine("missing field \"text\"", "(\"contents\" serves too)"))
    }
    guard let title = fields.title else { return .success(TextRecord(id: id, text: trimmed(body))) }
    return .success(TextRecord(id: id, text: trimmed(title + " " + body)))
  }
}

/// The fields that are read; all others are skipped.
private struct JSONFields: Decodable {
  var _id: Identifier?
  var id: Identifier?
  var docid: Identifier?
  var title: String?
  var text: String?
  var contents: String?
}

/// An id written as text or as an integer.
private struct Identifier: Decodable {
  var text: String

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    do {
      text = try container.decode(String.self)
    } catch {
      do {
        text = String(try container.decode(Int64.self))
      } catch {
        throw DecodingError.typeMismatch(
          String.self,
          .init(codingPath: decoder.codingPath, debugDescription: "neither text nor an integer"))
      }
    }
  }
}

extension BadLine {
  fileprivate init(_ error: DecodingError) {
    switch error {
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      guard let field = context.codingPath.first?.stringValue else {
        self.init("not a JSON object")
        return
      }
      let isID = ["_id", "id", "docid"].contains(field)
      self.init("field \"\(field)\" is not \(isID ? "text or an integer" : "text")")
    case .dataCorrupted(let context):
      self.init("malformed JSON", Self.place(context))
    default:
      self.init("malformed JSON")
    }
  }

  /// `at column 12`, from Foundation's description of the place.
  private static func place(_ context: DecodingError.Context) -> String {
    guard let cause = context.underlyingError as NSError?,
      let text = cause.userInfo[NSDebugDescriptionErrorKey] as? String
    else { return "(\(context.debugDescription))" }
    if let column = text.range(of: "column ") {
      let digits = text[column.upperBound...].prefix { $0.isASCII && $0.isNumber }
      if !digits.isEmpty { return "at column \(digits)" }
    }
    return "(\(text))"
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
