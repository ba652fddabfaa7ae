import Formats
import Platform
import Testing

@Suite struct QrelsRunTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func grades(_ qrels: Qrels, _ query: String) -> [String] {
    (qrels.judgements(for: query) ?? []).map { "\($0.document)=\($0.grade)" }
  }

  @Test func `qrels in each layout`() throws {
    for text in [
      "q1 0 d1 2\nq2\t0\td1\t-1\n  q1 Q0  d2 0 \r\n\n", "q1\td1\t2\nq2\td1\t-1\nq1\td2\t0\n",
      "query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td1\t-1\nq1\td2\t0\n",
    ] {
      let qrels = try Qrels(path: folder.file("qrels", text))
      #expect(qrels.queryIDs == ["q1", "q2"])
      #expect(grades(qrels, "q1") == ["d1=2", "d2=0"])
      #expect(grades(qrels, "q2") == ["d1=-1"])
      #expect(qrels.judgements(for: "q3") == nil)
      #expect(qrels.count == 3)
    }
  }

  @Test(arguments: [
    ("q1 0 d1 2\nq1 0 d2\n", 2, "3 columns"), ("q1 0 d1 2\nq1 0 d2 1 x\n", 2, "5 columns"),
    ("q1 d1\n", 1, "2 columns"), ("q1 0 d1 two\n", 1, "\"two\" is not an integer"),
    ("q1 0 d1 1.5\n", 1, "not an integer"), ("q1 0 d1 99999999999\n", 1, "not an integer"),
    ("q1 0 d1 99999999999999999999999\n", 1, "not an integer"),
    ("q1 0 d1 -\n", 1, "not an integer"),
    ("qid\tdocid\tgrade\nq1\td1\t1\n", 1, "\"grade\" is not an integer"),
    ("query-id\tcorpus-id\tscore\nq1\td1\n", 2, "2 columns"),
    ("q1\td1\t1\nq1\t\t1\n", 2, "columns"),
    (
      "q1 0 d1 1\nq2 0 d1 1\nq1 0 d1 0\n", 3,
      "\"d1\" is listed twice for query \"q1\" (first in line 1)"
    ),
    ("q1 0 d\0 1\n", 1, "NUL"),
  ])
  func `broken qrels name line and reason`(text: String, line: Int, reason: String) throws {
    let path = try folder.file("qrels", text)
    let error = try #require(throws: RetortError.self) { try Qrels(path: path) }
    #expect(error.code == .badData)
    #expect(error.description.hasPrefix("\(path):\(line): "), "\(error)")
    #expect(error.description.contains(reason), "\(error)")
  }

  @Test func `empty qrels and runs say so`() throws {
    for text in ["", "\n\n", "query-id\tcorpus-id\tscore\n"] {
      let error = #expect(throws: RetortError.self) {
        try Qrels(path: folder.file("qrels", text))
      }
      #expect(error?.description.contains("holds no judgements") == true)
    }
    let error = #expect(throws: RetortError.self) { try Run(path: folder.file("run", "\n")) }
    #expect(error?.description.contains("holds no hits") == true)
  }

  @Test func `TREC runs with mixed queries and junk behind the tag`() throws {
    let text = "q1\tQ0\td1\t104\t  2.129133\ttag\nq2 Q0 d1 1 -1e-3 tag more junk\n\nq1 0 d0 x 3 t\n"
    let run = try Run(path: folder.file("run", text))
    #expect(run.order == .byScore)
    #expect(run.queryIDs == ["q1", "q2"])
    #expect(run.hits(for: "q1")?.map(\.document) == ["d1", "d0"])
    #expect(run.hits(for: "q1")?.map(\.value) == [2.129133, 3])
    #expect(run.hits(for: "q2")?.map(\.value) == [-0.001])
    #expect(run.hits(for: "q3") == nil)
  }

  @Test func `MS MARCO runs keep the rank column`() throws {
    let run = try Run(path: folder.file("run", "1\tb\t2\n1\ta\t1\n2\tb\t7\n"))
    #expect(run.order == .byRank)
    #expect(run.hits(for: "1")?.map(\.value) == [2, 1])
    #expect(run.hits(for: "2")?.map(\.value) == [7])
  }

  @Test(arguments: [
    ("q Q0 d 1 1.0\n", "5 columns"), ("q d 1\nq Q0 d 1 1.0 t\n", "6 columns"),
    ("q Q0 a 1 1 t\nq d 1\n", "3 columns"), ("q Q0 d 1 nan t\n", "\"nan\" is not finite"),
    ("q Q0 d 1 -inf t\n", "not finite"), ("q Q0 d 1 1e999 t\n", "not finite"),
    ("q Q0 d 1 high t\n", "\"high\" is not a number"), ("q Q0 d 1 1.2.3 t\n", "not a number"),
    ("q Q0 d 1 1e t\n", "not a number"),
    (
      "q Q0 d 1 2 t\nr Q0 d 1 2 t\nq Q0 d 2 1 t\n",
      "\"d\" is listed twice for query \"q\" (first in line 1)"
    ),
    ("q d 0\n", "rank \"0\""), ("q d 0.5\n", "runs with scores need TREC's six columns"),
    ("q a 1\nq b 1\n", "\"a\" and \"b\" of query \"q\" both have rank 1"),
    ("q Q0 d\0 1 2 t\n", "NUL"),
  ])
  func `broken runs say why`(text: String, reason: String) throws {
    let path = try folder.file("run", text)
    let error = try #require(throws: RetortError.self) { try Run(path: path) }
    #expect(error.code == .badData)
    #expect(error.description.hasPrefix(path), "\(error)")
    #expect(error.description.contains(reason), "\(error)")
  }

  @Test func `scores are read to the last bit`() throws {
    var numbers = [
      "0", "-0", "1", "-7", "+3", ".5", "-.25", "5.", "007.50", "0.1", "123456789012345",
      "1234567890123456", "0.123456789012345", "0.1234567890123456789", "9007199254740993",
      "-1e-3", "2.5E+10", "4.9e-324", "1.7976931348623157e308", "0.000000000000001",
      "99999999999999.9", "0.30000000000000004",
    ]
    let seed = UInt64.random(in: 0..<1 << 40)
    var state = seed
    for _ in 0..<2000 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let places = Int(state >> 60)
      let value = Double(Int64(bitPattern: state) >> (places * 3 + 11)) / pow(10, Double(places))
      numbers.append("\(value)")
    }
    let text = numbers.enumerated().map { "q Q0 d\($0) 1 \($1) t\n" }.joined()
    let read = try Run(path: folder.file("run", text)).hits(for: "q")?.map(\.value) ?? []
    #expect(read.count == numbers.count)
    for (number, value) in zip(numbers, read) {
      #expect(strtod(number, nil).bitPattern == value.bitPattern, "seed \(seed): \(number)")
    }
    for broken in [".", "-", "-.", "+", "1-2", "--1", "1..2", "e5", "0x10"] {
      #expect(throws: RetortError.self) {
        try Run(path: folder.file("run", "q Q0 d 1 \(broken) t"))
      }
    }
  }

  @Test func `long ids that share eight bytes are different documents`() throws {
    let text = "q Q0 CR93E-10279 1 2 t\nq Q0 CR93E-10270 2 1 t\nq Q0 CR93E-10 3 0.5 t\n"
    #expect(try Run(path: folder.file("run", text)).count == 3)
  }

  @Test func `a run of MS MARCO's size is read in seconds`() throws {
    var text: [UInt8] = []
    for query in 0..<700 {
      for rank in 1...1000 {
        text += "\(query * 7) Q0 \(rank &* 8837 &+ query) \(rank) \(1000 - rank).123456 tag\n".utf8
      }
    }
    let path = try folder.file("run", text)
    let start = threadSeconds()
    let run = try Run(path: path)
    let seconds = threadSeconds() - start
    #expect(run.count == 700_000)
    // A tenth of dev.small, which must take less than 5 s; processor time, whatever else runs.
    print("700,000 hits: \(seconds) s")
    #expect(seconds < 1)
  }
}
