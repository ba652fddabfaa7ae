import Foundation
import Indexing
import Models
import Platform
import Reranking
import Retrieval
import TestSupport
import Testing

/// Explanations of scores that came from stored term vectors.
@Suite struct StoredExplanationTests {
  private let fixture: RerankFixture
  private var path: String { fixture.path }
  private var index: String { path + "/index" }

  init() throws {
    fixture = try RerankFixture()
    try fixture.build()
  }

  /// Explains what a cascade of one stage over all passages finds best.
  private func explained(
    _ reranker: any Reranker, _ question: String
  ) throws -> [(score: Float, text: String, explanation: RerankExplanation)] {
    let opened = try PassageIndex(path: index)
    let cascade = try RerankCascade([.init(reranker, depth: 60)])
    let hits = (0..<60).map { SearchHit(number: $0, score: Float(-$0)) }
    let reranked = try cascade.rerank(question, hits, in: opened, threads: 2)
    let best = Array(reranked.hits.prefix(20))
    let explanations = try cascade.explain(question, best, in: opened, threads: 2)
    #expect(explanations.count == 20)
    return try zip(best, explanations).map { hit, explanation in
      (hit.score, try opened.passage(hit.number).text, try #require(explanation))
    }
  }

  @Test(arguments: ["f16", "int8", "residual-1", "residual-2", "residual-4"])
  func `what ColBERT's tokens matched adds up to the score of the stored vectors`(
    codec: String
  ) throws {
    try TinyEncoder.write(to: path + "/colbert", head: .projection)
    let name = "colbert:" + path + "/colbert"
    try fixture.run([
      "index", "add-terms", index, "--terms", name, "--term-codec", codec, "--quiet",
    ])
    let model = try ColBERT(directory: path + "/colbert")
    let question = "gold and water"
    var farthest: Float = 0
    for (score, text, explanation) in try explained(model, question) {
      let terms = try #require(explanation.terms)
      let tokens = try #require(explanation.tokens)
      let sum = terms.reduce(Float(0)) { $0 + $1.score }
      let shares = terms.reduce(Float(0)) { $0 + $1.share }
      #expect(abs(sum - score) <= 1e-4 * abs(score), "\(sum) is not \(score)")
      #expect(abs(explanation.score - score) <= 1e-4 * abs(score))
      #expect(abs(shares - 1) <= 1e-4)
      #expect(terms.count == 32 && tokens.first == "[CLS]" && tokens.last == "[SEP]")
      #expect(terms.allSatisfy { tokens[$0.place] == $0.passage })
      // The vectors of the text give another score, and so would their explanation.
      let fresh = try model.score(query: question, passages: [text], threads: 1).scores[0]
      farthest = max(farthest, abs(fresh - score))
    }
    if codec.hasPrefix("residual") {
      #expect(farthest > 1e-3, "\(codec) is no lossier than the tolerance")
    }
  }

  @Test(arguments: ["f16", "int8", "residual-2"])
  func `the parts of TK's kernels add up to the score of the stored vectors`(
    codec: String
  ) throws {
    try fixture.writeTK(to: "tk")
    let name = "tk:" + path + "/tk"
    try fixture.run([
      "index", "add-terms", index, "--terms", name, "--term-codec", codec, "--quiet",
    ])
    let model = try TK(directory: path + "/tk")
    let question = "gold river stone"
    var changed = 0
    for (score, text, explanation) in try explained(model, question) {
      let kernels = try #require(explanation.kernels)
      let sum = kernels.reduce(Float(0)) { $0 + $1.part }
      #expect(abs(sum - score) <= 1e-4 * max(abs(score), 1), "\(sum) is not \(score)")
      #expect(kernels.count == 11 && explanation.words == ["gold", "river", "stone"])
      #expect(kernels.allSatisfy { $0.counts.count == 3 && $0.part == $0.feature * $0.weight })
      if model.histogram(query: question, passage: text).kernels != kernels { changed += 1 }
    }
    #expect(changed == 20, "the kernels are those of the texts, not of the stored vectors")
  }

  @Test func `the command shows the stored vectors' shares as JSON`() throws {
    try TinyEncoder.write(to: path + "/colbert", head: .projection)
    let name = "colbert:" + path + "/colbert"
    try fixture.run([
      "index", "add-terms", index, "--terms", name, "--term-codec", "residual-1", "--quiet",
    ])
    struct Answer: Decodable {
      struct Hit: Decodable {
        struct Explanation: Decodable {
          var score: Float
          var terms: [TermMatch]
          var tokens: [String]
        }
        var score: Float
        var explanation: Explanation?
      }
      var hits: [Hit]
    }
    let result = try fixture.run([
      "search", index, "gold and water", "--rerank", name, "--depth", "9", "-k", "12", "--explain",
      "--json", "--quiet",
    ])
    let answer = try JSONDecoder().decode(Answer.self, from: Data(result.standardOutput.utf8))
    #expect(answer.hits.count == 12 && answer.hits.count { $0.explanation != nil } == 9)
    for hit in answer.hits {
      guard let explanation = hit.explanation else { continue }
      let sum = explanation.terms.reduce(Float(0)) { $0 + $1.score }
      #expect(abs(sum - hit.score) <= 1e-4 * abs(hit.score))
      #expect(abs(explanation.score - hit.score) <= 1e-4 * abs(hit.score))
    }
  }

  @Test func `every stage's scores stay with their passages`() throws {
    /// Scores passages by their length, or by what is left of it.
    struct Lengths: Reranker {
      var sign: Float
      var fingerprint: String { "lengths" }

      func rerank(
        query: String, passages: [String], threads: Int
      ) throws(RetortError) -> RerankScores {
        RerankScores(scores: passages.map { sign * Float($0.utf8.count) })
      }
    }
    let opened = try PassageIndex(path: index)
    let cascade = try RerankCascade([
      .init(Lengths(sign: 1), depth: 10), .init(Lengths(sign: -1), depth: 4),
    ])
    let hits = (0..<15).map { SearchHit(number: $0 * 3, score: Float(100 - $0)) }
    let reranked = try cascade.rerank("q", hits, in: opened, threads: 1)
    #expect(reranked.stages.count == 3 && reranked.stages.allSatisfy { $0.count == 15 })
    for (place, hit) in reranked.hits.enumerated() {
      let length = Float(try opened.passage(hit.number).text.utf8.count)
      #expect(reranked.stages[0][place] == Float(100 - hit.number / 3))
      #expect(reranked.stages[1][place] == (place < 10 ? length : nil))
      #expect(reranked.stages[2][place] == (place < 4 ? -length : nil))
    }
    #expect(try cascade.explain("q", reranked.hits, in: opened, threads: 1).count == 15)
  }
}
