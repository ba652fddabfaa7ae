import Foundation
import Indexing
import Models
import Platform
import Reranking
import Retrieval
import Store
import Terms
import TestSupport
import Testing

/// Term vectors that an index stores, behind the commands.
@Suite struct StoredTermTests {
  private let fixture: RerankFixture
  private var path: String { fixture.folder.path }
  private var index: String { path + "/index" }
  private var colbert: String { "colbert:" + path + "/colbert" }

  init() throws {
    fixture = try RerankFixture()
    try TinyEncoder.write(to: path + "/colbert", head: .projection)
    try TinyEncoder.write(to: path + "/encoder")
  }

  @discardableResult
  private func run(_ arguments: [String], expecting code: Int32 = 0) throws -> CLIResult {
    let result = try CLIRunner.run(arguments)
    #expect(result.exitCode == code, "\(arguments): \(result)")
    return result
  }

  private func build(
    _ more: [String] = [], corpus: String = "corpus.tsv", to name: String = "index"
  )
    throws
  {
    try run(
      [
        "index", "build", "--corpus", path + "/" + corpus, "--model", path + "/encoder",
        "--output", path + "/" + name, "--quiet", "--batch-size", "16",
      ] + more)
  }

  private func rerank(_ model: String, index: String) throws -> CLIResult {
    try run([
      "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--index", index, "--model",
      model, "-o", "-",
    ])
  }

  /// Scores by query and passage.
  private func scores(_ result: CLIResult) throws -> [String: Double] {
    var scores: [String: Double] = [:]
    for line in result.standardOutput.split(separator: "\n") {
      let columns = line.split(separator: " ")
      let score: Double = try #require(Double(columns[4]))
      scores["\(columns[0]) \(columns[2])"] = score
    }
    return scores
  }

  @Test func `stored vectors re-rank as encoding on the fly does, and nothing is encoded`() throws {
    try build()
    let fresh = try rerank(colbert, index: index)
    #expect(fresh.standardError.contains("candidates are encoded as they are read"))
    let expected = try scores(fresh)
    for (codec, tolerance) in [("f16", 0.01), ("int8", 0.2), ("residual-4", 1.5)] {
      let added = try run([
        "index", "add-terms", index, "--terms", colbert, "--term-codec", codec,
      ])
      #expect(added.standardError.contains("bytes a passage"), "\(added)")
      let stored = try rerank(colbert, index: index)
      #expect(!stored.standardError.contains("encoded as they are read"), "\(stored)")
      for (key, score) in try scores(stored) {
        #expect(abs(score - (expected[key] ?? .infinity)) < tolerance, "\(codec) \(key)")
      }
      let info = try run(["index", "info", index]).standardOutput
      #expect(info.contains("terms:        colbert:") && info.contains("\(codec), dimension"))
      #expect(info.contains("bytes a passage"))
      #expect(try run(["index", "verify", index]).standardOutput.contains("ok: "))
      let again = try run([
        "index", "add-terms", index, "--terms", colbert, "--term-codec", codec,
      ])
      #expect(again.standardError.contains("nothing to do"))
      let manifest = try PassageIndex(path: index).manifest
      #expect(manifest.terms?.count == 1)
    }
    let search = try run([
      "search", index, "water and gold", "--rerank", colbert, "--depth", "20", "-k", "20",
      "--output-format", "trec",
    ])
    #expect(!search.standardError.contains("encoded as they are read"))
    #expect(search.standardOutput.split(separator: "\n").count == 20)
  }

