import Foundation
import Indexing
import Platform
import Retrieval
import TestSupport
import Testing

@Suite struct IndexOutputTests {
  private let fixture: CLIFixture
  private let folder: TemporaryFolder
  private var output: String { folder.path + "/index" }

  init() throws {
    fixture = try CLIFixture.shared.get()
    folder = try TemporaryFolder("build-output")
  }

  /// Leaves a build behind that broke off after some blocks.
  private func breakOff(_ more: String...) throws -> CLIResult {
    let lines = fixture.corpus.tsv.split(separator: "\n", omittingEmptySubsequences: false)
    let path = try folder.file("corpus.tsv", lines[..<230].joined(separator: "\n") + "\nbad\n")
    let result = try CLIRunner.run(fixture.arguments(path, output) + more)
    try folder.file("corpus.tsv", fixture.corpus.tsv)
    return result
  }

  @Test func `a finished index is not touched without --overwrite`() throws {
    let before = try contents(of: fixture.index)
    let result = try fixture.build(fixture.corpusPath, to: fixture.index)
    #expect(result.exitCode == 64)
    #expect(result.standardError.contains("is a finished index; add --overwrite"))
    #expect(try contents(of: fixture.index) == before)
  }

  @Test func `resuming what is finished already is no error, unless it asks for something else`()
    throws
  {
    let before = try contents(of: fixture.index)
    let again = try fixture.build(fixture.corpusPath, to: fixture.index, "--resume")
    #expect(again.exitCode == 0, "\(again)")
    let other = try fixture.build(fixture.corpusPath, to: fixture.index, "--resume", "--seed", "1")
    #expect(other.exitCode == 64)
    #expect(other.standardError.contains("is a finished index of another corpus, model or graph"))
    #expect(try contents(of: fixture.index) == before)
  }

  @Test func `resuming and overwriting leave what is finished alone, and replace anything else`()
    throws
  {
    #expect(try fixture.build(fixture.corpusPath, to: output).exitCode == 0)
    let before = try contents(of: output)
    let again = try fixture.build(fixture.corpusPath, to: output, "--overwrite", "--resume")
    #expect(again.exitCode == 0, "\(again)")
    #expect(try contents(of: output) == before)
    let other = try fixture.build(
      fixture.corpusPath, to: output, "--overwrite", "--resume", "--seed", "1")
    #expect(other.exitCode == 0, "\(other)")
    #expect(try PassageIndex(path: output).manifest.graph.seed == 1)
    #expect(try PassageIndex(path: output).manifest.generation == 2)
  }

  @Test func `the report says how the threads' time was shared`() throws {
    let result = try fixture.build(fixture.corpusPath, to: output, "--json")
    let report = try JSONDecoder().decode(
      IndexBuildReport.self, from: Data(result.standardOutput.utf8))
    let stages = report.stages
    for seconds in [stages.read, stages.tokenize, stages.encode, stages.graph, stages.write] {
      #expect(seconds > 0)
    }
    // Reading has a thread of its own; the others share two.
    #expect(report.threads == 2 && stages.total - stages.read <= 2 * report.seconds)
    let text = try CLIRunner.run(
      fixture.arguments(fixture.corpusPath, output).filter { $0 != "--quiet" } + ["--overwrite"])
    #expect(text.standardError.contains("time of the 2 threads: read "), "\(text)")
  }

  @Test func `an unfinished build asks for --resume and finishes with it`() throws {
    #expect(try breakOff().exitCode == 65)
    let corpus = folder.path + "/corpus.tsv"
    let plain = try fixture.build(corpus, to: output)
    #expect(plain.exitCode == 64)
    #expect(plain.standardError.contains("add --resume"))
    for command in [["index", "info", output], ["search", output, "gold"]] {
      let result = try CLIRunner.run(command)
      #expect(result.exitCode == 66)
      #expect(result.standardError.contains("--resume"))
    }
    #expect(try fixture.build(corpus, to: output, "--resume").exitCode == 0)
    #expect(try segments(of: output) == segments(of: fixture.index))
  }

  @Test func `resuming with other settings names the difference`() throws {
    #expect(try breakOff().exitCode == 65)
    let corpus = folder.path + "/corpus.tsv"
    let before = try contents(of: output)
    for (more, text) in [
      (["--m", "12"], "--m: now 12, then 8"), (["--seed", "7"], "--seed: now 7, then 42"),
      (["--ef-construction", "50"], "--ef-construction: now 50, then 40"),
      (["--batch-size", "51"], "--batch-size: now 51, then 50"),
      (["--skip-bad-lines"], "--skip-bad-lines: now true, then false"),
      (["--format", "tsv"], "--format: now tsv, then auto"),
      (["--fields", "b, a"], "--fields: now a,b, then all"),
      (["--max-length", "9"], "the model (weights, tokenizer, pooling or --max-length)"),
      (["--model", fixture.folder.path + "/other-model"], "the model (weights, tokenizer"),
      (["--corpus", fixture.corpusPath], "--corpus: now \(fixture.corpusPath), then \(corpus)"),
    ] {
      let result = try CLIRunner.run(
        replacing(fixture.arguments(corpus, output), by: more) + ["--resume"])
      #expect(result.exitCode == 64, "\(more): \(result)")
      #expect(result.standardError.contains(text), "\(more): \(result)")
    }
    #expect(try contents(of: output) == before)
  }

  /// Options given once: `more` takes the place of those of the same name.
  private func replacing(_ arguments: [String], by more: [String]) -> [String] {
    var arguments = arguments
    if let place = more.first.flatMap({ arguments.firstIndex(of: $0) }) {
      arguments.removeSubrange(place...(place + 1))
    }
    return arguments + more
  }

