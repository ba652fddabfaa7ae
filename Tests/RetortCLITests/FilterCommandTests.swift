import Foundation
import Platform
import Retrieval
import TestSupport
import Testing

@Suite struct FilterCommandTests {
  private let fixture: CLIFixture
  private let folder: TemporaryFolder
  private var index: String { folder.path + "/index" }

  init() throws {
    fixture = try CLIFixture.shared.get()
    folder = try TemporaryFolder("filter")
    let languages = ["de", "en", "fr"]
    let lines = fixture.corpus.passages.enumerated().map { place, passage in
      "{\"_id\": \"\(passage.id)\", \"text\": \"\(passage.text)\", \"year\": \(1900 + place), "
        + "\"lang\": \"\(languages[place % 3])\", \"meta\": {\"tags\": [\"all\", \"t\(place % 7)\"]}}\n"
    }
    let corpus = try folder.file("corpus.jsonl", lines.joined())
    let built = try fixture.build(corpus, to: index)
    #expect(built.exitCode == 0, "\(built)")
  }

  private func search(_ arguments: String..., input: String = "") throws -> CLIResult {
    try CLIRunner.run(["search", index] + arguments, input: Array(input.utf8))
  }

  private func ids(_ result: CLIResult) -> [String] {
    result.standardOutput.split(separator: "\n").compactMap {
      $0.split(separator: " ").dropFirst(2).first.map(String.init)
    }
  }

  @Test func `only passages that pass are found, and the answer says how`() throws {
    let passages = fixture.corpus.passages
    let result = try search(
      "water", "--filter", "lang = 'en' and year < 1960 and meta.tags in ('t1', 't2')", "-k",
      "1000",
      "--output-format", "trec")
    #expect(result.exitCode == 0, "\(result)")
    let expected = passages.indices.filter { $0 % 3 == 1 && $0 < 60 && [1, 2].contains($0 % 7) }
    #expect(Set(ids(result)) == Set(expected.map { passages[$0].id }))
    #expect(
      result.standardError.contains(
        "filter: \(expected.count) of 400 passages, found by scans of the matches"), "\(result)")
    let walked = try search("water", "--filter", "year >= 1900", "--ef-search", "10")
    #expect(walked.standardError.contains("filter: 400 of 400 passages, found by graph walks"))
    let exact = try search("water", "--filter", "year >= 1900", "--exact")
    #expect(exact.standardError.contains("found by an exact scan"))
    let none = try search("water", "--filter", "year > 3000", "--output-format", "trec")
    #expect(none.exitCode == 0 && none.standardOutput == "")

    let file = try folder.file("ids", "\(passages[5].id)\n\(passages[8].id)\nnobody\n")
    let listed = try search("water", "--filter-ids", file, "--output-format", "trec")
    #expect(Set(ids(listed)) == [passages[5].id, passages[8].id])
    let both = try search(
      "water", "--filter-ids", file, "--filter", "year = 1908", "--output-format", "trec")
    #expect(ids(both) == [passages[8].id])
  }

  @Test func `mistakes in a filter name the column, the field, the file`() throws {
    let column = try search("water", "--filter", "lang = en")
    #expect(column.exitCode == 64 && column.standardOutput == "")
    #expect(
      column.standardError.hasPrefix("retort: error: the filter, column 8: expected a value"),
      "\(column)")
    let field = try search("water", "--filter", "language = 'en'")
    #expect(field.exitCode == 64)
    #expect(field.standardError.contains("there are \"lang\", \"meta.tags\", \"year\""), "\(field)")
    #expect(try search("water", "--filter-ids", folder.path + "/none").exitCode == 66)
  }

  @Test func `a prompt takes filters, too`() throws {
    let result = try search(
      "--quiet", input: ":filter lang = 'fr' and year <= 1904\nwater\n:filter\nwater\n")
    #expect(result.exitCode == 0, "\(result)")
    #expect(result.standardError.contains("filter: 1 of 400 passages pass"))
    #expect(result.standardError.contains("filter: off"))
    #expect(result.standardOutput.contains(fixture.corpus.passages[2].id))
  }

  @Test func `the fields that are kept are named, and may be chosen`() throws {
    let info = try CLIRunner.run(["index", "info", index])
    #expect(info.standardOutput.contains("  fields:     lang, meta.tags, year\n"), "\(info)")
    for (choice, line) in [("year,meta.tags", "  fields:     meta.tags, year\n"), ("none", "")] {
      let built = try fixture.build(
        folder.path + "/corpus.jsonl", to: index, "--overwrite", "--fields", choice)
      #expect(built.exitCode == 0)
      let info = try CLIRunner.run(["index", "info", index]).standardOutput
      #expect(line.isEmpty ? !info.contains("fields:") : info.contains(line), "\(info)")
      #expect(try CLIRunner.run(["index", "verify", index]).exitCode == 0)
    }
    // An addition keeps what the build kept.
    let more = try folder.file("more.jsonl", "{\"id\": \"n\", \"text\": \"x\", \"year\": 1}\n")
    #expect(try CLIRunner.run(["index", "add", index, "--corpus", more, "--quiet"]).exitCode == 0)
    #expect(try PassageIndex(path: index).fields == [])
  }
}
