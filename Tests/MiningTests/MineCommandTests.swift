import Foundation
import Mining
import Platform
import TestSupport
import Testing

@Suite struct MineCommandTests {
  private let fixture: MiningFixture
  private let folder: TemporaryFolder

  init() throws {
    fixture = try MiningFixture.shared.get()
    folder = try TemporaryFolder("mine")
  }

  private func arguments(_ more: String...) -> [String] {
    [
      "mine", "--index", fixture.index, "--queries", fixture.path + "/queries.tsv", "--qrels",
      fixture.path + "/qrels",
    ] + more
  }

  @Test func `the command writes what the library does, to a file and to standard output`() throws {
    let options = fixture.options("library", .words(.init()))
    let report = try fixture.mine(options).report
    let expected = String(decoding: try FileSystem.read(options.output), as: UTF8.self)
    let file = try CLIRunner.run(arguments("--from", "words", "-o", folder.path + "/out"))
    #expect(file.exitCode == 0, "\(file)")
    #expect(file.standardError.contains("\(report.triples) triples of 40 queries"), "\(file)")
    #expect(file.standardError.contains("relevant"))
    #expect(try FileSystem.read(folder.path + "/out") == Array(expected.utf8))
    let piped = try CLIRunner.run(arguments("--from", "words", "-o", "-", "--quiet"))
    #expect(piped.exitCode == 0 && piped.standardOutput == expected)
    let json = try CLIRunner.run(
      arguments("--from", "words", "-o", folder.path + "/out", "--overwrite", "--json"))
    let decoded = try JSONDecoder().decode(
      MiningReport.self, from: Data(json.standardOutput.utf8))
    #expect(decoded.triples == report.triples && decoded.counts == report.counts)
    #expect(try FileSystem.names(in: folder.path) == ["out"])
  }

  @Test func `killed at any moment, mining resumes to the same bytes`() throws {
    let seed: UInt64 = 61
    var random = SplitMix64(seed: seed)
    func mine(_ output: String, _ more: String...) -> [String] {
      arguments(
        "--from", "vectors", "--teacher", fixture.path + "/teacher", "--ranks", "1-60",
        "--min-margin", "0.1", "--threads", "2", "--quiet", "-o", folder.path + "/" + output)
        + more
    }
    let whole = try CLIRunner.run(mine("whole"))
    #expect(whole.exitCode == 0, "\(whole)")
    let expected = try FileSystem.read(folder.path + "/whole")
    let out = folder.path + "/out"
    var kills = 0
    for _ in 0..<Soak.times(3) {
      let lines = Int(random.next() % 32)
      let process = try CLIRunner.start(mine("out", "--resume"))
      _ = process.wait {
        ((try? FileSystem.read(out + ".part"))?.count { $0 == 10 } ?? -1) >= lines
      }
      process.send(SIGKILL)
      if try process.wait().signal == SIGKILL { kills += 1 }
    }
    #expect(kills > 0, "seed \(seed): mining was too fast to be killed")
    let isLeft = FileSystem.kind(of: out) == .nothing
    if isLeft {
      let refused = try CLIRunner.run(mine("out"))
      #expect(refused.exitCode == 64 && refused.standardError.contains("--resume"), "\(refused)")
      let other = try CLIRunner.run(mine("out", "--resume", "--seed", "2"))
      #expect(other.exitCode == 64 && other.standardError.contains("other options"), "\(other)")
      // What a kill in the middle of a line leaves behind.
      let part = try FileSystem.read(out + ".part")
      try folder.file("out.part", part + Array("99\t1 2".utf8))
    }
    let resumed = try CLIRunner.run(mine("out", "--resume"))
    #expect(resumed.exitCode == 0, "\(resumed)")
    #expect(try FileSystem.read(out) == expected, "seed \(seed)")
    #expect(!isLeft || resumed.standardError == whole.standardError)
    #expect(try FileSystem.names(in: folder.path).sorted() == ["out", "whole"])
  }

  private static let mistakes: [(more: [String], reason: String)] = [
    ([], "say what ranks the passages"), (["--from", "words", "--run", "x"], "say what ranks"),
    (["--from", "words", "--exact"], "need --from vectors"),
    (["--from", "vectors", "--k1", "1"], "need --from words"),
    (["--from", "vectors", "--exact", "--ef-search", "9"], "leave --ef-search out"),
    (["--from", "words", "--ranks", "9-3"], "--ranks is first-last"),
    (["--from", "words", "--ranks", "5"], "--ranks is first-last"),
    (["--from", "words", "--max-length", "9"], "--max-length is of --teacher"),
    (["--from", "words", "--max-ratio", "2"], "--max-ratio must lie"),
    (["--from", "words", "-o", "-", "--json"], "would both print"),
  ]

  @Test func `wrong usage is named by the command`() throws {
    for (more, reason) in Self.mistakes {
      let result = try CLIRunner.run(arguments("-o", folder.path + "/wrong") + more)
      #expect(result.exitCode == 64 && result.standardError.contains(reason), "\(result)")
    }
    let plain = try CLIRunner.run(
      [
        "index", "build", "--vectors",
        try folder.file("v.fbin", [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        "--output", folder.path + "/plain", "--quiet",
      ])
    #expect(plain.exitCode == 0, "\(plain)")
    let qrels = try folder.file("plain.qrels", "q1 0 0 1\n")
    for (source, reason) in [("words", "add-lexical"), ("vectors", "was built from vectors")] {
      let result = try CLIRunner.run([
        "mine", "--index", folder.path + "/plain", "--queries", fixture.path + "/queries.tsv",
        "--qrels", qrels, "--from", source, "-o", folder.path + "/wrong",
      ])
      #expect(result.exitCode == 64 && result.standardError.contains(reason), "\(result)")
    }
  }
}
