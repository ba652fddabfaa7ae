import Foundation
import Platform
import Reranking
import TestSupport
import Testing

@Suite struct RerankCommandTests {
  private let fixture: RerankFixture

  init() throws { fixture = try RerankFixture() }

  private func rerank(_ arguments: [String], input: [UInt8] = []) throws -> CLIResult {
    let path = fixture.folder.path
    return try CLIRunner.run(
      [
        "rerank", "--topics", path + "/topics.tsv", "--corpus", path + "/corpus.tsv", "--model",
        "cat:" + fixture.model, "--precision", "f32",
      ] + arguments, input: input)
  }

  @Test func `the command writes what the library does, to a file and to standard output`() throws {
    let path = fixture.folder.path
    _ = try RunReranking.rerank(fixture.options("library"), quiet: true)
    let result = try rerank([path + "/run.trec", "-o", path + "/out"])
    #expect(result.exitCode == 0, "\(result)")
    #expect(
      result.standardError.contains("7 queries, 84 candidates re-ranked in f32, 0 behind the depth")
    )
    let expected = try FileSystem.read(path + "/library")
    #expect(try FileSystem.read(path + "/out") == expected)
    let run = try FileSystem.read(path + "/run.trec")
    let piped = try rerank(["-", "-o", "-", "--quiet"], input: run)
    #expect(piped.standardOutput == String(decoding: expected, as: UTF8.self))
    #expect(!piped.standardError.contains("re-ranked"), "\(piped)")
    let again = try rerank([path + "/run.trec", "-o", path + "/out"])
    #expect(again.exitCode == 64 && again.standardError.contains("--overwrite"))
    let json = try rerank([path + "/run.trec", "-o", path + "/out", "--overwrite", "--json"])
    let report = try JSONDecoder().decode(
      RunRerankingReport.self, from: Data(json.standardOutput.utf8))
    #expect(report.candidates == 84)
  }

  @Test func `interrupted it keeps what it has, and goes on`() throws {
    let path = fixture.folder.path
    let queries = (0..<3000).map { "q\($0)\t\(TinyEncoder.words[$0 % 90])\n" }
    try fixture.folder.file("topics.tsv", queries.joined())
    let run = (0..<3000).map { query in
      (0..<20).map { "q\(query) Q0 \(fixture.candidate(query, $0).id) 1 \(9 - $0) x\n" }.joined()
    }
    try fixture.folder.file("run.trec", run.joined())
    let arguments = [
      "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--corpus",
      path + "/corpus.tsv", "--model", "cat:" + fixture.model, "-o", path + "/out",
    ]
    let process = try CLIRunner.start(arguments)
    #expect(process.wait { (try? FileSystem.size(of: path + "/out.part")) ?? 0 > 10_000 })
    let stopped = try process.interrupt()
    #expect(stopped.exitCode == 130, "\(stopped)")
    #expect(stopped.standardError.contains("run the same command with --resume"))
    #expect(FileSystem.kind(of: path + "/out") == .nothing)
    let kept = try FileSystem.read(path + "/out.part").count { $0 == 10 }
    #expect(kept >= 256 && kept % 20 == 0)
  }

  private static let mistakes: [(more: [String], reason: String)] = [
    (["--index", "x"], "give --index or --corpus"),
    (["--depth", "0"], "--depth must be at least 1"),
    (["--max-unknown", "2"], "--max-unknown must lie in 0...1"),
    (["--model", "dog:x"], "is no re-ranker; write cat:MODEL"),
    (["--json", "-o", "-"], "would both print"),
  ]

  @Test(arguments: mistakes)
  func `wrong usage is named`(more: [String], reason: String) throws {
    let path = fixture.folder.path
    let result = try rerank([path + "/run.trec", "-o", path + "/out"] + more)
    #expect(result.exitCode == 64)
    #expect(result.standardError.contains(reason), "\(result)")
  }

  @Test func `an encoder without a head is refused, and a model that is not there`() throws {
    let path = fixture.folder.path
    try TinyEncoder.write(to: path + "/encoder")
    for (model, code) in [("cat:" + path + "/encoder", 65), ("cat:" + path + "/none", 66)] {
      let result = try rerank([path + "/run.trec", "-o", path + "/out", "--model", model])
      #expect(result.exitCode == Int32(code), "\(result)")
    }
  }
}