  @Test func `a build stores what an addition stores, and a merged index what a fresh one does`()
    throws
  {
    for codec in ["f16", "residual-2"] {
      try build(["--terms", colbert, "--term-codec", codec, "--overwrite"])
      try build(["--overwrite"], to: "later")
      try run([
        "index", "add-terms", path + "/later", "--terms", colbert, "--term-codec", codec, "--quiet",
        "--threads", "1",
      ])
      let one = try contents(of: index)["segments/000001/terms-1.seg"]
      #expect(try one == contents(of: path + "/later")["segments/000002/terms-1-000001.seg"])
      let expected = try scores(rerank(colbert, index: index))
      // Half at first, the rest later.
      let lines = fixture.corpus.tsv.split(separator: "\n", omittingEmptySubsequences: true)
      try fixture.folder.file("first.tsv", lines.prefix(30).map { $0 + "\n" }.joined())
      try fixture.folder.file("rest.tsv", lines.dropFirst(30).map { $0 + "\n" }.joined())
      try build(
        ["--terms", colbert, "--term-codec", codec, "--overwrite"], corpus: "first.tsv", to: "parts"
      )
      try run(["index", "add", path + "/parts", "--corpus", path + "/rest.tsv", "--quiet"])
      try run(["index", "verify", path + "/parts"])
      let parts = try scores(rerank(colbert, index: path + "/parts"))
      #expect(Set(parts.keys) == Set(expected.keys))
      let manifest = try PassageIndex(path: path + "/parts").manifest
      #expect(manifest.segments.count == 2 && manifest.terms?.count == 1)
      if codec == "residual-2" {
        #expect(
          manifest.segments[0].files["book-1"] == manifest.segments[1].files["book-1"])
      }
      let gone = fixture.candidate(0, 1).id
      try run(["index", "delete", path + "/parts", gone, "--quiet"])
      try run(["index", "merge", path + "/parts", "--quiet"])
      try run(["index", "verify", path + "/parts"])
      let merged = try scores(
        try run([
          "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--index",
          path + "/parts", "--model", colbert, "-o", "-", "--max-unknown", "1",
        ]))
      for (key, score) in merged { #expect(parts[key] == score, "\(codec) \(key)") }
      #expect(!merged.keys.contains { $0.hasSuffix(" " + gone) } && merged.count < parts.count)
    }
  }

