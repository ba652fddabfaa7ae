import Formats
import Foundation
import Models
import Platform
import Reranking
import TestSupport
import Testing

/// The web page that explains a search.
@Suite struct ExplanationPageTests {
  private let fixture: RerankFixture
  private var path: String { fixture.path }
  private var index: String { path + "/index" }
  private var page: String { path + "/page.html" }
  private var colbert: String { "colbert:" + path + "/colbert" }
  private var cat: String { "cat:" + fixture.model }

  /// What somebody might hide in a passage, an id or a question.
  private static let hostile = [
    "<script>alert(1)</script> gold", "\"><img src=x onerror=\"alert(2)\"> water",
    "' onmouseover='alert(3) <style>*{}</style>", "<!-- gold -->&lt;b&gt; &amp; <b>water</b>",
    "gold\u{0}\u{1B}[31m\u{202E}retaw </article></body>", "]]> <?php water ?> `${gold}`",
  ]

  init() throws {
    fixture = try RerankFixture()
    try TinyEncoder.write(to: fixture.path + "/colbert", head: .projection)
    var lines = fixture.corpus.jsonl
    for (number, text) in Self.hostile.enumerated() {
      let id = jsonText("\(number)\"><script>'&")
      lines += "{\"_id\": \(id), \"text\": \(jsonText(text + ". Gold and water! A river."))}\n"
    }
    try fixture.folder.file("corpus.jsonl", lines)
    try fixture.build(corpus: "corpus.jsonl")
  }

  private func read() throws -> String {
    String(decoding: try FileSystem.read(page), as: UTF8.self)
  }

  private static let names: Set = [
    "!DOCTYPE", "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "nav",
    "ol",
    "li", "a", "bdi", "section", "article", "span", "small", "details", "summary", "div", "table",
    "tr", "th", "td",
  ]

