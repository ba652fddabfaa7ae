import Foundation
import Models
import Platform
import Reranking
import TestSupport
import Testing

/// Why passages have their scores.
@Suite struct ExplanationTests {
  private let fixture: RerankFixture
  private var path: String { fixture.folder.path }

  init() throws {
    fixture = try RerankFixture()
    try TinyEncoder.write(to: path + "/original", head: .projection)
    try TinyEncoder.write(to: path + "/plain", head: .compressor)
  }

  // MARK: ColBERT

  @Test(arguments: ["original", "plain"])
  func `what the tokens matched adds up to the score`(name: String) throws {
    let model = try ColBERT(directory: path + "/" + name)
    let (query, passage) = ("gold and water", "The king, a sailor. Iron and gold!")
    let explanation = try #require(
      try model.explain(query: query, passage: passage, threads: 1))
    let terms = try #require(explanation.terms)
    let score = try model.score(query: query, passages: [passage], threads: 1).scores[0]
    #expect(abs(explanation.score - score) <= 1e-4 * abs(score))
    #expect(abs(terms.reduce(0) { $0 + $1.share } - 1) <= 1e-4)
    let marked = name == "original"
    let named = marked ? ["[CLS]", "[unused0]"] : ["[CLS]"]
    #expect(
      terms.map(\.query)
        == named + ["gold", "and", "water", "[SEP]"]
        + [String](repeating: "[MASK]", count: marked ? 26 : 0))
    // Every match is the largest product, and the token that stands at its place.
    let (rows, others) = (
      model.vectors(model.query(query)), model.vectors(model.passage(passage))
    )
    let kept = model.passage(passage).kept
    for (i, term) in terms.enumerated() {
      let products = (0..<others.rows).map { j in
        (0..<rows.columns).reduce(0.0) {
          $0 + Double(rows.row(i)[$1]) * Double(others.row(j)[$1])
        }
      }
      let best = products.max() ?? 0
      #expect(abs(Double(term.score) - best) <= 1e-4)
      let place = try #require(kept.firstIndex(of: Int32(term.place)))
      #expect(abs(products[place] - best) <= 1e-4)
      #expect(!marked || ![",", ".", "!"].contains(term.passage))
    }
  }

  // MARK: Cross-encoders

  @Test func `every sentence is left out once`() throws {
    let model = try CrossEncoder(directory: fixture.model)
    let parts = ["Water runs. ", "Gold does not! ", "The king is in the tower"]
    let whole = parts.joined()
    let explanation = try #require(
      try model.explain(query: "king", passage: whole, threads: 2))
    let score = try model.score(query: "king", passages: [whole], threads: 1)[0]
    #expect(abs(explanation.score - score) <= 1e-5)
    let sentences = try #require(explanation.sentences)
    #expect(
      sentences.map(\.text) == ["Water runs.", "Gold does not!", "The king is in the tower"])
    for place in parts.indices {
      var rest = parts
      rest.remove(at: place)
      let without = try model.score(query: "king", passages: [rest.joined()], threads: 1)[0]
      #expect(abs(sentences[place].change - (score - without)) <= 1e-5)
    }
    #expect(try model.explain(query: "king", passage: " ", threads: 1)?.sentences == [])
  }

  private static let splits: [(text: String, parts: [String])] = [
    ("", []), ("  ", []), ("one", ["one"]), ("One. Two? Three!", ["One. ", "Two? ", "Three!"]),
    (
      "Mr. J. Smith paid 3.5 dollars. He left.",
      ["Mr. ", "J. Smith paid 3.5 dollars. ", "He left."]
    ),
    ("He said \"No.\" Then silence", ["He said \"No.\" ", "Then silence"]),
    ("e.g. this one", ["e.g. this one"]), ("a line\nanother", ["a line\n", "another"]),
    ("one flow . the other . ( a third )", ["one flow . ", "the other . ", "( a third )"]),
    ("これは文です。次の文。", ["これは文です。", "次の文。"]), (" \n x. Y", [" \n x. ", "Y"]),
  ]

  @Test(arguments: splits)
  func `sentences joined are the text`(text: String, parts: [String]) {
    #expect(Sentences.split(text) == parts)
  }

  @Test func `a text of many sentences has a bounded number of parts`() {
    let text = String(repeating: "Gold is here. ", count: 1000)
    let parts = Sentences.split(text)
    #expect(parts.joined() == text && parts.count <= Sentences.limit)
  }

  // MARK: The command

  private func search(_ arguments: [String]) throws -> CLIResult {
    let index = path + "/index"
    if FileSystem.kind(of: index) == .nothing {
      try TinyEncoder.write(to: path + "/encoder")
      let built = try CLIRunner.run([
        "index", "build", "--corpus", path + "/corpus.tsv", "--model", path + "/encoder",
        "--output", index, "--quiet",
      ])
      #expect(built.exitCode == 0, "\(built)")
    }
    return try CLIRunner.run(["search", index] + arguments)
  }

  @Test func `a search explains its hits, in the terminal and as JSON`() throws {
    let stages = [
      "--rerank", "colbert:" + path + "/original", "--depth", "9", "--rerank",
      "cat:" + fixture.model, "--depth", "2", "-k", "12", "--explain", "--quiet",
    ]
    let json = try search(["gold and water", "--json"] + stages)
    #expect(json.exitCode == 0, "\(json)")
    let object = try JSONSerialization.jsonObject(with: Data(json.standardOutput.utf8))
    let hits = try #require((object as? [String: Any])?["hits"] as? [[String: Any]])
    #expect(hits.count == 12)
    let models = hits.map { ($0["explanation"] as? [String: Any])?["model"] as? String }
    #expect(
      models == ["cat", "cat"] + [String?](repeating: "colbert", count: 7) + [nil, nil, nil])
    let text = try search(["gold and water"] + stages)
    let lines = text.standardOutput.split(separator: "\n")
    #expect(lines.count { $0.contains("[MASK] × 26") } == 7)
    #expect(lines.count { $0.hasPrefix("    water ") && $0.hasSuffix("%") } == 7)
    #expect(lines.count { $0.hasPrefix("    +") || $0.hasPrefix("    -") } == 2)
    #expect(!text.standardOutput.contains("\u{1B}"))
    let plain = try search(["gold and water", "--json", "-k", "3"])
    #expect(plain.standardOutput.contains("\"rank\" : 3"))
    #expect(!plain.standardOutput.contains("explanation"))
  }

  @Test func `what cannot be explained is wrong usage`() throws {
    for (more, reason) in [
      (["gold", "--explain"], "--explain needs --rerank"),
      (["--topics", "x", "--rerank", "cat:x", "--explain"], "a question or the prompt"),
      (["--json"], "--json needs a question"),
      (["gold", "--json", "--output-format", "trec"], "--json needs a question"),
    ] {
      let result = try search(more)
      #expect(result.exitCode == 64 && result.standardError.contains(reason), "\(result)")
    }
  }
}