  @Test func `a model of other weights or dimension is told with both, and encodes`() throws {
    try build(["--terms", colbert])
    for (seed, head) in [(UInt64(9), TinyEncoder.Head.projection), (1, .compressor)] {
      try TinyEncoder.write(to: path + "/other", seed: seed, head: head)
      let other = try ColBERT(directory: path + "/other")
      let result = try rerank("colbert:" + path + "/other", index: index)
      #expect(
        result.standardError.contains(
          "the index stores term vectors of other weights or settings (\(colbert), dimension 16) "
            + "than this model's (dimension \(other.dimension)); candidates are encoded as they are "
            + "read"), "\(result)")
      let plain = try run([
        "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--corpus",
        path + "/corpus.tsv", "--model", "colbert:" + path + "/other", "-o", "-",
      ])
      #expect(plain.standardOutput == result.standardOutput)
      try FileSystem.removeTree(path + "/other")
    }
    try FileSystem.rename(path + "/colbert", to: path + "/moved")
    try fixture.folder.file("more.tsv", "new\tgold and water\n")
    let add = ["index", "add", index, "--corpus", path + "/more.tsv", "--quiet"]
    #expect(
      try run(add, expecting: 66).standardError.contains("say where it is with --terms colbert:"))
    try run(add + ["--terms", "colbert:" + path + "/moved"])
    try run(["index", "verify", index])
    let cat = try run(
      ["index", "add-terms", index, "--terms", "cat:" + fixture.model], expecting: 64)
    #expect(cat.standardError.contains("has no term vectors to store"))
    let none = try run(["index", "add-terms", index], expecting: 64)
    #expect(none.standardError.contains("--terms is missing"))
  }

  @Test func `joined shards answer at once, and merging them compresses anew`() throws {
    let lines = fixture.corpus.tsv.split(separator: "\n", omittingEmptySubsequences: true)
    try fixture.folder.file("a.tsv", lines.prefix(25).map { $0 + "\n" }.joined())
    try fixture.folder.file("b.tsv", lines.dropFirst(25).map { $0 + "\n" }.joined())
    for name in ["a", "b"] { try build(["--terms", colbert], corpus: name + ".tsv", to: name) }
    try build(corpus: "b.tsv", to: "bare")
    let bare = try run(
      ["index", "merge", path + "/a", path + "/bare", "--output", path + "/no"], expecting: 64)
    #expect(bare.standardError.contains("differs from") && bare.standardError.contains("term"))
    try run(["index", "merge", path + "/a", path + "/b", "--output", index, "--quiet"])
    try run(["index", "verify", index])
    #expect(try scores(rerank(colbert, index: index)).count == 7 * 12)
    try run(["index", "merge", index, "--quiet"])
    try run(["index", "verify", index])
    try build(["--terms", colbert], to: "whole")
    let bytes = try contents(of: path + "/whole")
    let merged = try contents(of: index).first { $0.key.hasSuffix("/terms-1.seg") }?.value
    #expect(merged == bytes["segments/000001/terms-1.seg"])
  }

  @Test func `all passages are ranked by their terms, with filters and without the deleted`() throws
  {
    let lines = fixture.corpus.passages.enumerated().map { place, passage in
      "{\"id\":\"\(passage.id)\",\"text\":\"\(passage.text)\",\"side\":\"\(place % 2)\"}\n"
    }
    try fixture.folder.file("corpus.jsonl", lines.joined())
    try build(["--terms", colbert, "--term-codec", "residual-4"], corpus: "corpus.jsonl")
    func found(_ more: String...) throws -> [[String]] {
      let result = try run(
        [
          "search", index, "--topics", path + "/topics.tsv", "--retrieve", colbert, "--quiet",
          "--model", "/nowhere",
        ] + more)
      return result.standardOutput.split(separator: "\n").map {
        $0.split(separator: " ").map(String.init)
      }
    }
    let all = try found("-k", "60", "--exact")
    #expect(all.count == 7 * 60)
    let expected = try scores(rerank(colbert, index: index))
    for line in all {
      guard let score = expected["\(line[0]) \(line[2])"] else { continue }
      // Runs lower equal scores by a unit in the last place.
      #expect(abs(score - (Double(line[4]) ?? 0)) < 1e-3, "\(line)")
    }
    let best = try found("-k", "5", "--candidates", "40")
    #expect(best.count == 35)
    let exact = Set(all.filter { (Int($0[3]) ?? 99) <= 5 }.map { $0[0] + " " + $0[2] })
    let shared = best.count { exact.contains($0[0] + " " + $0[2]) }
    #expect(shared >= 25, "\(shared) of 35")
    let gone = best[0][2]
    try run(["index", "delete", index, gone, "--quiet"])
    let left = try found("-k", "5", "--candidates", "40")
    #expect(left.count == 35 && !left.contains { $0[2] == gone })
    let odd = try found("-k", "20", "--candidates", "20", "--filter", "side = \"1\"")
    #expect(odd.count == 140)
    let sides = Dictionary(
      uniqueKeysWithValues: fixture.corpus.passages.enumerated().map { ($1.id, $0 % 2) })
    #expect(odd.allSatisfy { sides[$0[2]] == 1 })
    let recall = try run([
      "recall", index, "--topics", path + "/topics.tsv", "--retrieve", colbert, "--candidates",
      "auto",
    ])
    #expect(recall.standardOutput.contains("auto\t1.0000\t1.0000\t"), "\(recall)")
    let prompt = try CLIRunner.run(
      ["search", index, "--retrieve", colbert, "-k", "2"],
      input: Array(":exact on\ngold and water\n:ef 3\n".utf8))
    #expect(prompt.standardOutput.contains(" 2  "), "\(prompt)")
    #expect(prompt.standardError.contains("here terms alone rank"), "\(prompt)")
  }

  @Test func `terms that are not there, or of another model, cannot be searched`() throws {
    try build()
    let none = try run(["search", index, "gold", "--retrieve", colbert], expecting: 64)
    #expect(none.standardError.contains("retort index add-terms"), "\(none)")
    try run(["index", "add-terms", index, "--terms", colbert, "--quiet"])
    try TinyEncoder.write(to: path + "/other", seed: 4, head: .compressor)
    let other = try run(
      ["search", index, "gold", "--retrieve", "colbert:" + path + "/other"], expecting: 65)
    #expect(
      other.standardError.contains("dimension 16) than this model's (dimension "), "\(other)")
    for bad in [
      ["--retrieve", "cat:" + fixture.model], ["--candidates", "5"],
      ["--retrieve", colbert, "--candidates", "0"], ["--retrieve", colbert, "--hybrid", "rrf"],
    ] {
      try run(["search", index, "gold"] + bad, expecting: 64)
    }
  }

  @Test func `a flipped bit in the stored vectors ends with the file and the section`() throws {
    try build(["--terms", colbert, "--term-codec", "int8"])
    let file = index + "/segments/000001/terms-1.seg"
    var bytes = try FileSystem.read(file)
    bytes[4096 + 200] ^= 4
    try FileSystem.replace(file, with: bytes)
    for command in [
      ["index", "verify", index],
      [
        "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--index", index, "--model",
        colbert, "-o", "-",
      ],
    ] {
      let result = try run(command, expecting: 65)
      #expect(result.standardError.contains("terms-1.seg"), "\(result)")
      #expect(result.standardError.contains("section \"rows\" is damaged"), "\(result)")
    }
    try FileSystem.replace(file, with: Array(bytes.dropLast(100)))
    let cut = try run(["search", index, "gold", "--rerank", colbert], expecting: 65)
    #expect(cut.standardError.contains("terms-1.seg"), "\(cut)")
  }

  @Test func `killed while terms are encoded, an addition resumes to the same bytes`() throws {
    try fixture.folder.file("long.tsv", SyntheticCorpus(count: 900, seed: 8).tsv)
    try build(corpus: "long.tsv")
    try build(corpus: "long.tsv", to: "reference")
    let arguments = ["--terms", colbert, "--batch-size", "40", "--threads", "2"]
    let start = monotonicSeconds()
    try run(["index", "add-terms", path + "/reference", "--quiet"] + arguments)
    let seconds = monotonicSeconds() - start
    let seed: UInt64 = 17
    var random = SplitMix64(seed: seed)
    for round in 0..<3 {
      let command = ["index", "add-terms", index] + arguments + (round > 0 ? ["--resume"] : [])
      let work = try CLIRunner.start(command)
      let end = monotonicSeconds() + seconds * (0.2 + 0.5 * random.unit())
      _ = work.wait { monotonicSeconds() >= end }
      work.send(SIGKILL)
      let result = try work.wait()
      guard result.signal == SIGKILL else { break }
      // Nobody sees anything of it, and nobody else may change the index.
      #expect(try PassageIndex(path: index).manifest.terms == nil)
      guard FileSystem.kind(of: index + "/building/plan.json") == .file else { continue }
      let other = try run(["index", "delete", index, "p1"], expecting: 64)
      #expect(other.standardError.contains("unfinished addition of terms"), "\(other)")
    }
    let rest = try run(["index", "add-terms", index, "--resume"] + arguments)
    #expect(!rest.standardError.isEmpty)
    #expect(try differences(path + "/reference", index) == [], "seed \(seed)")
  }

  @Test func `passages of one token or none, and empty queries, have scores`() throws {
    try fixture.folder.file(
      "odd.tsv",
      "one\tgold\nnone\t\npoint\t. . ,\nlong\t"
        + String(repeating: "water river ", count: 80) + "\n")
    try build(["--terms", colbert], corpus: "odd.tsv")
    try run(["index", "verify", index])
    try fixture.folder.file("odd.topics", "1\tgold\n2\t\n3\t,\n")
    let result = try run([
      "search", index, "--topics", path + "/odd.topics", "--rerank", colbert, "--depth", "4",
      "-k", "4",
    ])
    #expect(result.standardOutput.split(separator: "\n").count == 12, "\(result)")
  }
}
