import Models
import Platform
import Reranking
import TestSupport
import Testing

/// PreTTR behind the commands.
@Suite struct PreTTRRerankingTests {
  private let fixture: RerankFixture
  private var path: String { fixture.folder.path }

  init() throws {
    fixture = try RerankFixture()
    try fixture.writePreTTR(to: "prettr", compression: 8)
  }

  private func rerank(_ model: String, _ more: String...) throws -> CLIResult {
    try CLIRunner.run(
      [
        "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--corpus",
        path + "/corpus.tsv", "--model", model, "-o", path + "/out", "--overwrite",
        "--precision", "f32",
      ] + more)
  }

  @Test func `candidates come in PreTTR's order, and scores by what was kept are the same`() throws
  {
    let result = try rerank("prettr:" + path + "/prettr")
    #expect(result.exitCode == 0, "\(result)")
    let lines = try fixture.lines("out")
    let model: any TermReranker = try PreTTR(directory: path + "/prettr")
    for (number, query) in fixture.queries.enumerated() {
      let candidates = (0..<12).map { fixture.candidate(number, $0) }
      let texts = candidates.map(\.text)
      let scores = try model.rerank(query: query.text, passages: texts, threads: 1).scores
      let terms = try model.terms(of: texts, threads: 2)
      #expect(terms.values.count == terms.offsets[12] * 8 && model.termDimension == 8)
      let stored = try model.rerank(query: query.text, terms: terms, threads: 2).scores
      #expect(zip(scores, stored).allSatisfy { abs($0 - $1) <= 1e-4 })
      let expected = zip(candidates, scores).sorted { $0.1 > $1.1 }.map(\.0.id)
      #expect(lines[number * 12..<number * 12 + 12].map { $0[2] } == expected)
    }
    let explained = try model.explain(
      query: "gold", passage: "A river. Gold and iron.", threads: 1)
    #expect(explained?.model == .prettr && explained?.sentences?.count == 2)
  }

  @Test func `its other spelling names it, and other folders are refused`() throws {
    #expect(try rerank("pretr:" + path + "/prettr", "--max-length", "9").exitCode == 0)
    let wrong: [(name: String, reason: String)] = [
      ("prettr:" + fixture.model, "is a cross-encoder (BERT_CAT), not a PreTTR"),
      ("cat:" + path + "/prettr", "is a PreTTR, not a cross-encoder"),
    ]
    for (name, reason) in wrong {
      let result = try rerank(name)
      #expect(result.exitCode != 0 && result.standardError.contains(reason), "\(result)")
    }
  }
}
