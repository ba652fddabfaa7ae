import Foundation
import Models
import Platform
import Reranking
import TestSupport
import Testing

/// ColBERT behind the commands.
@Suite struct ColBERTRerankingTests {
  private let fixture: RerankFixture
  private var path: String { fixture.folder.path }

  init() throws {
    fixture = try RerankFixture()
    try TinyEncoder.write(to: path + "/colbert", head: .projection)
  }

  private func rerank(_ more: String...) throws -> CLIResult {
    try CLIRunner.run(
      [
        "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--corpus",
        path + "/corpus.tsv", "--model", "colbert:" + path + "/colbert", "--precision", "f32",
      ] + more)
  }

  @Test func `candidates come in ColBERT's order, and it says that they are encoded`() throws {
    let result = try rerank("-o", path + "/out")
    #expect(result.exitCode == 0, "\(result)")
    #expect(result.standardError.contains("candidates are encoded as they are read"))
    let model = try ColBERT(directory: path + "/colbert")
    let lines = try fixture.lines("out")
    for (number, query) in fixture.queries.enumerated() {
      let candidates = (0..<12).map { fixture.candidate(number, $0) }
      let scores = try model.score(
        query: query.text, passages: candidates.map(\.text), threads: 1
      ).scores
      let expected = zip(candidates, scores).sorted { $0.1 > $1.1 }.map(\.0.id)
      #expect(lines[number * 12..<number * 12 + 12].map { $0[2] } == expected)
    }
  }

  @Test func `the placement of masks is an option that changes the scores`() throws {
    let usual = try rerank("-o", "-", "--quiet")
    let fewer = try rerank("-o", "-", "--quiet", "--query-masks", "none")
    #expect(fewer.exitCode == 0 && fewer.standardOutput != usual.standardOutput)
    let same = try rerank("-o", "-", "--quiet", "--query-masks", "fill:32:unattended")
    #expect(same.standardOutput == usual.standardOutput)
    let wrong = try rerank("-o", "-", "--query-masks", "behind:3")
    #expect(wrong.exitCode == 64 && wrong.standardError.contains("says nothing about masks"))
  }

  @Test func `a cascade of ColBERT and a cross-encoder runs behind a search`() throws {
    try TinyEncoder.write(to: path + "/encoder")
    let built = try CLIRunner.run([
      "index", "build", "--corpus", path + "/corpus.tsv", "--model", path + "/encoder", "--output",
      path + "/index", "--quiet",
    ])
    #expect(built.exitCode == 0, "\(built)")
    func ids(_ more: String...) throws -> [String] {
      let result = try CLIRunner.run(
        [
          "search", path + "/index", "water and gold", "-k", "40", "--output-format", "trec",
          "--quiet",
        ] + more)
      #expect(result.exitCode == 0, "\(result)")
      return result.standardOutput.split(separator: "\n").map {
        String($0.split(separator: " ")[2])
      }
    }
    let terms = try ids("--rerank", "colbert:" + path + "/colbert", "--depth", "30")
    let both = try ids(
      "--rerank", "colbert:" + path + "/colbert", "--depth", "30", "--rerank",
      "cat:" + fixture.model, "--depth", "5")
    #expect(Set(both.prefix(5)) == Set(terms.prefix(5)))
    #expect(both.dropFirst(5) == terms.dropFirst(5))
    #expect(both != terms)
  }

  @Test func `one kind of model is not taken for the other`() throws {
    for (name, reason) in [
      ("cat:" + path + "/colbert", "is a ColBERT, not a cross-encoder"),
      ("colbert:" + fixture.model, "is a cross-encoder (BERT_CAT), not a ColBERT"),
    ] {
      let result = try rerank("-o", path + "/out", "--model", name)
      #expect(result.exitCode == 65 && result.standardError.contains(reason), "\(result)")
    }
  }
}
