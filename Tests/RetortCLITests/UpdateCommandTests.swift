import Foundation
import Indexing
import Platform
import Retrieval
import TestSupport
import Testing

@Suite struct UpdateCommandTests {
  private let fixture: CLIFixture
  private let folder: TemporaryFolder
  private var index: String { folder.path + "/index" }

  init() throws {
    fixture = try CLIFixture.shared.get()
    folder = try TemporaryFolder("update")
    for (name, bytes) in try contents(of: fixture.index) where !name.hasSuffix("/") {
      try folder.file("index/" + name, bytes)
    }
  }

  private func run(_ arguments: String...) throws -> CLIResult {
    try CLIRunner.run(["index"] + arguments)
  }

  @Test func `add, delete and merge say what they did`() throws {
    let old = fixture.corpus.passages
    let more = try folder.file(
      "more.tsv",
      "new\twater and gold\n\(old[3].id)\tanother text\n\(old[4].id)\t\(old[4].text)\n")
    let added = try run("add", index, "--corpus", more)
    #expect(added.exitCode == 0, "\(added)")
    #expect(added.standardError.contains("401 passages"))
    #expect(added.standardError.contains("2 added (1 in the place of others), 1 unchanged"))
    let info = try run("info", index)
    #expect(info.standardOutput.contains("generation:   2, format 3\n"))
    #expect(info.standardOutput.contains("segment 000001\n  passages:   399, and 1 deleted\n"))
    #expect(info.standardOutput.contains("segment 000002\n  passages:   2, and 0 deleted\n"))
    let found = try CLIRunner.run(["search", index, "water and gold", "-k", "1", "--quiet"])
    #expect(found.standardOutput.contains("new"), "\(found)")

    let ids = try folder.file("ids", "\(old[10].id)\n\nnew\tignored\n")
    let deleted = try run("delete", index, "--ids", ids, "--json")
    let report = try JSONDecoder().decode(
      IndexDeletionReport.self, from: Data(deleted.standardOutput.utf8))
    #expect(report.deleted == 2 && report.passages == 399 && report.generation == 3)
    let missing = try run("delete", index, "new", old[11].id)
    #expect(missing.exitCode == 0)
    #expect(missing.standardError.contains("no passage has 1 of the ids, such as \"new\""))
    #expect(missing.standardError.contains("1 passage deleted, 398 left, generation 4"))

    let merged = try run("merge", index)
    #expect(merged.exitCode == 0, "\(merged)")
    #expect(merged.standardError.contains("2 segments merged, 4 deleted passages removed"))
    #expect(try run("verify", index).standardOutput.hasPrefix("ok: 398 passages"))
    let again = try run("merge", index)
    #expect(again.standardError.contains("nothing to merge"), "\(again)")
  }

  @Test func `changes need an index, its model and sole access`() throws {
    let more = try folder.file("more.tsv", "new\twater\n")
    for command in [
      ["add", folder.path + "/none", "--corpus", more], ["delete", folder.path + "/none", "x"],
      ["merge", folder.path + "/none"], ["add", index, "--corpus", folder.path + "/none"],
    ] {
      #expect(try CLIRunner.run(["index"] + command).exitCode == 66, "\(command)")
    }
    #expect(FileSystem.kind(of: folder.path + "/none") == .nothing)
    let other = try run(
      "add", index, "--corpus", more, "--model", fixture.folder.path + "/other-model")
    #expect(other.exitCode == 65 && other.standardError.contains("is not the model the index"))
    #expect(try run("delete", index).exitCode == 64)
    #expect(try run("delete", index, "x", "--ids", more).exitCode == 64)
    #expect(try run("add", index, "--corpus", more, "--resume", "--restart").exitCode == 64)
    try FileSystem.makeFolder(index + "/building")
    let lock = try FileLock(path: index + "/building/lock")
    for command in [
      ["add", index, "--corpus", more], ["delete", index, "x"], ["merge", index],
    ] {
      let result = try CLIRunner.run(["index"] + command)
      #expect(result.exitCode == 64, "\(command)")
      #expect(result.standardError.contains("another process is writing here"), "\(command)")
    }
    lock.release()
  }