  @Test func `resuming with a corpus that changed is an error`() throws {
    #expect(try breakOff().exitCode == 65)
    for text in [
      fixture.corpus.tsv.replacingOccurrences(of: "p81-120\t", with: "p81-120\tchanged "),
      fixture.corpus.tsv.replacingOccurrences(of: "p81-3\t", with: "p81-3x\t"),
      fixture.corpus.tsv.split(separator: "\n").prefix(80).joined(separator: "\n"),
    ] {
      let corpus = try folder.file("corpus.tsv", text)
      let result = try fixture.build(corpus, to: output, "--resume")
      #expect(result.exitCode == 65, "\(result)")
      #expect(result.standardError.contains("the corpus is"))
      #expect(result.standardError.contains("--overwrite"))
    }
    let corpus = try folder.file("corpus.tsv", fixture.corpus.tsv)
    #expect(try fixture.build(corpus, to: output, "--resume").exitCode == 0)
    #expect(try segments(of: output) == segments(of: fixture.index))
  }

  @Test(arguments: ["notes.txt", "building/main.c", "segments/thesis.tex"])
  func `somebody's folder is left alone, whatever the flags`(file: String) throws {
    try folder.file("index/" + file, "precious")
    for flags in [[], ["--overwrite"], ["--resume"], ["--overwrite", "--resume"]] {
      let result = try CLIRunner.run(fixture.arguments(fixture.corpusPath, output) + flags)
      #expect(result.exitCode == 64, "\(result)")
      #expect(result.standardError.contains("exists and is not an index"))
    }
    #expect(try contents(of: output)[file] == Array("precious".utf8))
    #expect(try contents(of: output).keys.filter { !$0.hasSuffix("/") } == [file])
  }

  @Test func `two builds at once: the second is told, the first goes on`() throws {
    let first = try CLIRunner.start(fixture.arguments("-", output), input: nil)
    try first.type(fixture.corpus.tsv)
    #expect(first.wait { FileSystem.kind(of: output + "/building/block-000003.part") == .file })
    for flags in [[], ["--resume"], ["--overwrite"]] {
      let second = try CLIRunner.run(fixture.arguments("-", output) + flags)
      #expect(second.exitCode == 64)
      #expect(
        second.standardError.contains("another process is writing here; wait for it"), "\(second)")
    }
    // The pipe is idle now; a signal must be answered all the same.
    let result = try first.interrupt()
    #expect(result.exitCode == 130 && result.signal == 0)
    #expect(result.standardError.contains("--resume"))
    let resumed = try fixture.build(
      "-", to: output, "--resume", input: Array(fixture.corpus.tsv.utf8))
    #expect(resumed.exitCode == 0)
    #expect(try segments(of: output) == segments(of: fixture.index))
  }

  @Test(.enabled(if: Mount.isPossible, "mounting needs root: not tested"))
  func `a read-only place is an I/O error with the remedy`() throws {
    let mount = try Mount(folder.path + "/disk", options: "size=1m,ro")
    let result = try fixture.build(fixture.corpusPath, to: mount.path + "/index")
    #expect(result.exitCode == 74)
    #expect(
      result.standardError.contains(
        "Read-only file system; check the permissions or choose another place"), "\(result)")
  }

  @Test(arguments: [1, 3, 40, 90])
  func `a limit of file sizes is an I/O error, and the build resumes without it`(
    blocks: Int
  ) throws {
    let arguments = fixture.arguments(fixture.corpusPath, output).joined(separator: "' '")
    // What the shell cannot limit more (dash counts 512 bytes a block), the test would not notice.
    let result = try CLIRunner.shell("ulimit -f \(blocks) && exec \"$0\" '\(arguments)' --resume")
    #expect(result.signal == 0)
    #expect(result.exitCode == 74, "\(result)")
    #expect(
      result.standardError.contains("File too large; raise the limit of file sizes"), "\(result)")
    let resumed = try fixture.build(fixture.corpusPath, to: output, "--resume")
    #expect(resumed.exitCode == 0, "\(resumed)")
    #expect(try segments(of: output) == segments(of: fixture.index))
  }

  @Test(.enabled(if: Mount.isPossible, "mounting needs root: not tested"))
  func `a full disk leaves the old index answering and the new one to be resumed`() throws {
    let mount = try Mount(folder.path + "/disk", options: "size=700k")
    let onDisk = mount.path + "/index"
    let larger = try folder.file("larger.tsv", SyntheticCorpus(count: 3000, seed: 82).tsv)
    for output in [onDisk, output] {
      #expect(try fixture.build(fixture.corpusPath, to: output).exitCode == 0)
    }
    let question = fixture.corpus.passages[17].text
    let before = try CLIRunner.run(["search", onDisk, question, "--quiet"])
    let full = try fixture.build(larger, to: onDisk, "--overwrite")
    #expect(full.exitCode == 74, "\(full)")
    #expect(full.standardError.contains(onDisk + "/building/"))
    #expect(full.standardError.contains("No space left on device; free some space"))
    let after = try CLIRunner.run(["search", onDisk, question, "--quiet"])
    #expect(after.exitCode == 0 && after.standardOutput == before.standardOutput)

    // More room, but enough only for the blocks: the next phase fails, too.
    try mount.remount(options: "size=1100k")
    #expect(try fixture.build(larger, to: onDisk, "--overwrite", "--resume").exitCode == 74)
    #expect(
      try CLIRunner.run(["search", onDisk, question, "--quiet"]).standardOutput
        == before.standardOutput)

    try mount.remount(options: "size=20m")
    let resumed = try fixture.build(larger, to: onDisk, "--overwrite", "--resume")
    #expect(resumed.exitCode == 0, "\(resumed)")
    #expect(try fixture.build(larger, to: output, "--overwrite").exitCode == 0)
    #expect(try differences(onDisk, output) == [])
  }
}
