import Foundation
import Models
import Platform
import Reranking
import Retrieval
import TestSupport
import Testing

/// Stored words of TK and stored states of PreTTR, behind the commands.
@Suite struct StoredKindsTests {
  private let fixture: RerankFixture
  private var path: String { fixture.path }
  private var index: String { path + "/index" }
  private var tk: String { "tk:" + path + "/tk" }
  private var prettr: String { "prettr:" + path + "/prettr" }
  private var small: String { "prettr:" + path + "/small" }

  init() throws {
    fixture = try RerankFixture()
    try fixture.writeTK(to: "tk")
    try fixture.writePreTTR(to: "prettr", compression: nil)
    try fixture.writePreTTR(to: "small", compression: 8)
  }

  private func scores(_ model: String, index name: String = "index") throws -> [String: Double] {
    let result = try fixture.rerank(model, index: path + "/" + name)
    #expect(!result.standardError.contains("encoded as they are read"), "\(result)")
    return try RerankFixture.scores(result)
  }

  /// The scores of the texts.
  private func fresh(_ model: String, _ precision: String = "auto") throws -> [String: Double] {
    try RerankFixture.scores(
      try fixture.run([
        "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--corpus",
        path + "/corpus.tsv", "--model", model, "-o", "-", "--quiet", "--precision", precision,
      ]))
  }

  /// The largest difference between two sets of scores of the same passages.
  private func difference(_ one: [String: Double], _ other: [String: Double]) -> Double {
    #expect(!one.isEmpty && Set(one.keys) == Set(other.keys))
    return one.map { key, score in abs(score - (other[key] ?? .infinity)) }.max() ?? .infinity
  }

