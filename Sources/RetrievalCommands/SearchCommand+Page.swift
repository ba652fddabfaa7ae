import ArgumentParser
import CommandSupport
import Retort

/// Explains what was found, for the terminal, for JSON and for --explain-html.
struct Explainer {
  let cascade: RerankCascade
  let index: PassageIndex
  let threads: Int
  /// Whether --explain asked for it.
  let isShown: Bool
  /// Where --explain-html puts it.
  let page: ExplanationPage?

  /// Why the best hits of a query have their scores, as they are also written on the page; nil where
  /// they are not to be shown.
  func explanations(
    of query: Query, _ reranked: RerankedHits, wanted: Int
  ) throws -> [RerankExplanation?]? {
    let hits = Array(reranked.hits.prefix(wanted))
    let explanations = try cascade.explain(query.text, hits, in: index, threads: threads)
    if let page {
      var results: [ExplanationPage.Result] = []
      for (place, hit) in hits.enumerated() {
        let passage = try index.passage(hit.number)
        results.append(
          ExplanationPage.Result(
            id: passage.id, text: passage.text, score: hit.score,
            stages: reranked.stages.map { $0[place] }, explanation: explanations[place]))
      }
      try page.add(query, results)
    }
    return isShown ? explanations : nil
  }
}

extension SearchCommand {
  /// Refuses an --explain-html that could not be written.
  func checkPage() throws {
    guard let explainHtml else { return }
    guard reranking.isGiven else {
      throw ValidationError("--explain-html shows what re-rankers did; it needs --rerank")
    }
    guard question != nil || topics != nil else {
      throw ValidationError("--explain-html needs a question or --topics")
    }
    guard topics == nil || hits != nil else {
      throw ValidationError(
        "--explain-html explains every passage of a run; say with --hits how many a question has")
    }
    guard explainHtml != "-", explainHtml != output else {
      throw ValidationError("--explain-html needs a file of its own")
    }
  }

  /// Starts the page of --explain-html: a path that cannot be written is an error before anything is
  /// searched.
  func page(_ queries: [Query]) throws -> ExplanationPage? {
    guard let explainHtml else { return nil }
    var first = "vectors"
    if ranked.lexical { first = "words" }
    if let hybrid = ranked.hybrid { first = "hybrid \(hybrid)" }
    if let retrieve = ranked.retrieve { first = retrieve }
    return try ExplanationPage(
      path: explainHtml, queries: queries, stages: [first] + reranking.rerank, index: index)
  }

  /// What explains the answers; nil where nobody asked.
  func explainer(
    _ cascade: RerankCascade?, _ searcher: Searcher, _ page: ExplanationPage?
  ) -> Explainer? {
    guard let cascade, explain || page != nil else { return nil }
    return Explainer(
      cascade: cascade, index: searcher.index, threads: threading.threads, isShown: explain,
      page: page)
  }
}
