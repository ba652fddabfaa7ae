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

  /// How errors tell one model's vectors from another's.
  private func identity(_ dimension: Int, _ fingerprint: String) -> String {
    "dimension \(dimension), fingerprint \(fingerprint.prefix(16))"
  }

  @Test func `stored vectors re-rank as encoding on the fly does, and nothing is encoded`() throws {
    try fixture.build()
    let fresh = try fixture.rerank(colbert, index: index)
    #expect(fresh.standardError.contains("candidates are encoded as they are read"))
    let expected = try RerankFixture.scores(fresh)
    // Which centroids are learned depends on the last bits of vectors, and so on the CPU.
    for (codec, tolerance) in [("f16", 0.01), ("int8", 0.2), ("residual-4", 2)] {
      let added = try fixture.run([
        "index", "add-terms", index, "--terms", colbert, "--term-codec", codec,
      ])
      #expect(added.standardError.contains("bytes a passage"), "\(added)")
      let stored = try fixture.rerank(colbert, index: index)
      #expect(!stored.standardError.contains("encoded as they are read"), "\(stored)")
      let found = try RerankFixture.scores(stored)
      #expect(found.count == 7 * 12 && Set(found.keys) == Set(expected.keys), "\(codec)")
      for (key, score) in found {
        #expect(abs(score - (expected[key] ?? .infinity)) < tolerance, "\(codec) \(key)")
      }
      let info = try fixture.run(["index", "info", index]).standardOutput
      #expect(info.contains("terms:        colbert:") && info.contains("\(codec), dimension"))
      #expect(info.contains("bytes a passage"))
      #expect(try fixture.run(["index", "verify", index]).standardOutput.contains("ok: "))
      let again = try fixture.run([
        "index", "add-terms", index, "--terms", colbert, "--term-codec", codec,
      ])
      #expect(again.standardError.contains("nothing to do"))
      let manifest = try PassageIndex(path: index).manifest
      #expect(manifest.terms?.count == 1)
    }
    let search = try fixture.run([
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
      try fixture.build(["--terms", colbert, "--term-codec", codec, "--overwrite"])
      try fixture.build(["--overwrite"], to: "later")
      try fixture.run([
        "index", "add-terms", path + "/later", "--terms", colbert, "--term-codec", codec, "--quiet",
        "--threads", "1",
      ])
      let one = try contents(of: index)["segments/000001/terms-1.seg"]
      #expect(try one == contents(of: path + "/later")["segments/000002/terms-1-000001.seg"])
      let expected = try RerankFixture.scores(fixture.rerank(colbert, index: index))
      // Half at first, the rest later.
      let lines = fixture.corpus.tsv.split(separator: "\n", omittingEmptySubsequences: true)
      try fixture.folder.file("first.tsv", lines.prefix(30).map { $0 + "\n" }.joined())
      try fixture.folder.file("rest.tsv", lines.dropFirst(30).map { $0 + "\n" }.joined())
      try fixture.build(
        ["--terms", colbert, "--term-codec", codec, "--overwrite"], corpus: "first.tsv", to: "parts"
      )
      try fixture.run(["index", "add", path + "/parts", "--corpus", path + "/rest.tsv", "--quiet"])
      try fixture.run(["index", "verify", path + "/parts"])
      let parts = try RerankFixture.scores(fixture.rerank(colbert, index: path + "/parts"))
      #expect(parts.count == 7 * 12 && Set(parts.keys) == Set(expected.keys), "\(codec)")
      let manifest = try PassageIndex(path: path + "/parts").manifest
      #expect(manifest.segments.count == 2 && manifest.terms?.count == 1)
      if codec == "residual-2" {
        #expect(
          manifest.segments[0].files["book-1"] == manifest.segments[1].files["book-1"])
      }
      let gone = fixture.candidate(0, 1).id
      try fixture.run(["index", "delete", path + "/parts", gone, "--quiet"])
      try fixture.run(["index", "merge", path + "/parts", "--quiet"])
      try fixture.run(["index", "verify", path + "/parts"])
      let merged = try RerankFixture.scores(
        try fixture.run([
          "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--index",
          path + "/parts", "--model", colbert, "-o", "-", "--max-unknown", "1",
        ]))
      let left = parts.filter { !$0.key.hasSuffix(" " + gone) }
      #expect(left.count < parts.count && Set(merged.keys) == Set(left.keys), "\(codec)")
      for (key, score) in merged { #expect(left[key] == score, "\(codec) \(key)") }
    }
  }

  @Test func `a model of other weights or dimension is told with both, and encodes`() throws {
    try fixture.build(["--terms", colbert])
    let stored = try #require(try PassageIndex(path: index).manifest.terms?.first)
    #expect(stored.dimension == 16 && stored.fingerprint.count == 32)
    for (seed, head) in [(UInt64(9), TinyEncoder.Head.projection), (1, .compressor)] {
      try TinyEncoder.write(to: path + "/other", seed: seed, head: head)
      let other = try ColBERT(directory: path + "/other")
      let result = try fixture.rerank("colbert:" + path + "/other", index: index)
      #expect(
        result.standardError.contains(
          "the index stores term vectors of other weights or settings (\(colbert), "
            + "\(identity(stored.dimension, stored.fingerprint))) than this model's "
            + "(\(identity(other.dimension, other.termFingerprint))); candidates are encoded as they "
            + "are read"), "\(result)")
      let plain = try fixture.run([
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
      try fixture.run(add, expecting: 66).standardError.contains(
        "say where it is with --terms colbert:"))
    try fixture.run(add + ["--terms", "colbert:" + path + "/moved"])
    try fixture.run(["index", "verify", index])
    for (kind, reason) in [("cat", "query and passage together"), ("dot", "one vector")] {
      let other = try fixture.run(
        ["index", "add-terms", index, "--terms", kind + ":" + fixture.model], expecting: 64)
      #expect(other.standardError.contains(reason))
      #expect(other.standardError.contains("has no term vectors to store"))
    }
    let none = try fixture.run(["index", "add-terms", index], expecting: 64)
    #expect(none.standardError.contains("--terms is missing"))
  }

  @Test func `joined shards answer at once, and merging them compresses anew`() throws {
    let lines = fixture.corpus.tsv.split(separator: "\n", omittingEmptySubsequences: true)
    try fixture.folder.file("a.tsv", lines.prefix(25).map { $0 + "\n" }.joined())
    try fixture.folder.file("b.tsv", lines.dropFirst(25).map { $0 + "\n" }.joined())
    for name in ["a", "b"] {
      try fixture.build(["--terms", colbert], corpus: name + ".tsv", to: name)
    }
    try fixture.build(corpus: "b.tsv", to: "bare")
    let bare = try fixture.run(
      ["index", "merge", path + "/a", path + "/bare", "--output", path + "/no"], expecting: 64)
    #expect(bare.standardError.contains("differs from") && bare.standardError.contains("term"))
    try fixture.run(["index", "merge", path + "/a", path + "/b", "--output", index, "--quiet"])
    try fixture.run(["index", "verify", index])
    #expect(try RerankFixture.scores(fixture.rerank(colbert, index: index)).count == 7 * 12)
    try fixture.run(["index", "merge", index, "--quiet"])
    try fixture.run(["index", "verify", index])
    try fixture.build(["--terms", colbert], to: "whole")
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
    try fixture.build(
      ["--terms", colbert, "--term-codec", "residual-4", "--term-precision", "f32"],
      corpus: "corpus.jsonl")
    func found(_ more: String...) throws -> [[String]] {
      let result = try fixture.run(
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
    let expected = try RerankFixture.scores(fixture.rerank(colbert, index: index))
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
    try fixture.run(["index", "delete", index, gone, "--quiet"])
    let left = try found("-k", "5", "--candidates", "40")
    #expect(left.count == 35 && !left.contains { $0[2] == gone })
    let odd = try found("-k", "20", "--candidates", "20", "--filter", "side = \"1\"")
    #expect(odd.count == 140)
    let sides = Dictionary(
      uniqueKeysWithValues: fixture.corpus.passages.enumerated().map { ($1.id, $0 % 2) })
    #expect(odd.allSatisfy { sides[$0[2]] == 1 })
    let recall = try fixture.run([
      "recall", index, "--topics", path + "/topics.tsv", "--retrieve", colbert, "--candidates",
      "auto",
    ])
    #expect(recall.standardOutput.contains("auto\t1.0000\t1.0000\t"), "\(recall)")
    let long = String(repeating: "gold and water ", count: 50)
    let topics = try fixture.folder.file("long.tsv", "a\t\(long)\nb\tgold\nc\twater\n")
    let cut = try fixture.run([
      "recall", index, "--topics", topics, "--retrieve", colbert, "--candidates", "auto",
      "--queries", "2",
    ])
    #expect(cut.standardError.contains("using 2 of 3 queries\n"), "\(cut)")
    #expect(
      cut.standardError.contains(
        "warning: 1 query was longer than the model takes; its end was cut\n"), "\(cut)")
    let prompt = try CLIRunner.run(
      ["search", index, "--retrieve", colbert, "-k", "2"],
      input: Array(":exact on\ngold and water\n:ef 3\n".utf8))
    #expect(prompt.standardOutput.contains(" 2  "), "\(prompt)")
    #expect(prompt.standardError.contains("here terms alone rank"), "\(prompt)")
  }

  @Test func `terms that are not there, or of another model, cannot be searched`() throws {
    try fixture.build()
    let none = try fixture.run(["search", index, "gold", "--retrieve", colbert], expecting: 64)
    #expect(none.standardError.contains("retort index add-terms"), "\(none)")
    try fixture.run(["index", "add-terms", index, "--terms", colbert, "--quiet"])
    try TinyEncoder.write(to: path + "/other", seed: 4, head: .compressor)
    let other = try fixture.run(
      ["search", index, "gold", "--retrieve", "colbert:" + path + "/other"], expecting: 65)
    let stored = try #require(try PassageIndex(path: index).manifest.terms?.first)
    let own = try ColBERT(directory: path + "/other")
    #expect(
      other.standardError.contains(
        "(\(colbert), \(identity(16, stored.fingerprint))) than this model's "
          + "(\(identity(32, own.termFingerprint)))"), "\(other)")
    for bad in [
      ["--retrieve", "cat:" + fixture.model], ["--candidates", "5"],
      ["--retrieve", colbert, "--candidates", "0"], ["--retrieve", colbert, "--hybrid", "rrf"],
    ] {
      try fixture.run(["search", index, "gold"] + bad, expecting: 64)
    }
  }

  @Test func `fewer candidates than hits are refused, not raised`() throws {
    try fixture.build(["--terms", colbert])
    let few: [(more: [String], reason: String)] = [
      (["--candidates", "9"], "--candidates 9 are fewer than the 10 passages"),
      (["--candidates", "20", "-k", "21"], "--candidates 20 are fewer than the 21 passages"),
      (
        ["--candidates", "99", "--rerank", colbert],
        "--candidates 99 are fewer than the 100 passages"
      ),
    ]
    for (more, reason) in few {
      let result = try fixture.run(
        ["search", index, "gold", "--retrieve", colbert] + more, expecting: 64)
      #expect(result.standardError.contains(reason), "\(result)")
    }
    try fixture.run(["search", index, "gold", "--retrieve", colbert, "--candidates", "10"])
    let recall = ["recall", index, "--topics", path + "/topics.tsv", "--retrieve", colbert]
    let below = try fixture.run(recall + ["--candidates", "auto,99"], expecting: 64)
    #expect(below.standardError.contains("--candidates 99 are fewer than the 100"), "\(below)")
    #expect(below.standardOutput.isEmpty)
    try fixture.run(recall + ["--candidates", "auto,,200"], expecting: 64)
    let prompt = try CLIRunner.run(
      ["search", index, "--retrieve", colbert, "--candidates", "12"],
      input: Array(":k 11\n:k 13\n".utf8))
    let notes = prompt.standardError.split(separator: "\n").filter { $0.contains("fewer") }
    #expect(notes == ["--candidates 12 are fewer than that: 13 are kept"], "\(prompt)")
  }

  @Test func `a flipped bit in the stored vectors ends with the file and the section`() throws {
    try fixture.build(["--terms", colbert, "--term-codec", "int8"])
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
      let result = try fixture.run(command, expecting: 65)
      #expect(result.standardError.contains("terms-1.seg"), "\(result)")
      #expect(result.standardError.contains("section \"rows\" is damaged"), "\(result)")
    }
    try FileSystem.replace(file, with: Array(bytes.dropLast(100)))
    let cut = try fixture.run(["search", index, "gold", "--rerank", colbert], expecting: 65)
    #expect(cut.standardError.contains("terms-1.seg"), "\(cut)")
  }

  @Test func `killed while terms are encoded, an addition resumes to the same bytes`() throws {
    try fixture.folder.file("long.tsv", SyntheticCorpus(count: 900, seed: 8).tsv)
    try fixture.build(corpus: "long.tsv")
    try fixture.build(corpus: "long.tsv", to: "reference")
    let arguments = ["--terms", colbert, "--batch-size", "40", "--threads", "2"]
    try fixture.run(["index", "add-terms", path + "/reference", "--quiet"] + arguments)
    /// Finished batches of the 23.
    func batches() -> Int {
      ((try? FileSystem.names(in: index + "/building")) ?? []).count { $0.hasSuffix(".part") }
    }
    var kept = 0
    var kills = 0
    for (round, goal) in [2, 7, 15].enumerated() {
      let command = ["index", "add-terms", index] + arguments + (round > 0 ? ["--resume"] : [])
      let work = try CLIRunner.start(command)
      _ = work.wait { batches() >= goal }
      work.send(SIGKILL)
      let result = try work.wait()
      guard result.signal == SIGKILL else { continue }
      kills += 1
      // Nobody sees anything of it, nobody else may change the index, and no batch is lost.
      #expect(try PassageIndex(path: index).manifest.terms == nil)
      let other = try fixture.run(["index", "delete", index, "p1"], expecting: 64)
      #expect(other.standardError.contains("unfinished addition of terms"), "\(other)")
      #expect(batches() >= max(goal, kept))
      kept = batches()
    }
    #expect(kills > 0, "every addition was done before it could be killed")
    let rest = try fixture.run(["index", "add-terms", index, "--resume"] + arguments)
    if kills > 0 {
      #expect(rest.standardError.contains("resuming after the terms of "), "\(rest)")
    }
    #expect(try differences(path + "/reference", index) == [])
  }

  @Test func `passages of one token or none, and empty queries, have scores`() throws {
    try fixture.folder.file(
      "odd.tsv",
      "one\tgold\nnone\t\npoint\t. . ,\nlong\t"
        + String(repeating: "water river ", count: 80) + "\n")
    try fixture.build(["--terms", colbert], corpus: "odd.tsv")
    try fixture.run(["index", "verify", index])
    try fixture.folder.file("odd.topics", "1\tgold\n2\t\n3\t,\n")
    let result = try fixture.run([
      "search", index, "--topics", path + "/odd.topics", "--rerank", colbert, "--depth", "4",
      "-k", "4",
    ])
    #expect(result.standardOutput.split(separator: "\n").count == 12, "\(result)")
  }
}
