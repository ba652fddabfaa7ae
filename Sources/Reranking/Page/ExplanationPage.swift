import Formats
import Platform

/// An HTML page that shows why passages have their scores: one file that needs no other, without
/// scripts.
///
/// It grows on the disk, a section a query, and has its name only when it is finished.
package final class ExplanationPage {
  /// A passage that was found.
  package struct Result: Sendable {
    /// Its id.
    package var id: String
    /// Its text.
    package var text: String
    /// The score it is ranked by.
    package var score: Float
    /// The scores of the search and of every re-ranker; nil where one did not read it.
    package var stages: [Float?]
    /// Why; nil where no re-ranker read it, or where it cannot say.
    package var explanation: RerankExplanation?

    /// A result.
    package init(
      id: String, text: String, score: Float, stages: [Float?], explanation: RerankExplanation?
    ) {
      self.id = id
      self.text = text
      self.score = score
      self.stages = stages
      self.explanation = explanation
    }
  }

  private let writer: LineFileWriter
  private let stages: [String]
  private let hasSections: Bool
  private var sections = 0

  /// Starts the page at `path`, so that a path that cannot be written is an error now.
  ///
  /// - Parameters:
  ///   - queries: what is going to be added, in order. Several become sections with a list of them.
  ///   - stages: the names of the search and of every re-ranker.
  ///   - index: the name of what was searched.
  package init(
    path: String, queries: [Query], stages: [String], index: String
  ) throws(RetortError) {
    writer = try LineFileWriter(path: path)
    self.stages = stages
    hasSections = queries.count != 1
    let title = hasSections ? "\(queries.count) questions" : queries[0].text
    try writer.append(Self.head(title: title))
    let names = stages.map(HTMLText.escaped).joined(separator: " → ")
    try writer.append("<p class=\"faint\">\(HTMLText.escaped(index)): \(names)</p>")
    try writer.append("<p class=\"faint legend\">\(Self.legend)</p>")
    guard hasSections else { return }
    try writer.append("<nav><details><summary>Questions</summary><ol>")
    for (number, query) in queries.enumerated() {
      let text = HTMLText.escaped(query.text)
      try writer.append("<li><a href=\"#q\(number + 1)\"><bdi>\(text)</bdi></a></li>")
    }
    try writer.append("</ol></details></nav>")
  }

  /// Appends what was found for a query, best first.
  package func add(_ query: Query, _ results: [Result]) throws(RetortError) {
    sections += 1
    try writer.append("<section id=\"q\(sections)\">")
    if hasSections {
      try writer.append(
        "<h2><span class=\"faint\"><bdi>\(HTMLText.escaped(query.id))</bdi></span> "
          + "<bdi>\(HTMLText.escaped(query.text))</bdi></h2>")
    }
    if results.isEmpty { try writer.append("<p>No passage was found.</p>") }
    for (place, result) in results.enumerated() {
      try writer.append(article(result, rank: place + 1))
    }
    try writer.append("</section>")
  }

  /// Ends the page and gives it its name.
  package func finish() throws(RetortError) {
    try writer.append("</body>\n</html>")
    try writer.finish()
  }

  private static func head(title: String) -> String {
    let title = HTMLText.escaped(title)
    // The policy forbids what the page does not have, should a text ever find a way through.
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
      style-src 'unsafe-inline'">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(title)</title>
      <style>
      \(HTMLText.style)</style>
      </head>
      <body>
      <h1 dir="auto">\(title)</h1>
      """
  }

  private static let legend = """
    Colour is relative to the strongest part of each passage. Tokens: their share of the score. \
    Sentences: by how much the score falls without them, blue where it rises. Kernels: how many of the \
    passage's words are near a cosine to each word of the question.
    """

  private func article(_ result: Result, rank: Int) -> String {
    let scores = zip(stages, result.stages).map { name, score in
      "\(HTMLText.escaped(name)) \(score.map { HTMLText.number($0, 4) } ?? "–")"
    }
    return """
      <article>
      <h3>\(rank)<span class="score">\(HTMLText.number(result.score, 4))</span>\
      <bdi>\(HTMLText.escaped(result.id))</bdi></h3>
      <p class="stages">\(scores.joined(separator: " → "))</p>
      \(body(of: result))
      </article>
      """
  }
}
