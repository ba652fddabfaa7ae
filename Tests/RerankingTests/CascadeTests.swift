import Foundation
import Indexing
import Models
import Platform
import Reranking
import Retrieval
import TestSupport
import Testing

/// Cascades over an index, by stages that score what they are told to.
@Suite struct CascadeTests {
  /// Scores a passage by what stands in a table; and remembers nothing.
  private struct TableReranker: Reranker {
    var table: [String: Float]
    var fingerprint: String { "table" }

    func rerank(
      query: String, passages: [String], threads: Int
    ) throws(RetortError) -> RerankScores {
      RerankScores(scores: passages.map { table[$0] ?? .nan }, truncated: 1)
    }
  }

  private let folder: TemporaryFolder
  private let index: PassageIndex
  private static let texts = ["water", "river", "lake", "ocean", "rain", "snow"]

  init() throws {
    folder = try TemporaryFolder("cascade")
    try TinyEncoder.write(to: folder.path + "/encoder")
    let corpus = try folder.file(
      "corpus.tsv", Self.texts.enumerated().map { "p\($0)\t\($1)\n" }.joined())
    let encoder = try TextEncoder(directory: folder.path + "/encoder")
    _ = try IndexBuilder.build(
      IndexBuildOptions(corpus: corpus, output: folder.path + "/index"), encoder: encoder,
      modelPath: folder.path + "/encoder")
    index = try PassageIndex(path: folder.path + "/index")
  }

  private var hits: [SearchHit] {
    (0..<6).map { SearchHit(number: $0, score: Float(10 - $0)) }
  }

  private func stage(_ scores: [Float], _ depth: Int) -> RerankCascade.Stage {
    let table = Dictionary(uniqueKeysWithValues: zip(Self.texts, scores))
    return RerankCascade.Stage(TableReranker(table: table), depth: depth)
  }

  @Test func `every stage orders the best of the one before, and the rest stays behind`() throws {
    // The first four become 3 2 1 0; of these 3 and 2 become 2 3; 4 and 5 were never read.
    let cascade = try RerankCascade([
      stage([0, 1, 2, 3, .nan, .nan], 4), stage([.nan, .nan, 7, 6, .nan, .nan], 2),
    ])
    #expect(cascade.depth == 4)
    let answer = try cascade.rerank("q", hits, in: index, threads: 1)
    #expect(answer.hits.map(\.number) == [2, 3, 1, 0, 4, 5])
    #expect(answer.hits.map(\.score) == [7, 6, 5, 4, 3, 2])
    #expect(answer.truncated == 2)
  }

  @Test func `equal scores keep the order of the search, and fewer hits than the depth are fine`()
    throws
  {
    let cascade = try RerankCascade([stage([1, 1, 2, 1, 1, 1], 100)])
    let answer = try cascade.rerank("q", hits, in: index, threads: 1)
    #expect(answer.hits.map(\.number) == [2, 0, 1, 3, 4, 5])
    #expect(try cascade.rerank("q", [], in: index, threads: 1).hits.isEmpty)
  }

  @Test func `a score that is no number is an error`() throws {
    let cascade = try RerankCascade([stage([1, .infinity, 2, 1, 1, 1], 3)])
    let error = #expect(throws: RetortError.self) {
      try cascade.rerank("q", hits, in: index, threads: 1)
    }
    #expect(error?.message.contains("passage 1") == true)
  }

  @Test func `a depth that exceeds the one before it is one clear error`() {
    let error = #expect(throws: RetortError.self) { try RerankCascade.check(depths: [50, 20, 21]) }
    #expect(error?.exitCode == 64)
    #expect(error?.message.hasPrefix("the depth 21 of re-ranker 3 exceeds the 20") == true)
    #expect(throws: RetortError.self) { try RerankCascade.check(depths: [0]) }
    #expect(throws: Never.self) { try RerankCascade.check(depths: [50, 50, 1]) }
  }
}

/// `retort search --rerank` with a tiny cross-encoder.
@Suite struct RerankedSearchTests {
  private let fixture: RerankFixture
  private let index: String

  init() throws {
    fixture = try RerankFixture()
    index = fixture.folder.path + "/index"
    try TinyEncoder.write(to: fixture.folder.path + "/encoder")
    let encoder = try TextEncoder(directory: fixture.folder.path + "/encoder")
    _ = try IndexBuilder.build(
      IndexBuildOptions(corpus: fixture.folder.path + "/corpus.tsv", output: index),
      encoder: encoder, modelPath: fixture.folder.path + "/encoder")
  }

