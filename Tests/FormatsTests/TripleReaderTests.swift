import Formats
import Platform
import Testing

@Suite struct TripleReaderTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func read(
    _ content: String, _ layout: TripleReader.Layout, skipBadLines: Bool = false
  ) throws(RetortError) -> [Triple] {
    let path: String
    do { path = try folder.file("t.tsv", content) } catch {
      throw RetortError(.io, "cannot write the test's file", cause: error)
    }
    let reader = try TripleReader(path: path, layout: layout, skipBadLines: skipBadLines)
    var triples: [Triple] = []
    while let triple = try reader.next() { triples.append(triple) }
    return triples
  }

  @Test func `triples of ids or texts, with and without scores`() throws {
    #expect(
      try read("q1\t7\t9\na b\tc d\te\n", .triples) == [
        Triple(query: "q1", positive: "7", negative: "9"),
        Triple(query: "a b", positive: "c d", negative: "e"),
      ])
    #expect(
      try read("12.5\t-3e-1\tq\tp\tn\n", .teacherScores) == [
        Triple(
          query: "q", positive: "p", negative: "n",
          scores: .init(positive: 12.5, negative: -0.3))
      ])
  }

  @Test(arguments: [
    ("1\t2\tq\tp\n", "wrong number of columns"), ("1\t2\tq\tp\tn\tx\n", "wrong number of columns"),
    ("1\t2\ta\t\tn\n", "empty positive passage"), ("nan\t2\tq\tp\tn\n", "no finite number"),
    ("1\tinf\tq\tp\tn\n", "no finite number"), ("1\t1e999\tq\tp\tn\n", "no finite number"),
    ("1\t2\tq\tp\tp\n", "negative one, too"), ("1\t2\tq\tp\t\u{0}n\n", "NUL"),
  ])
  func `a bad line names the file, the line and the reason`(line: String, reason: String) throws {
    let good = "1\t0\tq\tp\tn\n"
    let error = #expect(throws: RetortError.self) { try read(good + line, .teacherScores) }
    #expect(error?.exitCode == 65)
    #expect(error?.description.contains("t.tsv:2: ") == true)
    #expect(error?.description.contains(reason) == true)
    #expect(try read(good + line + good, .teacherScores, skipBadLines: true).count == 2)
  }
}
