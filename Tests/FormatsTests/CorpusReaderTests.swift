import Formats
import Foundation
import Platform
import Testing

@Suite struct CorpusReaderTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func read(_ path: String, _ format: TextFormat = .auto) throws -> [Passage] {
    let reader = try CorpusReader(path: path, format: format)
    var passages: [Passage] = []
    while let passage = try reader.next() { passages.append(passage) }
    return passages
  }

  private func failure(_ path: String, _ format: TextFormat = .auto) -> RetortError? {
    #expect(throws: RetortError.self) { try read(path, format) }
  }

  @Test func `MS MARCO tsv, plain and gzip`() throws {
    let text = "0\tfirst passage\n1\tdéjà \"vu\"\r\ndoc 2\t\n"
    let expected = [
      Passage(id: "0", text: "first passage"), Passage(id: "1", text: "déjà \"vu\""),
      Passage(id: "doc 2", text: ""),
    ]
    #expect(try read(folder.file("c.tsv", text)) == expected)
    #expect(try read(folder.file("c.txt", text)) == expected)
    #expect(try read(folder.file("c.tsv.gz", gzip(Array(text.utf8)))) == expected)
    #expect(try read(folder.file("unnamed", text)) == expected)
    #expect(try read(folder.file("c.jsonl", text), .tsv) == expected)
  }

  @Test func `JSON lines with each spelling of the fields`() throws {
    let text = #"""
      {"_id": "a", "title": "T", "text": "body"}
      {"id": 7, "contents": "c", "extra": {"deep": [1, {"x": null}]}, "title": null}

      {"docid": "d", "title": "", "text": " padded \n"}
      {"text": "esc \" \\ \/ \n \u00e9 \ud83d\ude00 😀", "id": -3}
      {"id": "first wins not", "_id": "_id wins", "text": "t", "contents": "not this"}
      {"id": 9223372036854775807, "title": "only a title", "text": ""}
      """#
    let expected = [
      Passage(id: "a", text: "T body"), Passage(id: "7", text: "c"),
      Passage(id: "d", text: "padded"), Passage(id: "-3", text: "esc \" \\ / \n é 😀 😀"),
      Passage(id: "_id wins", text: "t"),
      Passage(id: "9223372036854775807", text: "only a title"),
    ]
    #expect(try read(folder.file("c.jsonl", text)) == expected)
    #expect(try read(folder.file("c.json.gz", gzip(Array(text.utf8)))) == expected)
    #expect(try read(folder.file("unnamed", "\n \n" + text)) == expected)
  }

  @Test func `BEIR folders, plain and gzip`() throws {
    let text = #"{"_id": "a", "title": "T", "text": "body", "metadata": {}}"#
    _ = try folder.file("corpus.jsonl", text)
    #expect(try read(folder.path) == [Passage(id: "a", text: "T body")])
    try FileSystem.remove(folder.path + "/corpus.jsonl")
    _ = try folder.file("corpus.jsonl.gz", gzip(Array(text.utf8)))
    #expect(try read(folder.path, .beir) == [Passage(id: "a", text: "T body")])
    try FileSystem.remove(folder.path + "/corpus.jsonl.gz")
    #expect(failure(folder.path)?.code == .missingInput)
    #expect(failure(folder.path, .tsv)?.code == .usage)
  }

  @Test(arguments: [
    ("a.tsv", "1\tok\n2 no tab", "wrong number of columns"),
    ("b.tsv", "1\tok\n2\ttoo\tmany", "wrong number of columns"),
    ("c.tsv", "1\tok\n\ttext", "empty id"),
    ("d.tsv", "1\tok\n  \ttext", "empty id"),
    ("e.tsv", "1\tok\n2\tnul \0 byte", "a NUL byte at byte 7"),
    ("f.tsv", "1\tok\n", "a NUL byte at byte 1"),
    ("g.jsonl", #"{"id": 1, "text": ""}"# + "\n{\"text\": \"no id\"}", "missing field \"id\""),
    ("h.jsonl", #"{"id": 1, "text": ""}"# + "\n{\"id\": \"x\"}", "missing field \"text\""),
    ("i.jsonl", #"{"id": 1, "text": ""}"# + "\n{\"id\": \"\", \"text\": \"\"}", "empty id"),
    ("j.jsonl", #"{"id": 1, "text": ""}"# + "\n{\"id\": [], \"text\": \"\"}", "field \"id\""),
    ("k.jsonl", #"{"id": 1, "text": ""}"# + "\n{\"id\": 1.5, \"text\": \"\"}", "field \"id\""),
    ("l.jsonl", #"{"id": 1, "text": ""}"# + "\n{\"id\": 2, \"text\": 5}", "field \"text\""),
    ("m.jsonl", #"{"id": 1, "text": ""}"# + "\n[1]", "not a JSON object"),
    ("n.jsonl", #"{"id": 1, "text": ""}"# + "\n{\"id\": 2, \"text\": \"", "malformed JSON"),
    ("o.jsonl", #"{"id": 1, "text": ""}"# + "\n{\"id\": 2, \"text\": \"\"} x", "malformed JSON"),
    ("p.jsonl", #"{"id": 1, "text": ""}"# + "\n{\"id\": 2, \"text\": \"\\ud83d\"}", "malformed"),
    (
      "q.jsonl",
      #"{"id": 1, "text": ""}"# + "\n{\"id\": " + String(repeating: "[", count: 100_000),
      "malformed JSON"
    ),
  ])
  func `a bad line is an error with file, line and reason`(
    name: String, text: String, reason: String
  ) throws {
    let path = try folder.file(name, name == "f.tsv" ? text + "\0\n" : text)
    let error = try #require(failure(path))
    #expect(error.code == .badData)
    #expect(error.description.hasPrefix("\(path):2: "))
    #expect(error.description.contains(reason), "\(error)")
    #expect(error.description.contains("--skip-bad-lines"))
  }

  @Test func `malformed JSON is placed by its column`() throws {
    let path = try folder.file("a.jsonl", #"{"id": 1, "text": oops}"#)
    let error = try #require(failure(path))
    #expect(error.description.contains("malformed JSON at column 19"), "\(error)")
  }

  @Test(arguments: [
    (#"{"id": 1, "text": "a",}"#, 23), (#"{"id": 1 "text": "a"}"#, 10), (#"{"id": 01}"#, 9),
    (#"{"id": 1, "text": "a\x"}"#, 21), (#"{"id": 1, "text": "\u12g4"}"#, 24), ("{", 2),
    (#"{"id": 1, "x": [1,]}"#, 19), (#"{"id": 1, "x": tru}"#, 19), (#"{"id": 1, "x": 1.}"#, 18),
    (#"{"id": 1, "x": 1e}"#, 18), (#"{"id": -}"#, 9), (#"{id: 1}"#, 2), (#"{"id": 1}}"#, 10),
    ("{\"id\": \"tab\there\"}", 12), (#"{"id": 1, "x": {"y" 1}}"#, 21), (#"{"id": "1}"#, 11),
    (#"{"id": 1, "text": "\udc00"}"#, 20), (#"{"id": 1, "text": "\ud800\ud800"}"#, 20),
  ])
  func `what RFC 8259 forbids is refused at its column`(line: String, column: Int) throws {
    let error = try #require(failure(folder.file("a.jsonl", line)))
    #expect(error.description.contains("malformed JSON"), "\(error)")
    #expect(error.description.contains("at column \(column)"), "\(error)")
  }

  @Test func `a field that occurs twice is ambiguous`() throws {
    let path = try folder.file("a.jsonl", #"{"id": 1, "text": "a", "text": "b"}"#)
    #expect(failure(path)?.description.contains("field \"text\" occurs twice") == true)
    let other = try folder.file("b.jsonl", #"{"id": 1, "text": "a", "x": 1, "x": 2}"#)
    #expect(try read(other).count == 1)
  }

  @Test func `fields that are not used are skipped, whatever they hold`() throws {
    let nested = String(repeating: "[", count: 200) + String(repeating: "]", count: 200)
    let path = try folder.file(
      "a.jsonl",
      #"{"x": -0.5E+3, "y": {"a": [true, false, null, {}, [], "\u00e9"]}, "z": "#
        + nested + #", "\u0069d": 12345678901234567890123, "text": "t"} "#)
    #expect(try read(path) == [Passage(id: "12345678901234567890123", text: "t")])
  }

  @Test func `skipped lines are counted by reason`() throws {
    var bytes = Array("{\"id\": 1, \"text\": \"a\"}\n{\"id\": 2}\n{\"text\": \"\"}\n{\n".utf8)
    bytes += [0x7B, 0xFF, 0x0A] + Array("{\"id\": 3}\n{\"id\": 4, \"text\": \" \"}".utf8)
    let path = try folder.file("a.jsonl", bytes)
    let reader = try CorpusReader(path: path, skipBadLines: true)
    #expect(try reader.next() == Passage(id: "1", text: "a"))
    #expect(reader.lineNumber == 1)
    #expect(try reader.next() == Passage(id: "4", text: ""))
    #expect(reader.lineNumber == 7)
    #expect(try reader.next() == nil)
    #expect(reader.badLines == 5)
    #expect(reader.emptyTexts == 1)
    #expect(
      reader.badLineReport == [
        "2 lines: missing field \"text\" (first: \(path):2)",
        "1 line: missing field \"id\" (first: \(path):3)",
        "1 line: malformed JSON (first: \(path):4)",
        "1 line: invalid UTF-8 (first: \(path):5)",
      ])
  }

  @Test func `progress ends at the size of the stored file`() throws {
    let text = (0..<5000).map { "\($0)\tpassage number \($0)\n" }.joined()
    let path = try folder.file("a.tsv.gz", gzip(Array(text.utf8)))
    let reader = try CorpusReader(path: path)
    #expect(reader.totalBytes == (try FileSystem.size(of: path)))
    while try reader.next() != nil {}
    #expect(reader.bytesRead == reader.totalBytes)
  }

  @Test func `an empty corpus has no passages`() throws {
    #expect(try read(folder.file("a.tsv", "")) == [])
    #expect(try read(folder.file("b.jsonl", "\n")) == [])
    #expect(try read(folder.file("c", "")) == [])
  }

  @Test func `candidates keep or drop their texts`() throws {
    let path = try folder.file("top1000.tsv", "q1\tp1\ta query\ta passage\nq1\tp2\tx\n")
    let reader = try CandidateReader(path: path, skipBadLines: true)
    #expect(
      try reader.next()
        == Candidate(queryID: "q1", passageID: "p1", query: "a query", passage: "a passage"))
    #expect(try reader.next() == nil)
    #expect(reader.badLines == 1)
    let bare = try CandidateReader(path: path, dropTexts: true)
    #expect(
      try bare.next() == Candidate(queryID: "q1", passageID: "p1", query: "", passage: ""))
    let error = #expect(throws: RetortError.self) { try bare.next() }
    #expect(error?.description.contains(":2: wrong number of columns") == true)
  }

  @Test(
    .enabled(if: dataFolder != nil, "set RETORT_DATA to the folder with data/"),
    arguments: [
      ("nfcorpus", 3633, 3237), ("cranfield", 1400, 225), ("medquad", 16407, 16407),
      ("msmarco-dl19", 16999, 43),
    ])
  func `real collections are read whole`(name: String, passages: Int, queries: Int) throws {
    let path = try #require(dataFolder) + "/" + name
    let reader = try CorpusReader(path: path)
    var count = 0
    while let passage = try reader.next() {
      count += 1
      #expect(!passage.id.isEmpty)
    }
    #expect(count == passages)
    #expect(reader.badLines == 0)
    #expect(try readQueries(path: path).count == queries)
  }

  @Test(.enabled(if: dataFolder != nil, "set RETORT_DATA to the folder with data/"))
  func `our JSON scanner reads what Foundation reads`() throws {
    struct Line: Decodable {
      var _id: String
      var title: String?
      var text: String
    }
    for name in ["nfcorpus", "squad-train"] {
      let path = try #require(dataFolder) + "/\(name)"
      let lines = try FileSystem.read(path + "/corpus.jsonl").split(separator: 10)
      let start = threadSeconds()
      let passages = try read(path)
      print("\(name): \(passages.count) passages in \(threadSeconds() - start) s")
      #expect(passages.count == lines.count)
      for (line, passage) in zip(lines, passages) {
        let expected = try JSONDecoder().decode(Line.self, from: Data(line))
        let text = ((expected.title ?? "") + " " + expected.text)
        #expect(passage.id == expected._id)
        #expect(passage.text == text.trimmingCharacters(in: .whitespacesAndNewlines))
      }
    }
  }
}
