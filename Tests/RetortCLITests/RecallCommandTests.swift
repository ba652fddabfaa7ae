import CommandSupport
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

  @Test func `queries that are left out or cut are reported`() throws {
    let long = String(repeating: "water ", count: 100)
    let short = TinyEncoder.words
    let queries = (0..<1234).map { number in
      "q\(number)\t\(number % 500 == 0 ? long : short[number % short.count])\n"
    }
    let many = try folder.file("many.tsv", queries.joined())
    let recall = ["recall", fixture.index, "--topics", many, "--ef-search", "10", "--json"]
    let first = try CLIRunner.run(recall)
    #expect(first.exitCode == 0, "\(first)")
    let report = try JSONDecoder().decode(Report.self, from: Data(first.standardOutput.utf8))
    #expect(report.queries == 1000)
    #expect(first.standardError.contains("using 1,000 of 1,234 queries\n"), "\(first)")
    // Numbers 0 and 500; number 1,000 is not used.
    let cut = "warning: 2 queries were longer than the model takes; their ends were cut\n"
    #expect(first.standardError.contains(cut), "\(first)")
    let searched = try CLIRunner.run([
      "search", fixture.index, "--topics", many, "--output", folder.path + "/run", "--quiet",
      "--hits", "1",
    ])
    #expect(
      searched.standardError == cut.replacingOccurrences(of: "2 queries", with: "3 queries"))

    let one = try CLIRunner.run(recall + ["--queries", "1"])
    #expect(one.standardError.contains("using 1 of 1,234 queries\n"), "\(one)")
    #expect(
      one.standardError.contains(
        "warning: 1 query was longer than the model takes; its end was cut\n"), "\(one)")
    let few = try folder.file("few.tsv", "a\twater\nb\tgold and stone\n")
    let all = try CLIRunner.run([
      "recall", fixture.index, "--topics", few, "--ef-search", "10", "--queries", "2",
    ])
    #expect(all.exitCode == 0, "\(all)")
    #expect(!all.standardError.contains("using ") && !all.standardError.contains("warning"))
  }

  @Test func `thousands are set apart by commas`() {
    let numbers: [(count: Int, text: String)] = [
      (0, "0"), (999, "999"), (1000, "1,000"), (12_345, "12,345"), (999_999, "999,999"),
      (1_234_567, "1,234,567"), (-100, "-100"), (-1000, "-1,000"),
    ]
    for (count, text) in numbers { #expect(grouped(count) == text) }
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