  private func search(_ arguments: [String], input: String = "") throws -> CLIResult {
    try CLIRunner.run(["search", index] + arguments, input: Array(input.utf8))
  }

  private var cat: String { "cat:" + fixture.model }

  /// The ids of a run's query.
  private func ids(_ run: String, of query: String) -> [String] {
    run.split(separator: "\n").map { $0.split(separator: " ") }.filter { $0[0] == query }
      .map { String($0[2]) }
  }

  @Test func `a batch is what re-ranking its first stage gives`() throws {
    let path = fixture.folder.path
    let first = try search([
      "--topics", path + "/topics.tsv", "-k", "20", "-o", path + "/run.trec", "--quiet",
    ])
    #expect(first.exitCode == 0, "\(first)")
    for threads in ["1", "3"] {
      let result = try search([
        "--topics", path + "/topics.tsv", "-k", "20", "--rerank", cat, "--depth", "9", "--threads",
        threads, "--rerank-precision", "f32",
      ])
      #expect(result.exitCode == 0, "\(result)")
      #expect(result.standardError.contains("re-rank "))
      var options = fixture.options("library\(threads)")
      options.depth = 9
      _ = try RunReranking.rerank(options, quiet: true)
      let expected = try FileSystem.read(path + "/library\(threads)")
      #expect(result.standardOutput == String(decoding: expected, as: UTF8.self))
    }
  }

  @Test func `fewer hits than the depth are the best of all that were read`() throws {
    let path = fixture.folder.path
    let wide = try search([
      "--topics", path + "/topics.tsv", "-k", "30", "--rerank", cat, "--depth", "30", "--quiet",
    ])
    let narrow = try search([
      "--topics", path + "/topics.tsv", "-k", "3", "--rerank", cat, "--depth", "30", "--quiet",
    ])
    for query in fixture.queries {
      #expect(
        ids(narrow.standardOutput, of: query.id)
          == Array(ids(wide.standardOutput, of: query.id).prefix(3)))
    }
  }

  @Test func `a question and the prompt show the re-ranker's order`() throws {
    let question = fixture.queries[1].text
    let run = try search([
      question, "--rerank", cat, "--depth", "25", "--rerank", cat, "--depth", "4",
      "--output-format",
      "trec", "--quiet",
    ])
    let expected = ids(run.standardOutput, of: "1")
    func shown(_ result: CLIResult) -> [String] {
      result.standardOutput.split(separator: "\n").filter { !$0.hasPrefix("    ") }
        .compactMap { $0.split(separator: " ").last.map(String.init) }
    }
    let single = try search([question, "--rerank", cat, "--depth", "25"])
    #expect(shown(single) == expected)
    #expect(single.standardError.contains(", re-rank "))
    let plain = try search([question, "--quiet"])
    #expect(shown(plain) != expected)
    let prompt = try search(
      ["--rerank", cat, "--depth", "25", "--quiet"],
      input: "\(question)\n:rerank off\n\(question)\n:rerank\n:rerank maybe\n")
    #expect(shown(prompt) == expected + shown(plain))
    #expect(prompt.standardError.contains("rerank: off\nrerank: on\n"))
    #expect(prompt.exitCode == 64)
    let none = try search([], input: ":rerank on\n")
    #expect(none.standardError.contains("start the prompt with --rerank"))
  }

  @Test func `wrong usage is named`() throws {
    let cases: [([String], String)] = [
      (
        ["--rerank", cat, "--depth", "10", "--rerank", cat, "--depth", "11"], "depths must not grow"
      ),
      (["--rerank", cat, "--rerank", cat], "give a --depth for each --rerank"),
      (["--depth", "5"], "--depth needs --rerank"),
      (["--rerank", "bert:x"], "is no re-ranker"),
      (["--rerank", cat, "--depth", "0"], "--depth must be at least 1"),
    ]
    for (more, reason) in cases {
      let result = try search(["gold"] + more)
      #expect(result.exitCode == 64 && result.standardError.contains(reason), "\(result)")
    }
    let vectors = try search(["--query-vectors", "x.npy", "--rerank", cat])
    #expect(vectors.exitCode == 64 && vectors.standardError.contains("reads questions"))
  }
}
