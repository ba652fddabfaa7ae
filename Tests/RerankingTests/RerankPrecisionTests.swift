import Foundation
import Indexing
import Models
import Platform
import Reranking
import Retrieval
import TestSupport
import Testing

/// The precision of re-rankers behind the commands.
@Suite struct RerankPrecisionTests {
  private let fixture: RerankFixture
  private var path: String { fixture.path }
  private var index: String { path + "/index" }
  private var colbert: String { "colbert:" + path + "/colbert" }
  private var prettr: String { "prettr:" + path + "/prettr" }

  init() throws {
    fixture = try RerankFixture()
    try TinyEncoder.write(to: path + "/colbert", head: .projection)
    try fixture.writePreTTR(to: "prettr", compression: nil)
  }

  private func rerank(
    _ model: String, _ more: [String] = [], expecting code: Int32 = 0
  ) throws -> CLIResult {
    try fixture.run(
      [
        "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--corpus",
        path + "/corpus.tsv", "--model", model, "-o", "-",
      ] + more, expecting: code)
  }

  private func precision(ofTerms number: Int = 0, in index: String? = nil) throws -> String? {
    try #require(try PassageIndex(path: index ?? self.index).manifest.terms)[number].precision
  }

  @Test func `rerank scores in the precision it is told`() throws {
    for model in ["cat:" + fixture.model, colbert, prettr] {
      var options = fixture.options("library")
      options.reranker = try RerankerName(model)
      options.overwrite = true
      for precision in [EncoderPrecision.f32, .bf16, .int8] {
        options.settings.precision = precision
        let report = try #require(try RunReranking.rerank(options, quiet: true))
        #expect(report.precision == precision)
        let expected = try FileSystem.read(path + "/library")
        let result = try rerank(model, ["--precision", precision.rawValue, "--threads", "1"])
        #expect(result.standardOutput == String(decoding: expected, as: UTF8.self))
        #expect(result.standardError.contains("re-ranked in \(precision.rawValue), 0 behind"))
      }
      // auto is one of them.
      let auto = try rerank(model).standardOutput
      let all = try ["f32", "bf16", "int8"].map { try rerank(model, ["--precision", $0]) }
      #expect(all.map(\.standardOutput).contains(auto))
      #expect(Set(all.map(\.standardOutput)).count == 3)
    }
  }

  @Test func `a precision that is none, or that the model does not have, is wrong usage`() throws {
    try fixture.writeTK(to: "tk")
    try fixture.build()
    let tk = "tk:" + path + "/tk"
    let unknown = "is invalid for '"
    let wrong: [(arguments: [String], reason: String)] = [
      (["search", index, "gold", "--rerank", colbert, "--rerank-precision", "int4"], unknown),
      (
        ["search", index, "gold", "--rerank", tk, "--rerank-precision", "int8"],
        "tk computes in f32"
      ),
      (
        ["search", index, "gold", "--rerank-precision", "int8"],
        "--rerank-precision needs --rerank or --retrieve"
      ),
      (["index", "add-terms", index, "--terms", colbert, "--term-precision", "f16"], unknown),
      (
        ["index", "add-terms", index, "--terms", tk, "--term-precision", "bf16"],
        "tk computes in f32"
      ),
      (
        [
          "index", "build", "--corpus", path + "/corpus.tsv", "-o", path + "/x",
          "--term-precision", "int8",
        ], "--term-precision needs --terms"
      ),
    ]
    for (arguments, reason) in wrong {
      let result = try fixture.run(arguments, expecting: 64)
      #expect(result.standardError.contains(reason), "\(result)")
    }
    for (model, precision, reason) in [
      (colbert, "float", unknown), (tk, "int8", "tk computes in f32"),
    ] {
      let result = try rerank(model, ["--precision", precision], expecting: 64)
      #expect(result.standardError.contains(reason), "\(result)")
    }
    #expect(try rerank(tk, ["--precision", "f32"]).exitCode == 0)
  }

  // MARK: Stored terms

  @Test func `terms say what they were computed in, and questions are read alike`() throws {
    try fixture.build(["--terms", "\(colbert),\(prettr)", "--term-precision", "int8"])
    let info = try fixture.run(["index", "info", index]).standardOutput
    #expect(info.components(separatedBy: "computed in int8, ").count == 3, "\(info)")
    for (number, model) in [colbert, prettr].enumerated() {
      #expect(try precision(ofTerms: number) == "int8")
      let followed = try fixture.rerank(model, index: index)
      #expect(!followed.standardError.contains("encoded as they are read"), "\(followed)")
      #expect(followed.standardError.contains("re-ranked in int8"))
      let int8 = try fixture.rerank(model, index: index, ["--precision", "int8"])
      #expect(followed.standardOutput == int8.standardOutput)
      // A question in f32 finds the same terms.
      let mixed = try fixture.rerank(model, index: index, ["--precision", "f32"])
      #expect(!mixed.standardError.contains("encoded as they are read"), "\(mixed)")
      #expect(mixed.standardOutput != int8.standardOutput)
      for precision in ["int8", "f32", "auto"] {
        let found = try fixture.run([
          "search", index, "gold river", "--rerank", model, "--depth", "12", "--rerank-precision",
          precision,
        ])
        #expect(!found.standardError.contains("encoded as they are read"), "\(found)")
      }
    }
    for precision in ["int8", "f32"] {
      try fixture.run([
        "search", index, "gold river", "--retrieve", colbert, "--rerank-precision", precision,
      ])
    }
    // Where one of the models has the precision it is no mistake.
    try fixture.writeTK(to: "tk")
    try fixture.run([
      "search", index, "gold river", "--retrieve", colbert, "--rerank", "tk:" + path + "/tk",
      "--depth", "12", "--rerank-precision", "int8",
    ])
  }

