import Formats
import Platform
import Testing

@Suite struct QueryReaderTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test func `topics as tsv, gzip, JSON lines and BEIR folder`() throws {
    let expected = [Query(id: "2", text: " Androgen receptor define"), Query(id: "x", text: "y")]
    let tsv = "2\t Androgen receptor define\nx\ty\n"
    #expect(try readQueries(path: folder.file("t.tsv", tsv)) == expected)
    #expect(try readQueries(path: folder.file("t.tsv.gz", gzip(Array(tsv.utf8)))) == expected)
    _ = try folder.file("queries.jsonl", #"{"_id": "x", "text": "y", "metadata": {"url": "z"}}"#)
    #expect(try readQueries(path: folder.path) == [expected[1]])
  }

  @Test func `a repeated id names both lines`() throws {
    let path = try folder.file("t.tsv", "1\ta\n2\tb\n1\tc\n")
    let error = #expect(throws: RetortError.self) { try readQueries(path: path) }
    #expect(
      error?.description.hasPrefix("\(path):3: query id \"1\" was already used in line 1") == true)
  }

  @Test func `ids that differ only in Unicode normalisation are different`() throws {
    let path = try folder.file("t.tsv", "caf\u{E9}\ta\ncafe\u{301}\tb\n")
    #expect(try readQueries(path: path).count == 2)
  }

  @Test func `a file without queries says so`() throws {
    let empty = #expect(throws: RetortError.self) {
      try readQueries(path: folder.file("t.tsv", ""))
    }
    #expect(empty?.description.contains("is empty") == true)
    let bad = #expect(throws: RetortError.self) {
      try readQueries(path: folder.file("u.tsv", "a\nb\n"), skipBadLines: true)
    }
    #expect(bad?.description.contains("no usable query (2 bad lines)") == true)
  }

  @Test func `skipped lines and empty texts are reported`() throws {
    let path = try folder.file("t.tsv", "1\ta\nbad\n2\t\n")
    var reports: [String] = []
    let queries = try readQueries(path: path, skipBadLines: true) { reports.append($0) }
    #expect(queries.map(\.id) == ["1", "2"])
    #expect(
      reports == [
        "skipped 1 line: wrong number of columns (first: \(path):2)", "1 query has an empty text",
      ])
  }

  @Test(.enabled(if: dataFolder != nil, "set RETORT_DATA to the folder with data/"))
  func `the official MS MARCO topics and qrels are read`() throws {
    let ids = try #require(dataFolder) + "/msmarco-ids"
    let topics = try readQueries(path: ids + "/topics.msmarco-passage.dev-subset.txt")
    #expect(topics.count == 6980)
    #expect(topics[1] == Query(id: "2", text: " Androgen receptor define"))
    let qrels = try Qrels(path: ids + "/qrels.msmarco-passage.dev-subset.txt")
    #expect(qrels.queryIDs.count == 6980)
    #expect(qrels.count == 7437)
    let graded = try Qrels(path: ids + "/qrels.dl19-passage.txt")
    #expect(graded.queryIDs.count == 43)
    #expect(graded.count == 9260)
  }
}
