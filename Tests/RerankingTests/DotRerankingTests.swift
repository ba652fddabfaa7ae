import Foundation
import Models
import Platform
import Reranking
import TestSupport
import Testing

/// BERT_DOT over the candidates of another system.
@Suite struct DotRerankingTests {
  private let fixture: RerankFixture
  private var path: String { fixture.folder.path }

  init() throws {
    fixture = try RerankFixture()
    try TinyEncoder.write(to: path + "/encoder")
  }

  @Test(arguments: [EncoderPrecision.f32, .int8])
  func `candidates come in the order of their inner products`(precision: EncoderPrecision) throws {
    let result = try CLIRunner.run([
      "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--corpus",
      path + "/corpus.tsv", "--model", "dot:" + path + "/encoder", "--precision",
      precision.rawValue, "-o", path + "/out",
    ])
    #expect(result.exitCode == 0, "\(result)")
    var options = EncoderOptions()
    options.precision = precision
    let encoder = try TextEncoder(directory: path + "/encoder", options: options)
    let lines = try fixture.lines("out")
    for (number, query) in fixture.queries.enumerated() {
      let candidates = (0..<12).map { fixture.candidate(number, $0) }
      let question = try encoder.encode(texts: [query.text], threads: 1)
      let scores = try candidates.map { candidate in
        zip(question, try encoder.encode(texts: [candidate.text], threads: 1))
          .reduce(Float(0)) { $0 + $1.0 * $1.1 }
      }
      let found = lines[number * 12..<number * 12 + 12].map { Float($0[4]) ?? .nan }
      for (score, expected) in zip(found, scores.sorted(by: >)) {
        #expect(abs(score - expected) <= 1e-4 * max(1, abs(expected)))
      }
    }
  }

  @Test func `few tokens, no passages and no words are no trouble`() throws {
    var options = RerankerOptions()
    options.maxLength = 4
    let name = try RerankerName("dot:" + path + "/encoder")
    let model = try name.load(options)
    #expect(try model.rerank(query: "gold", passages: [], threads: 1) == .init(scores: []))
    let some = try model.rerank(query: "", passages: ["", "gold and water and iron"], threads: 2)
    #expect(some.scores.count == 2 && some.scores.allSatisfy(\.isFinite) && some.truncated == 1)
    let why = try model.explain(query: "gold", passage: "A river. Iron.", threads: 1)
    #expect(why?.model == .dot && why?.sentences?.count == 2)
  }
}