  @Test func `terms of f32 say nothing, and another precision replaces them`() throws {
    let add = ["index", "add-terms", index, "--terms", colbert]
    try fixture.build(["--terms", colbert, "--term-precision", "f32"])
    #expect(try precision() == nil)
    // What is there is what auto makes: nothing is encoded again.
    #expect(try fixture.run(add).standardError.contains("nothing to do"))
    try fixture.run(add + ["--term-precision", "int8", "--quiet"])
    #expect(try precision() == "int8")
    #expect(try PassageIndex(path: index).manifest.terms?.count == 1)
    #expect(try fixture.run(add).standardError.contains("nothing to do"))
    // The codec may change without the precision.
    try fixture.run(add + ["--term-codec", "f16", "--quiet"])
    #expect(try precision() == "int8")
    try fixture.run(["index", "verify", index])
  }

  @Test func `passages that are added later are encoded in the precision of the others`() throws {
    let lines = fixture.corpus.tsv.split(separator: "\n").map { $0 + "\n" }
    try fixture.folder.file("first.tsv", lines.prefix(30).joined())
    try fixture.folder.file("rest.tsv", lines.dropFirst(30).joined())
    let terms = ["--terms", prettr, "--term-precision", "int8", "--term-codec", "f32"]
    try fixture.build(terms)
    let whole = try RerankFixture.scores(fixture.rerank(prettr, index: index))
    for named in [[], ["--terms", prettr]] {
      try fixture.build(terms + ["--overwrite"], corpus: "first.tsv", to: "parts")
      try fixture.run(
        ["index", "add", path + "/parts", "--corpus", path + "/rest.tsv", "--quiet"] + named)
      #expect(try precision(in: path + "/parts") == "int8")
      let parts = try RerankFixture.scores(fixture.rerank(prettr, index: path + "/parts"))
      #expect(parts == whole)
    }
    // Stored as they are they score as the passages do, in int8 as in f32.
    let fresh = try RerankFixture.scores(rerank(prettr, ["--precision", "int8", "--quiet"]))
    #expect(fresh == whole)
  }

  @Test func `a program cannot mix precisions in one set of terms`() throws {
    try fixture.build(["--precision", "f32", "--terms", colbert, "--term-precision", "int8"])
    let stored = try #require(try PassageIndex(path: index).manifest.terms?.first)
    let source = TermSource(
      kind: stored.kind, path: stored.path, fingerprint: stored.fingerprint,
      dimension: stored.dimension, precision: .f32
    ) { _, _ throws(RetortError) in throw RetortError(.badData, "nobody should ask") }
    let encoder = try TextEncoder(directory: path + "/encoder")
    let error = #expect(throws: RetortError.self) {
      try IndexAddition.add(
        IndexAdditionOptions(index: index, corpus: path + "/corpus.tsv"), encoder: encoder,
        modelPath: path + "/encoder", terms: [source], quiet: true)
    }
    #expect(
      error?.message.contains("computed in int8, and the model was loaded to compute in f32")
        == true)
    try fixture.run(["index", "verify", index])
  }

  @Test
  func `half precision of what PreTTR keeps moves scores of eight bits by less than those do`()
    throws
  {
    func spreadless(_ one: [String: Double], _ other: [String: Double]) -> Double {
      let errors = one.map { key, score in score - (other[key] ?? .infinity) }
      let mean = one.values.reduce(0, +) / Double(one.count)
      let spread = one.values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      return (errors.reduce(0) { $0 + $1 * $1 } / spread).squareRoot()
    }
    try fixture.build(["--terms", prettr, "--term-precision", "int8"])
    let stored = try RerankFixture.scores(fixture.rerank(prettr, index: index))
    let fresh = try RerankFixture.scores(rerank(prettr, ["--precision", "int8", "--quiet"]))
    let exact = try RerankFixture.scores(rerank(prettr, ["--precision", "f32", "--quiet"]))
    let (moved, error) = (spreadless(stored, fresh), spreadless(fresh, exact))
    #expect(moved > 0 && moved < error && error < 0.1, "\(moved) and \(error) of the spread")
  }

  // MARK: Quantised copies

  @Test func `a quantised copy re-ranks, stores terms and says that it holds int8 only`() throws {
    try fixture.build()
    for (name, model) in [
      ("cat", fixture.model), ("colbert", path + "/colbert"), ("prettr", path + "/prettr"),
    ] {
      let copy = path + "/\(name)-int8"
      let made = try fixture.run(["model", "quantize", model, "--output", copy])
      #expect(made.standardOutput.contains("correlation:   0.9"), "\(made)")
      let info = try fixture.run(["model", "info", copy]).standardOutput
      #expect(info.contains("precision:     int8 (as stored; stored as F32, I32, I8)"), "\(info)")
      let scores = try RerankFixture.scores(rerank("\(name):\(copy)"))
      #expect(scores.count == 7 * 12)
      let refused = try rerank("\(name):\(copy)", ["--precision", "f32"], expecting: 64)
      #expect(refused.standardError.contains("holds int8 weights only"), "\(refused)")
      guard name != "cat" else { continue }
      let model = "\(name):\(copy)"
      try fixture.run([
        "index", "add-terms", index, "--terms", model, "--quiet", "--term-codec", "f32",
      ])
      let stored = try fixture.rerank(model, index: index)
      #expect(!stored.standardError.contains("encoded as they are read"), "\(stored)")
      for (key, score) in try RerankFixture.scores(stored) {
        #expect(abs(score - (scores[key] ?? .infinity)) < 1e-4, "\(name) \(key)")
      }
    }
  }
}
