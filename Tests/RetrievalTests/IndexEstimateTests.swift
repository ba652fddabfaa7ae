import Indexing
import Platform
import Retrieval
import TestSupport
import Testing

@Suite struct IndexEstimateTests {
  @Test func `an index that was built has nearly the size that was predicted`() throws {
    let index = try PassageIndex(path: try SmallIndex.large.get().path)
    let manifest = index.manifest
    let texts = try (0..<index.count).reduce(0) { try $0 + index.passage($1).text.utf8.count }
    let estimate = try IndexEstimate(
      passages: index.count, dimension: index.dimension, m: manifest.graph.m,
      efConstruction: manifest.graph.efConstruction, textBytes: texts / index.count)
    let files = try #require(manifest.segments.first?.files)
    for (role, predicted, tolerance) in [
      ("vectors", estimate.vectors, 0.02), ("graph", estimate.graph, 0.15),
      // Random words compress worse than English.
      ("passages", estimate.texts, 0.4),
    ] {
      let found = Double(try #require(files[role]?.bytes))
      #expect(abs(Double(predicted) / found - 1) < tolerance, "\(role): \(predicted), not \(found)")
    }
  }

  @Test func `more of anything takes more`() throws {
    let usual = try IndexEstimate(passages: 100_000, dimension: 384)
    #expect(usual.disk == usual.vectors + usual.graph + usual.texts)
    for more in [
      try IndexEstimate(passages: 200_000, dimension: 384),
      try IndexEstimate(passages: 100_000, dimension: 768),
      try IndexEstimate(passages: 100_000, dimension: 384, m: 32),
      try IndexEstimate(passages: 100_000, dimension: 384, textBytes: 700),
    ] {
      #expect(more.disk > usual.disk && more.graphSeconds >= usual.graphSeconds)
      #expect(more.memoryWhileBuilding >= usual.memoryWhileBuilding)
    }
    let words = try IndexEstimate(passages: 100_000, dimension: 384, lexical: true)
    #expect(usual.words == 0 && words.disk == usual.disk + words.words)
    #expect(words.searchMappings == usual.searchMappings + words.words)
    #expect(words.memoryWhileBuilding > usual.memoryWhileBuilding)
    #expect(throws: RetortError.self) {
      try IndexEstimate(passages: 10, dimension: 4, textBytes: 0, lexical: true)
    }
  }

  @Test(arguments: [(0, 384), (-1, 384), (1 << 31, 384), (10, 0), (10, 65_537), (10, -5)])
  func `what no index can have is refused`(passages: Int, dimension: Int) {
    let error = #expect(throws: RetortError.self) {
      try IndexEstimate(passages: passages, dimension: dimension)
    }
    #expect(error?.exitCode == 64)
  }

  @Test func `the command prints what the estimate says`() throws {
    let result = try CLIRunner.run([
      "index", "estimate", "--passages", "100000", "--dim", "384", "--rate", "100",
    ])
    let estimate = try IndexEstimate(passages: 100_000, dimension: 384)
    #expect(result.exitCode == 0)
    #expect(result.standardOutput.contains("vectors 153.6 MB"))
    #expect(result.standardOutput.contains("encoding 17 min"))
    let words = try CLIRunner.run([
      "index", "estimate", "--passages", "98712", "--dim", "384", "--text-bytes", "578",
      "--lexical",
    ])
    // 98,712 passages of nine collections, 578 bytes in the mean, took 7.9 MB.
    #expect(words.standardOutput.contains(", words 8.3 MB"), "\(words)")
    let json = try CLIRunner.run([
      "index", "estimate", "--passages", "100000", "--dim", "384", "--json",
    ])
    #expect(json.standardOutput.contains("\"disk\" : \(estimate.disk)"))
    let wrong = try CLIRunner.run(["index", "estimate", "--passages", "0", "--dim", "384"])
    #expect(wrong.exitCode == 64 && wrong.standardOutput == "")
  }
}
