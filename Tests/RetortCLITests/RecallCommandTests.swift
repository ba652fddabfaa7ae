import Foundation
import Platform
import TestSupport
import Testing

@Suite struct RecallCommandTests {
  private let fixture: CLIFixture
  private let folder: TemporaryFolder
  private let topics: String

  init() throws {
    fixture = try CLIFixture.shared.get()
    folder = try TemporaryFolder("recall")
    let queries = fixture.corpus.passages.prefix(40).enumerated().map { "q\($0)\t\($1.text)\n" }
    topics = try folder.file("queries.tsv", queries.joined())
  }

  private struct Report: Decodable {
    struct Point: Decodable {
      var efSearch: Int
      var recall10, scoreRecall10, queriesPerSecond, scoredPerQuery, rescoredPerQuery: Double
      var recall100: Double?
    }
    var passages, queries, threads: Int
    var exactQueriesPerSecond: Double
    var points: [Point]
  }

  @Test func `recall is 1 where every passage is a candidate, and the curve is drawn`() throws {
    let svg = folder.path + "/recall.svg"
    let result = try CLIRunner.run([
      "recall", fixture.index, "--topics", topics, "--ef-search", "1,400", "--json", "--svg", svg,
      "--threads", "2", "--queries", "30",
    ])
    #expect(result.exitCode == 0, "\(result)")
    let report = try JSONDecoder().decode(Report.self, from: Data(result.standardOutput.utf8))
    #expect(report.passages == 400 && report.queries == 30 && report.threads == 2)
    // A walk keeps as many candidates as it returns, at least ten here.
    #expect(report.points.map(\.efSearch) == [10, 400])
    #expect(report.points[1].recall10 == 1 && report.points[1].recall100 == 1)
    #expect(report.points[1].scoreRecall10 == 1)
    #expect(report.points[0].recall100 == nil)
    #expect(report.points[0].recall10 > 0.3 && report.points[0].recall10 <= 1)
    #expect(report.points[0].scoredPerQuery < report.points[1].scoredPerQuery)
    #expect(report.points[1].scoredPerQuery >= 400)
    #expect(report.points.allSatisfy { $0.queriesPerSecond > 0 })
    let chart = String(decoding: try FileSystem.read(svg), as: UTF8.self)
    #expect(chart.hasPrefix("<svg") || chart.hasPrefix("<?xml"))
    #expect(chart.contains("recall@10") && chart.contains("</svg>"))
    #expect(XMLCheck.isWellFormed(chart))
  }

  @Test func `without --json a table is printed`() throws {
    let result = try CLIRunner.run([
      "recall", fixture.index, "--topics", topics, "--ef-search", "400",
    ])
    let lines = result.standardOutput.split(separator: "\n")
    #expect(lines.count == 3)
    #expect(lines.first == "efSearch\trecall@10\trecall@100\tqueries/s\tscored\trescored")
    #expect(lines.dropFirst().first?.hasPrefix("400\t1.0000\t1.0000\t") == true)
    #expect(lines.last?.hasPrefix("exact\t1.0000\t1.0000\t") == true)
  }

  @Test func `mistakes are usage errors, missing files missing input`() throws {
    for values in ["0", "-1", "ten", "10,,x", ""] {
      let result = try CLIRunner.run([
        "recall", fixture.index, "--topics", topics, "--ef-search=\(values)",
      ])
      #expect(result.exitCode == 64, "\(values): \(result)")
    }
    #expect(
      try CLIRunner.run(["recall", fixture.index, "--topics", folder.path + "/none"]).exitCode == 66
    )
    #expect(
      try CLIRunner.run(["recall", folder.path + "/none", "--topics", topics]).exitCode == 66)
  }
}

/// Just enough of XML: tags close in the order they were opened.
enum XMLCheck {
  static func isWellFormed(_ text: String) -> Bool {
    var open: [Substring] = []
    for part in text.split(separator: "<").dropFirst(text.hasPrefix("<") ? 0 : 1) {
      guard let end = part.firstIndex(of: ">") else { return false }
      let tag = part[..<end]
      if tag.hasPrefix("?") || tag.hasPrefix("!") || tag.hasSuffix("/") { continue }
      let name = tag.prefix { !$0.isWhitespace }
      if name.hasPrefix("/") {
        guard open.popLast() == name.dropFirst() else { return false }
      } else {
        open.append(name)
      }
    }
    return open.isEmpty
  }
}
