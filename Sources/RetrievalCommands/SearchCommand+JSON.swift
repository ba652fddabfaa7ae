import CommandSupport
import Foundation
import Retort

extension SearchCommand {
  private struct Report: Encodable {
    struct Hit: Encodable {
      var rank: Int
      var id: String
      var score: Float
      var text: String
      /// Why, for `--explain`, where a re-ranker read the passage.
      var explanation: RerankExplanation?
    }
    var question: String
    var hits: [Hit]
  }

  /// Prints the answer to one question as a JSON object.
  func printAnswer(
    to question: String, _ searcher: Searcher, _ selection: PassageSelection?,
    _ cascade: RerankCascade?, _ explainer: Explainer?
  ) throws {
    let wanted = hits ?? 10
    let answer = try searcher.search(
      [question], k: max(wanted, cascade?.depth ?? 0), mode: mode, among: selection,
      threads: threading.threads)
    if answer.truncated > 0 {
      writeError("warning: the question was longer than the model takes; its end was cut")
    }
    var found = answer.hits.first ?? []
    var explanations: [RerankExplanation?]?
    if let cascade {
      let reranked = try cascade.rerank(
        question, found, in: searcher.index, threads: threading.threads)
      found = reranked.hits
      explanations = try explainer?.explanations(
        of: Query(id: "1", text: question), reranked, wanted: wanted)
    }
    found = Array(found.prefix(wanted))
    var report = Report(question: question, hits: [])
    for (place, hit) in found.enumerated() {
      let passage = try searcher.index.passage(hit.number)
      report.hits.append(
        Report.Hit(
          rank: place + 1, id: passage.id, score: hit.score, text: passage.text,
          explanation: explanations?[place]))
    }
    try printJSON(report)
  }
}
