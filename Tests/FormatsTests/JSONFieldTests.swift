import Formats
import Foundation
import Platform
import Testing

@Suite struct JSONFieldTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func read(
    _ lines: String, _ fields: FieldSelection = .all
  ) throws -> (passages: [Passage], leftOut: [String]) {
    let path = try folder.file("corpus.jsonl", lines)
    let reader = try CorpusReader(path: path, fields: fields)
    var passages: [Passage] = []
    while let passage = try reader.next() { passages.append(passage) }
    return (passages, reader.leftOutFields)
  }

  @Test func `fields of all kinds are kept, nested ones by their path`() throws {
    let line = #"""
      {"id": 1, "text": "x", "title": "t", "lang": "en", "year": 2019, "score": -1.5e2, "ok": true,
       "no": false, "none": null, "tags": ["b", "a", "b", null, 3, {"x": 1}], "empty": [],
       "metadata": {"url": "u\u00e9", "deep": {"n": 7}}, "zero": -0.0}
      """#.replacingOccurrences(of: "\n", with: "")
    let passage = try #require(try read(line + "\n").passages.first)
    #expect(
      passage.fields == [
        "lang": [.text("en")], "year": [.number(2019)], "score": [.number(-150)],
        "ok": [.flag(true)], "no": [.flag(false)],
        "tags": [.number(3), .text("a"), .text("b")], "metadata.url": [.text("ué")],
        "metadata.deep.n": [.number(7)], "zero": [.number(0)],
      ])
    #expect(passage.text == "t x")
  }

  @Test func `only what was asked for is kept`() throws {
    let line = #"{"id": "1", "text": "x", "a": 1, "b": {"c": 2, "d": 3}, "e": 4}"# + "\n"
    let kept = try read(line, .only(["a", "b.d"])).passages.first?.fields
    #expect(kept == ["a": [.number(1)], "b.d": [.number(3)]])
    #expect(try read(line, .none).passages.first?.fields == [:])
  }

  @Test func `what cannot be filtered by is left out and counted`() throws {
    let long = String(repeating: "x", count: 1025)
    let vector = "[" + (0..<65).map(String.init).joined(separator: ",") + "]"
    let line = "\"text\": \"t\", \"long\": \"\(long)\", \"vector\": \(vector), \"a\": 1}\n"
    let result = try read("{\"id\": 1, " + line + "{\"id\": 2, " + line)
    #expect(result.passages.map(\.fields) == [["a": [.number(1)]], ["a": [.number(1)]]])
    #expect(result.leftOut.count == 2)
    #expect(result.leftOut[0].hasPrefix("field \"long\": 2 values left out"))
    #expect(result.leftOut[1].hasPrefix("field \"vector\": 2 values left out"))
  }

  @Test(arguments: [
    #"{"id": 1, "text": "x", "a": 1, "a": 2}"#, #"{"id": 1, "text": "x", "a": {"b": 1, "b": 2}}"#,
    #"{"id": 1, "text": "x", "a": [1, 2,]}"#, #"{"id": 1, "text": "x", "a": {"b": tru}}"#,
    #"{"id": 1, "text": "x", "a": "\ud800"}"#, #"{"id": 1, "text": "x", "a": 01}"#,
  ])
  func `broken fields break the line, as they always did`(line: String) throws {
    let error = #expect(throws: RetortError.self) { try read(line + "\n") }
    #expect(error?.position == .line(1))
  }

  @Test func `fields nested very deeply are refused, not followed`() throws {
    let deep = String(repeating: "{\"a\":", count: 5000) + "1" + String(repeating: "}", count: 5000)
    let error = #expect(throws: RetortError.self) {
      try read("{\"id\": 1, \"text\": \"x\", \"m\": \(deep)}\n")
    }
    #expect(error?.message.contains("nested deeper") == true)
  }
}
