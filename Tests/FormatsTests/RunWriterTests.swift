import Formats
import Foundation
import Platform
import Testing

@Suite struct RunWriterTests {
  let folder: TemporaryFolder
  let query = Query(id: "q1", text: "a \"quoted\"\tquery \u{1}")

  init() throws { folder = try TemporaryFolder() }

  private func write(
    _ format: RunFormat, _ hits: [(id: String, score: Float)], query: Query? = nil
  ) throws -> String {
    let path = folder.path + "/out"
    let writer = try RunWriter(path: path, format: format, tag: "t")
    try writer.write(query: query ?? self.query, hits: hits)
    try writer.finish()
    return String(decoding: try FileSystem.read(path), as: UTF8.self)
  }

  @Test func `TREC scores read back the same and strictly decrease`() throws {
    let scores: [Float] = [1e10, 16_777_216, 0.1, 0.1, 0.1, 0, 0, -0.0, -1e-30, -3.4e38]
    let hits = scores.enumerated().map { (id: "d\($0.offset)", score: $0.element) }
    let text = try write(.trec, hits)
    let run = try Run(path: folder.path + "/out")
    #expect(run.hits(for: "q1")?.map(\.document) == hits.map(\.id))
    let back = run.hits(for: "q1")?.map { Float($0.value) } ?? []
    for (one, other) in zip(back, back.dropFirst()) { #expect(one > other) }
    for index in [0, 1, 2, 8, 9] { #expect(back[index] == scores[index]) }
    #expect(back[3] == Float(0.1).nextDown)
    #expect(back[4] == Float(0.1).nextDown.nextDown)
    #expect(back[5] == 0)
    #expect(text.hasPrefix("q1 Q0 d0 1 1e+10 t\n"))
  }

  @Test func `MS MARCO runs number the hits`() throws {
    #expect(try write(.msmarco, [("b", 2), ("a", 2)]) == "q1\tb\t1\nq1\ta\t2\n")
  }

  @Test func `JSON lines hold ids as they are`() throws {
    let text = try write(.jsonl, [("a b\\", 1.5), ("é", -1e-7)])
    let object = try #require(
      JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    #expect(object["query_id"] as? String == "q1")
    #expect(object["query"] as? String == query.text)
    let hits = try #require(object["hits"] as? [[String: Any]])
    #expect(hits.map { $0["id"] as? String } == ["a b\\", "é"])
    #expect(hits.map { $0["rank"] as? Int } == [1, 2])
    #expect(hits.map { $0["score"] as? Double } == [1.5, Double("-1e-07")])
    #expect(text.utf8.filter { $0 == 10 }.count == 1)
  }

  @Test func `ids that columns cannot hold are errors that name them`() throws {
    for format in [RunFormat.trec, .msmarco] {
      for id in ["a b", "a\tb", "a\n", ""] {
        let error = #expect(throws: RetortError.self) { try write(format, [(id, 1)]) }
        #expect(error?.description.contains("passage id \"\(id)\"") == true)
        #expect(throws: RetortError.self) {
          try write(format, [], query: Query(id: id, text: ""))
        }
      }
    }
  }

  @Test func `scores that are not finite or not in order are errors`() throws {
    for format in RunFormat.allCases {
      for scores: [Float] in [[.nan], [.infinity], [1, -.infinity], [1, 2]] {
        let hits = scores.enumerated().map { (id: "d\($0.offset)", score: $0.element) }
        #expect(throws: RetortError.self) { try write(format, hits) }
      }
    }
    let lowest = -Float.greatestFiniteMagnitude
    #expect(throws: RetortError.self) { try write(.trec, [("a", lowest), ("b", lowest)]) }
  }

  @Test func `nothing is visible before finish and nothing is left after failure`() throws {
    let path = try folder.file("out", "old")
    do {
      let writer = try RunWriter(path: path, format: .trec)
      try writer.write(query: query, hits: [("a", 1)])
      #expect(try FileSystem.read(path) == Array("old".utf8))
    }
    #expect(try FileSystem.read(path) == Array("old".utf8))
    #expect(try FileSystem.names(in: folder.path) == ["out"])
  }

  @Test func `impossible places and tags are refused`() throws {
    #expect(throws: RetortError.self) { try RunWriter(path: folder.path, format: .trec) }
    #expect(throws: RetortError.self) {
      try RunWriter(path: folder.path + "/none/out", format: .trec)
    }
    #expect(throws: RetortError.self) {
      try RunWriter(path: folder.path + "/out", format: .trec, tag: "two words")
    }
  }

  @Test(.enabled(if: FileSystem.kind(of: "/dev/shm") == .folder, "needs /dev/shm"))
  func `a file on the memory disk is a file like any other`() throws {
    let path = "/dev/shm/retort-run-\(UInt64.random(in: 0 ... .max))"
    defer { try? FileSystem.remove(path) }
    for id in ["a", "b"] {
      let writer = try RunWriter(path: path, format: .msmarco, tag: "t")
      try writer.write(query: query, hits: [(id, 1)])
      try writer.finish()
      #expect(try FileSystem.read(path) == Array("q1\t\(id)\t1\n".utf8))
    }
  }

  @Test(.enabled(if: FileSystem.kind(of: "/dev/full") == .other, "needs /dev/full"))
  func `a full device is an error`() throws {
    let writer = try RunWriter(path: "/dev/full", format: .trec)
    try writer.write(query: query, hits: [("a", 1)])
    let error = #expect(throws: RetortError.self) { try writer.finish() }
    #expect(error?.code == .io)
  }
}
