import Foundation
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

  /// What the command says.
  private func estimate(_ arguments: String...) throws -> IndexEstimate {
    let result = try CLIRunner.run(["index", "estimate"] + arguments + ["--json"])
    return try JSONDecoder().decode(IndexEstimate.self, from: Data(result.standardOutput.utf8))
  }

  @Test func `stored terms take what they were predicted to`() throws {
    let folder = try TemporaryFolder("estimate")
    try TinyEncoder.write(to: folder.path + "/model")
    try TinyEncoder.write(to: folder.path + "/terms", seed: 2, head: .compressor)
    // Ten words of the vocabulary, [CLS] and [SEP]: twelve tokens a passage.
    let (passages, tokens) = (800, 12)
    var random = SplitMix64(seed: 12)
    let lines = (0..<passages).map { number in
      let words = (0..<tokens - 2).map { _ in
        TinyEncoder.words[Int(random.next() % UInt64(TinyEncoder.words.count))]
      }
      return "\(number)\t" + words.joined(separator: " ") + "\n"
    }
    let corpus = try folder.file("corpus.tsv", lines.joined())
    let index = folder.path + "/index"
    let built = try CLIRunner.run([
      "index", "build", "--corpus", corpus, "--model", folder.path + "/model", "-o", index,
      "--quiet",
    ])
    #expect(built.exitCode == 0, "\(built)")
    for codec in ["f16", "residual-2"] {
      let added = try CLIRunner.run([
        "index", "add-terms", index, "--terms", "colbert:" + folder.path + "/terms",
        "--term-codec", codec, "--quiet",
      ])
      #expect(added.exitCode == 0, "\(added)")
      let found = Double(try PassageIndex(path: index).manifest.bytes(ofTerms: 0))
      let estimate = try estimate(
        "--passages", "\(passages)", "--dim", "\(TinyEncoder.width)", "--terms", "\(tokens)",
        "--term-dim", "\(TinyEncoder.width)", "--term-codec", codec)
      let off = abs(Double(estimate.terms) / found - 1)
      #expect(off < 0.1, "\(codec): \(estimate.terms), not \(found)")
    }
  }

  @Test func `terms count wherever they lie, and smaller codecs take less`() throws {
    let command = ["index", "estimate", "--passages", "100000", "--dim", "384"]
    let usual = try IndexEstimate(passages: 100_000, dimension: 384)
    var last = Int.max
    for codec in ["f16", "int8", "residual-4", "residual-2", "residual-1"] {
      let terms = try estimate(
        "--passages", "100000", "--dim", "384", "--terms", "60", "--term-codec", codec)
      #expect(terms.terms > 0 && terms.terms < last, "\(codec)")
      #expect(terms.disk == usual.disk + terms.terms && usual.terms == 0)
      // While they are encoded they lie there in half precision, too.
      let staged = 100_000 * 60 * 128 * 2
      #expect(terms.diskWhileBuilding == usual.diskWhileBuilding + terms.terms + staged)
      #expect(terms.searchMappings == usual.searchMappings + terms.terms)
      last = terms.terms
    }
    let wide = try estimate(
      "--passages", "100000", "--dim", "384", "--terms", "60", "--term-dim", "256", "--term-codec",
      "f16")
    #expect(wide.terms > 100_000 * 60 * 512)
    let result = try CLIRunner.run(command + ["--terms", "60", "--term-codec", "f16"])
    // 6,000,000 vectors of 256 bytes, where they begin, and two headers.
    #expect(result.standardOutput.contains(", terms 1536.8 MB"), "\(result)")
    let none = try CLIRunner.run(command)
    #expect(none.exitCode == 0 && !none.standardOutput.contains("terms"))
    for wrong in [["--terms", "-1"], ["--terms", "65537"], ["--terms", "9", "--term-dim", "0"]] {
      #expect(try CLIRunner.run(command + wrong).exitCode == 64)
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