  /// What is wrong with a page: elements and attributes it should not have, or that do not close.
  private func faults(_ html: String) -> [String] {
    var faults: [String] = []
    var open: [Substring] = []
    for part in html.split(separator: "<", omittingEmptySubsequences: false).dropFirst() {
      guard let end = part.firstIndex(of: ">") else { return faults + ["no end: \(part)"] }
      let tag = part[..<end]
      let name = tag.prefix { !$0.isWhitespace }
      if name.hasPrefix("/") {
        if open.popLast() != name.dropFirst() { faults.append("closes: \(tag)") }
        continue
      }
      if !Self.names.contains(String(name)) { faults.append("element: \(tag)") }
      if name != "!DOCTYPE", name != "meta" { open.append(name) }
      let attributes = tag.dropFirst(name.count)
      let known =
        /( (class|style|title|dir|id|href|lang|charset|name|content|http-equiv|open)(="[^"]*")?| html)*/
      if attributes.wholeMatch(of: known) == nil { faults.append("attribute: \(tag)") }
      if tag.contains("href"), !tag.contains("href=\"#q") { faults.append("link: \(tag)") }
    }
    if !open.isEmpty { faults.append("open: \(open)") }
    for word in ["<script", "<img", "javascript:", "http://", "https://", "url(", "@import"] {
      if html.contains(word) { faults.append(word) }
    }
    if html.unicodeScalars.contains(where: { $0.value < 32 && $0 != "\n" || $0 == "\u{202E}" }) {
      faults.append("control characters")
    }
    return faults
  }

  @Test func `a question's page shows ranks, scores of all stages and every token's match`() throws
  {
    let question = "<script>\"gold' & water"
    let search = [
      "search", index, question, "--rerank", colbert, "--depth", "66", "--rerank", cat, "--depth",
      "40", "-k", "66", "--rerank-precision", "f32",
    ]
    let plain = try fixture.run(search + ["--quiet"])
    let result = try fixture.run(search + ["--quiet", "--explain-html", page])
    #expect(result.standardOutput == plain.standardOutput)
    let html = try read()
    #expect(faults(html) == [])
    #expect(html.hasPrefix("<!DOCTYPE html>") && html.contains("prefers-color-scheme:dark"))
    #expect(html.contains("default-src 'none'"))
    #expect(html.contains("<title>&lt;script&gt;&quot;gold&#39; &amp; water</title>"))
    let articles = html.split(separator: "<article>").dropFirst()
    #expect(articles.count == 66)
    let json = try fixture.run(search + ["--json", "--explain", "--explain-html", page])
    #expect(try read() == html)
    let object = try JSONSerialization.jsonObject(with: Data(json.standardOutput.utf8))
    let hits = try #require((object as? [String: Any])?["hits"] as? [[String: Any]])
    for (place, (article, hit)) in zip(articles, hits).enumerated() {
      let score = String(format: "%.4f", try #require(hit["score"] as? Double))
      #expect(article.contains("<h3>\(place + 1)<span class=\"score\">\(score)</span>"))
      let stages = try #require(article.firstMatch(of: /class="stages">vectors (.*)<\/p>/)?.1)
      let scores = stages.split(separator: " → ").map { $0.split(separator: " ").last }
      #expect(scores.count == 3 && (scores[2] == "–") == (place >= 40), "\(stages)")
      let why = try #require(hit["explanation"] as? [String: Any])
      // Behind the depth the rank's score falls by one; what the stage said is among the stages.
      let explained = String(format: "%.4f", try #require(why["score"] as? Double))
      #expect(scores[place < 40 ? 2 : 1].map(String.init) == (place < 40 ? score : explained))
      if place < 40 {
        let sentences = try #require(why["sentences"] as? [Any])
        #expect(article.matches(of: /class="s (up|down)"/).count == sentences.count)
        continue
      }
      // Two markers, the question's tokens, [SEP] and masks: a row each, beside two of headings.
      let terms = try #require(why["terms"] as? [[String: Any]])
      #expect(article.matches(of: /<tr><td>/).count == terms.count && terms.count == 32)
      let places = Set(terms.compactMap { $0["place"] as? Int })
      #expect(article.matches(of: /<span class="t"/).count == places.count)
      // The strongest token of a passage has the full colour, and names who matched it.
      #expect(article.contains("style=\"--h:1.000\" title=\""))
    }
    // All hostile passages were shown, as text.
    #expect(html.contains("&lt;script&gt;alert(1)&lt;/script&gt; gold"))
    #expect(html.contains("&quot;&gt;&lt;img src=x onerror=&quot;alert(2)&quot;&gt; water"))
    #expect(html.contains("<bdi>0&quot;&gt;&lt;script&gt;&#39;&amp;</bdi>"))
  }

  @Test func `TK's page is a histogram, and passages behind the depth say so`() throws {
    try fixture.writeTK(to: "tk")
    try fixture.run([
      "search", index, "gold river", "--rerank", "tk:" + path + "/tk", "--depth", "3", "-k", "5",
      "--explain-html", page, "--quiet",
    ])
    let html = try read()
    #expect(faults(html) == [])
    let articles = html.split(separator: "<article>").dropFirst()
    #expect(articles.count == 5)
    for (place, article) in articles.enumerated() {
      #expect(article.contains("<p class=\"passage\""))
      #expect(article.contains("No re-ranker read this passage.") == (place >= 3))
      guard place < 3 else { continue }
      #expect(
        article.contains("\"n\">part</th><th class=\"n\">gold</th><th class=\"n\">river</th>"))
      #expect(article.matches(of: /<tr><td/).count == 11)
    }
  }

  @Test func `a batch's page has a section a query, and the run stays as it is`() throws {
    let search = [
      "search", index, "--topics", path + "/topics.tsv", "-k", "4", "--rerank", colbert, "--depth",
      "9", "--quiet",
    ]
    // The run's ids are those of the corpus; hostile ones are for JSON.
    let plain = try fixture.run(search + ["--output-format", "jsonl"])
    let result = try fixture.run(
      search + ["--output-format", "jsonl", "--explain-html", page])
    #expect(plain.standardOutput == result.standardOutput)
    let html = try read()
    #expect(faults(html) == [])
    #expect(html.matches(of: /<section id="q(\d)">/).compactMap { Int($0.1) } == Array(1...7))
    #expect(html.matches(of: /<a href="#q\d">/).count == 7)
    #expect(html.matches(of: /<article>/).count == 28)
    for query in fixture.queries {
      #expect(html.contains("<bdi>\(query.id)</bdi></span> <bdi>\(query.text)</bdi></h2>"))
    }
    // The same bytes at any number of threads.
    try fixture.run(
      search + ["--output-format", "jsonl", "--explain-html", page, "--threads", "1"])
    #expect(try read() == html)
  }

  @Test func `what cannot be written is told before anything is scored`() throws {
    let none = path + "/none"
    let search = ["search", index, "gold", "--rerank", colbert, "--explain-html"]
    let missing = try fixture.run(search + [none + "/page.html"], expecting: 64)
    #expect(missing.standardError.contains(none), "\(missing)")
    #expect(missing.standardOutput.isEmpty)
    #expect(!missing.standardError.contains("encoded as they are read"), "\(missing)")
    let folder = try fixture.run(search + [path], expecting: 64)
    #expect(folder.standardError.contains("is a folder"), "\(folder)")
    // What fails later leaves the page that was there, and nothing beside it.
    try fixture.folder.file("page.html", "old")
    try fixture.run(
      ["search", index, "gold", "--rerank", "cat:/nowhere", "--explain-html", page], expecting: 66)
    #expect(try read() == "old")
    #expect(try FileSystem.names(in: path).filter { $0.contains("page.html") } == ["page.html"])
  }

  private static let mistakes: [(more: [String], reason: String)] = [
    (["gold"], "it needs --rerank"),
    (["--rerank", "cat:x"], "needs a question or --topics"),
    (["--rerank", "cat:x", "--topics", "t"], "say with --hits how many"),
    (["gold", "--rerank", "cat:x", "-o", "p.html"], "needs a file of its own"),
  ]

  @Test(arguments: mistakes)
  func `wrong usage is named in one sentence`(more: [String], reason: String) throws {
    let result = try fixture.run(
      ["search", index, "--explain-html", "p.html"] + more, expecting: 64)
    #expect(result.standardError.contains(reason), "\(result)")
  }
}
