import Foundation
import Models
import Platform
import Reranking
import TestSupport
import Testing

/// TK behind the commands.
@Suite struct TKRerankingTests {
  private let fixture: RerankFixture
  private var path: String { fixture.folder.path }

  init() throws {
    fixture = try RerankFixture()
    try fixture.writeTK(to: "tk")
  }

  @Test func `candidates come in TK's order, and scores by stored vectors are the same`() throws {
    let result = try CLIRunner.run([
      "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--corpus",
      path + "/corpus.tsv", "--model", "tk:" + path + "/tk", "-o", path + "/out",
    ])
    #expect(result.exitCode == 0, "\(result)")
    let model: any TermReranker = try TK(directory: path + "/tk")
    let lines = try fixture.lines("out")
    for (number, query) in fixture.queries.enumerated() {
      let candidates = (0..<12).map { fixture.candidate(number, $0) }
      let texts = candidates.map(\.text)
      let scores = try model.rerank(query: query.text, passages: texts, threads: 1).scores
      let terms = try model.terms(of: texts, threads: 2)
      #expect(terms.values.count == terms.offsets[12] * model.termDimension)
      let stored = try model.rerank(query: query.text, terms: terms, threads: 2)
      #expect(stored.scores == scores)
      let expected = zip(candidates, scores).sorted { $0.1 > $1.1 }.map(\.0.id)
      #expect(lines[number * 12..<number * 12 + 12].map { $0[2] } == expected)
    }
  }

  @Test func `a search is explained by what every kernel saw`() throws {
    try TinyEncoder.write(to: path + "/encoder")
    let built = try CLIRunner.run([
      "index", "build", "--corpus", path + "/corpus.tsv", "--model", path + "/encoder", "--output",
      path + "/index", "--quiet",
    ])
    #expect(built.exitCode == 0, "\(built)")
    let search = [
      "search", path + "/index", "gold river", "-k", "2", "--rerank", "tk:" + path + "/tk",
      "--depth", "9", "--explain", "--quiet",
    ]
    let text = try CLIRunner.run(search)
    #expect(text.exitCode == 0 && text.standardOutput.contains("cosine     part    gold   river"))
    struct Answer: Decodable {
      struct Hit: Decodable {
        struct Explanation: Decodable {
          var model: String
          var score: Float
          var words: [String]
          var kernels: [KernelShare]
        }
        var score: Float
        var explanation: Explanation
      }
      var hits: [Hit]
    }
    let json = try CLIRunner.run(search + ["--json"])
    let answer = try JSONDecoder().decode(Answer.self, from: Data(json.standardOutput.utf8))
    #expect(answer.hits.count == 2)
    for hit in answer.hits {
      #expect(hit.explanation.model == "tk" && hit.explanation.words == ["gold", "river"])
      #expect(hit.explanation.kernels.count == 11)
      #expect(abs(hit.explanation.score - hit.score) <= 1e-4)
    }
  }

  @Test func `model info describes a TK, and other models are not taken for one`() throws {
    let info = try CLIRunner.run(["model", "info", path + "/tk"])
    #expect(info.exitCode == 0 && info.standardOutput.contains("architecture:  tk, 2 layers"))
    let json = try CLIRunner.run(["model", "info", path + "/tk", "--json"])
    let summary = try JSONDecoder().decode(TKSummary.self, from: Data(json.standardOutput.utf8))
    #expect(summary.hiddenSize == 20 && summary.kernelMeans.count == 11)
    let wrong: [(name: String, reason: String)] = [
      ("tk:" + fixture.model, "is no TK"), ("cat:" + path + "/tk", "is a TK, not a cross-encoder"),
      ("tk", "write cat:MODEL, colbert:MODEL, tk:MODEL"),
    ]
    for (name, reason) in wrong {
      let result = try CLIRunner.run([
        "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--corpus",
        path + "/corpus.tsv", "--model", name, "-o", "-",
      ])
      #expect(result.exitCode != 0 && result.standardError.contains(reason), "\(result)")
    }
  }
}