  @Test func `an addition that broke off is finished, or dropped, before anything else`() throws {
    let lines = SyntheticCorpus(count: 200, seed: 83).tsv.split(separator: "\n")
    let more = try folder.file("more.tsv", lines[..<120].joined(separator: "\n") + "\nbad\n")
    func add(_ flags: String...) throws -> CLIResult {
      try CLIRunner.run(
        ["index", "add", index, "--corpus", more, "--batch-size", "50", "--json"] + flags)
    }
    #expect(try add().exitCode == 65)
    try folder.file("more.tsv", lines.joined(separator: "\n") + "\n")
    #expect(try add().standardError.contains("add --resume to go on with it or --restart"))
    for command in [["delete", index, "x"], ["merge", index]] {
      let result = try CLIRunner.run(["index"] + command)
      #expect(result.exitCode == 64)
      #expect(result.standardError.contains("holds an unfinished addition; finish it"))
    }
    let build = try fixture.build(fixture.corpusPath, to: index, "--resume")
    #expect(build.standardError.contains("the work: now a build, then an addition"), "\(build)")
    #expect(try run("verify", index).standardOutput.hasPrefix("ok: 400 passages"))
    let resumed = try add("--resume")
    let report = try JSONDecoder().decode(
      IndexBuildReport.self, from: Data(resumed.standardOutput.utf8))
    #expect(report.added == 200 && report.encoded == 100 && report.passages == 600)

    // The same without a break gives the same bytes.
    let whole = try TemporaryFolder("whole")
    for (name, bytes) in try contents(of: fixture.index) where !name.hasSuffix("/") {
      try whole.file(name, bytes)
    }
    let once = try run(
      "add", whole.path, "--corpus", more, "--batch-size", "50", "--threads", "1", "--quiet")
    #expect(once.exitCode == 0)
    #expect(try differences(whole.path, index) == [])
  }

  /// Kills `command` at moments spread over the time it takes, and calls `check` after each.
  private func kill(
    _ command: [String], times: Int, seed: UInt64, _ check: (String) throws -> Void
  ) throws {
    let original = folder.path + "/original"
    _ = try CLIRunner.shell("cp -r '\(index)' '\(original)'")
    let start = monotonicSeconds()
    #expect(try CLIRunner.run(command).exitCode == 0)
    let seconds = monotonicSeconds() - start
    var random = SplitMix64(seed: seed)
    for moment in 0..<times {
      try FileSystem.removeTree(index)
      _ = try CLIRunner.shell("cp -r '\(original)' '\(index)'")
      let delay = (Double(moment) + random.unit()) / Double(times) * seconds
      let tool = try CLIRunner.start(command)
      let end = monotonicSeconds() + delay
      _ = tool.wait { monotonicSeconds() >= end }
      tool.send(SIGKILL)
      _ = try tool.wait()
      try check("seed \(seed), \(command[1]) killed after \(delay) of \(seconds) s")
    }
    try FileSystem.removeTree(original)
  }

  @Test func `a change that is killed is not there or whole, and can be repeated`() throws {
    let more = try folder.file("more.tsv", SyntheticCorpus(count: 900, seed: 84).tsv)
    let add = ["index", "add", index, "--corpus", more, "--batch-size", "100", "--quiet"]
    try kill(add, times: Soak.times(8), seed: 85) { note in
      let index = try PassageIndex(path: index)
      try index.verify()
      #expect([400, 1300].contains(index.count), "\(note)")
      let resumed = try CLIRunner.run(add + ["--resume"])
      #expect(resumed.exitCode == 0, "\(note): \(resumed)")
      #expect(try PassageIndex(path: self.index).count == 1300, "\(note)")
    }
    let gone = fixture.corpus.passages[..<200].map(\.id)
    let ids = try folder.file("ids", gone.joined(separator: "\n"))
    try kill(["index", "delete", index, "--ids", ids, "--quiet"], times: Soak.times(6), seed: 86) {
      note in
      let index = try PassageIndex(path: index)
      try index.verify()
      #expect([1300, 1100].contains(index.count), "\(note)")
      #expect(try (index.number(of: gone[0]) == nil) == (index.count == 1100), "\(note)")
      _ = try IndexDeletion.delete(gone, from: self.index)
      #expect(try PassageIndex(path: self.index).count == 1100, "\(note)")
    }
    try kill(["index", "merge", index, "--quiet"], times: Soak.times(8), seed: 87) { note in
      let index = try PassageIndex(path: index)
      try index.verify()
      #expect(index.count == 1100 && [2, 1].contains(index.manifest.segments.count), "\(note)")
      #expect(try IndexMerge.merge(self.index, threads: 2, quiet: true).passages == 1100)
      #expect(try FileSystem.names(in: self.index) == ["manifest.json", "segments"], "\(note)")
    }
  }
}