  @Test func `a build stores what an addition stores, for all three kinds at once`() throws {
    try TinyEncoder.write(to: path + "/colbert", head: .projection)
    let all = [tk, prettr, "colbert:" + path + "/colbert"].joined(separator: ",")
    try fixture.build(["--terms", all])
    try fixture.build(to: "later")
    try fixture.run([
      "index", "add-terms", path + "/later", "--terms", all, "--quiet", "--threads", "1",
    ])
    let (one, two) = (try contents(of: index), try contents(of: path + "/later"))
    for (role, number) in [("terms", 1), ("terms", 2), ("terms", 3), ("book", 3)] {
      let bytes = try #require(one["segments/000001/\(role)-\(number).seg"])
      #expect(bytes == two["segments/000002/\(role)-\(number)-000001.seg"], "\(role) \(number)")
    }
    for name in ["index", "later"] {
      let info = try fixture.run(["index", "info", path + "/" + name]).standardOutput
      // What would be unusual for ColBERT is usual for the others.
      let stored = info.split(separator: "\n").filter { $0.contains("bytes a passage") }
      let starts = ["f16, dimension 20,", "f16, dimension 32,", "residual-2, dimension 16,"]
      #expect(stored.count == 3, "\(info)")
      #expect(zip(stored, starts).allSatisfy { $0.drop { $0 == " " }.hasPrefix($1) }, "\(info)")
      try fixture.run(["index", "verify", path + "/" + name])
    }
    for model in [tk, prettr] { #expect(try scores(model) == scores(model, index: "later")) }
  }

  @Test func `passages that are added later get their words and states, too`() throws {
    let lines = fixture.corpus.tsv.split(separator: "\n").map { $0 + "\n" }
    try fixture.folder.file("first.tsv", lines.prefix(30).joined())
    try fixture.folder.file("rest.tsv", lines.dropFirst(30).joined())
    try fixture.build(["--terms", "\(tk),\(prettr)"])
    try fixture.build(["--terms", "\(tk),\(prettr)"], corpus: "first.tsv", to: "parts")
    try fixture.run([
      "index", "add", path + "/parts", "--corpus", path + "/rest.tsv", "--quiet",
    ])
    for isMerged in [false, true] {
      if isMerged { try fixture.run(["index", "merge", path + "/parts", "--quiet"]) }
      try fixture.run(["index", "verify", path + "/parts"])
      for model in [tk, prettr] {
        let kept = try scores(model, index: "parts")
        #expect(try kept.count == 7 * 12 && kept == scores(model), "\(model) \(isMerged)")
      }
    }
  }

  private static let codecs: [(codec: String, tk: Double, prettr: Double)] = [
    ("f32", 1e-4, 1e-4), ("f16", 1e-3, 5e-3), ("int8", 0.05, 0.1), ("residual-4", 0.5, 2),
  ]

  @Test(arguments: codecs)
  func `stored words and states re-rank as the texts do`(
    codec: String, tk tolerance: Double, prettr states: Double
  ) throws {
    try fixture.build([
      "--terms", [tk, prettr, small].joined(separator: ","), "--term-codec", codec,
      "--term-precision", "f32",
    ])
    for (model, tolerance) in [(tk, tolerance), (prettr, states), (small, states)] {
      let (kept, texts) = (try scores(model), try fresh(model, "f32"))
      #expect(kept.count == 7 * 12)
      let most = difference(kept, texts)
      #expect(most <= tolerance, "\(codec) \(model): \(most)")
      // They are what is stored, not the texts once more.
      if codec != "f32" { #expect(most > 0, "\(codec) \(model)") }
      let spread = (texts.values.max() ?? 0) - (texts.values.min() ?? 0)
      #expect(spread > 1, "\(model) tells nothing apart")
    }
  }

  @Test func `sub-scores of TK come from the stored words`() throws {
    try fixture.build(["--terms", tk])
    let model = try TK(directory: path + "/tk")
    let opened = try PassageIndex(path: index)
    let cascade = try RerankCascade([.init(model, depth: 12)])
    for query in fixture.queries {
      let hits = (0..<12).map { SearchHit(number: $0, score: Float(-$0)) }
      let reranked = try cascade.rerank(query.text, hits, in: opened, threads: 2).hits
      let explanations = try cascade.explain(query.text, reranked, in: opened, threads: 2)
      for (hit, explanation) in zip(reranked, explanations) {
        let (words, kernels) = model.histogram(
          query: query.text, passage: try opened.passage(hit.number).text)
        let stored = try #require(explanation?.kernels)
        #expect(explanation?.words == words && stored.count == kernels.count)
        for (kept, fresh) in zip(stored, kernels) {
          #expect((kept.mean, kept.weight) == (fresh.mean, fresh.weight))
          #expect(abs(kept.feature - fresh.feature) <= 0.05 * max(1, abs(fresh.feature)))
          for (count, other) in zip(kept.counts, fresh.counts) {
            #expect(abs(count - other) <= 0.02)
          }
        }
      }
    }
  }

  @Test func `deleted and unknown candidates are counted, and merging keeps the scores`() throws {
    try fixture.build(["--terms", "\(tk),\(prettr)"])
    let before = try [tk, prettr].map { try scores($0) }
    let gone = fixture.candidate(0, 1).id
    let more = "q0 Q0 nobody 13 1 x\nq99 Q0 \(fixture.candidate(0, 0).id) 1 5 x\n"
    try fixture.folder.file("run.trec", fixture.run(perQuery: 12) + more)
    try fixture.run(["index", "delete", index, gone, "--quiet"])
    for merged in [false, true] {
      if merged { try fixture.run(["index", "merge", index, "--quiet"]) }
      try fixture.run(["index", "verify", index])
      for (model, before) in zip([tk, prettr], before) {
        // A merge forgets who was deleted; then they are unknown.
        let share = merged ? "0.2" : "0.03"
        let result = try fixture.rerank(model, index: index, ["--max-unknown", share])
        let left = before.filter { !$0.key.hasSuffix(" " + gone) }
        #expect(left.count < before.count)
        #expect(try RerankFixture.scores(result) == left, "\(model), merged: \(merged)")
        #expect(result.standardError.contains("1 name a query that"), "\(result)")
        if !merged {
          #expect(result.standardError.contains("were deleted from the index"), "\(result)")
          let few = try fixture.rerank(model, index: index, expecting: 65)
          #expect(few.standardError.contains("--max-unknown"), "\(few)")
        }
      }
    }
  }

  @Test func `passages of one word or none, and empty questions, have scores`() throws {
    try fixture.folder.file(
      "corpus.tsv",
      "one\tgold\nnone\t\npoint\t. ,\nunknown\tqqqq\nlong\t"
        + String(repeating: "water river ", count: 300) + "\n")
    try fixture.folder.file("topics.tsv", "1\tgold\n2\t\n3\t,\n4\twater gold river\n")
    let ids = ["one", "none", "point", "unknown", "long"]
    let run = (1...4).map { query in
      ids.enumerated().map { "\(query) Q0 \($1) \($0 + 1) \(9 - $0) x\n" }.joined()
    }
    try fixture.folder.file("run.trec", run.joined())
    for codec in ["f32", "residual-2"] {
      try fixture.build([
        "--terms", [tk, prettr, small].joined(separator: ","), "--term-codec", codec, "--overwrite",
      ])
      try fixture.run(["index", "verify", index])
      for model in [tk, prettr, small] {
        let kept = try scores(model)
        #expect(kept.count == 20 && kept.values.allSatisfy(\.isFinite), "\(codec) \(model)")
        if codec == "f32" { #expect(difference(kept, try fresh(model)) <= 1e-4, "\(model)") }
        let explained = try fixture.run([
          "search", index, "gold", "--rerank", model, "--depth", "5", "-k", "5", "--explain",
          "--json", "--quiet",
        ])
        #expect(explained.standardOutput.matches(of: /"explanation"/).count == 5, "\(model)")
      }
    }
  }

  @Test func `a model of another body or dimension is told with both, and reads the texts`() throws
  {
    try fixture.build(["--terms", "\(tk),\(prettr)"])
    let stored = try #require(try PassageIndex(path: index).manifest.terms)
    let names = stored.map {
      "\($0.name), dimension \($0.dimension), fingerprint \($0.fingerprint.prefix(16))"
    }
    try fixture.writeTK(to: "wide", dimension: 24)
    try fixture.writeTK(to: "other", seed: 4)
    try fixture.writePreTTR(to: "body", compression: nil, seed: 2)
    let others: [(model: String, reranker: any TermReranker)] = [
      ("tk:" + path + "/wide", try TK(directory: path + "/wide")),
      ("tk:" + path + "/other", try TK(directory: path + "/other")),
      (small, try PreTTR(directory: path + "/small")),
      ("prettr:" + path + "/body", try PreTTR(directory: path + "/body")),
    ]
    for (model, reranker) in others {
      let result = try fixture.rerank(model, index: index)
      let note =
        "the index stores term vectors of other weights or settings (\(names[0]); \(names[1])) than "
        + "this model's (dimension \(reranker.termDimension), fingerprint "
        + "\(reranker.termFingerprint.prefix(16))); candidates are encoded as they are read"
      #expect(result.standardError.contains(note), "\(result)")
      #expect(difference(try RerankFixture.scores(result), try fresh(model)) == 0)
    }
    // Shorter passages are other terms of the same weights.
    let short = try fixture.rerank(tk, index: index, ["--max-length", "5"])
    #expect(short.standardError.contains("other weights or settings"), "\(short)")
  }

  @Test func `stored words and states that are cut short or flipped name the file`() throws {
    try fixture.build(["--terms", "\(tk),\(prettr)", "--term-codec", "int8"])
    for (number, model) in [(1, tk), (2, prettr)] {
      let file = index + "/segments/000001/terms-\(number).seg"
      let whole = try FileSystem.read(file)
      let search = ["search", index, "gold", "--rerank", model, "-k", "60", "--depth", "60"]
      var refused = 0
      let seed = UInt64(40 + number)
      var random = SplitMix64(seed: seed)
      for round in 0..<6 {
        var bytes = whole
        if round % 2 == 0 {
          bytes = Array(bytes.prefix(Int(random.next() % UInt64(bytes.count))))
        } else {
          bytes[Int(random.next() % UInt64(bytes.count))] ^= 1 << UInt8(random.next() % 8)
        }
        try FileSystem.replace(file, with: bytes)
        let checked = try CLIRunner.run(["index", "verify", index])
        let result = try CLIRunner.run(search)
        for answer in [checked, result] {
          #expect([0, 65].contains(answer.exitCode), "seed \(seed), \(round): \(answer)")
          guard answer.exitCode == 65 else { continue }
          #expect(answer.standardError.contains("terms-\(number).seg"), "\(answer)")
        }
        // A bit may fall between sections, where nothing lies.
        if checked.exitCode == 65 { refused += 1 }
        if round % 2 == 0 { #expect(result.exitCode == 65, "seed \(seed), \(round)") }
      }
      #expect(refused >= 4, "seed \(seed)")
      var bytes = whole
      bytes[4096 + 40] ^= 2
      try FileSystem.replace(file, with: bytes)
      let flipped = try fixture.run(search, expecting: 65)
      #expect(flipped.standardError.contains("section \"rows\" is damaged"), "\(flipped)")
      try FileSystem.replace(file, with: whole)
      try fixture.run(search)
    }
  }
}
