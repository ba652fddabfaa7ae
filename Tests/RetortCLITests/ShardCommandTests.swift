import Foundation
import Platform
import Retrieval
import TestSupport
import Testing

@Suite struct ShardCommandTests {
  private let fixture: CLIFixture
  private let folder: TemporaryFolder

  init() throws {
    fixture = try CLIFixture.shared.get()
    folder = try TemporaryFolder("shards")
  }

  @Test func `shards are built apart, also by array tasks, and joined`() throws {
    let output = folder.path + "/index"
    for id in 0..<2 {
      let result = try fixture.build(
        fixture.corpusPath, to: output, "--shard-id", "\(id)", "--shard-num", "3")
      #expect(result.exitCode == 0, "\(result)")
    }
    let task = try CLIRunner.run(
      fixture.arguments(fixture.corpusPath, output),
      environment: ["SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "3"])
    #expect(task.exitCode == 0, "\(task)")
    let shards = (0..<3).map { "\(output)-0000\($0)-of-00003" }
    #expect(try PassageIndex(path: shards[1]).id(0) == fixture.corpus.passages[1].id)
    #expect(try PassageIndex(path: shards[0]).manifest.sources[0].shard == "00000-of-00003")
    let joined = try CLIRunner.run(["index", "merge"] + shards + ["--output", output])
    #expect(joined.exitCode == 0, "\(joined)")
    #expect(joined.standardError.contains("400 passages in 3 segments"))
    let info = try CLIRunner.run(["index", "info", output]).standardOutput
    #expect(info.contains("(00002-of-00003), "), "\(info)")
    #expect(try CLIRunner.run(["index", "verify", output]).exitCode == 0)
    let question = fixture.corpus.passages[30].text
    func answer(_ index: String) throws -> [String] {
      let result = try CLIRunner.run([
        "search", index, question, "--exact", "--output-format", "trec",
      ])
      return result.standardOutput.split(separator: "\n").compactMap {
        $0.split(separator: " ").dropFirst(2).first.map(String.init)
      }
    }
    #expect(try answer(output) == answer(fixture.index))
    // A shard that is there already is no error when it is resumed: array tasks are requeued.
    let again = try fixture.build(
      fixture.corpusPath, to: output, "--shard-id", "1", "--shard-num", "3", "--resume")
    #expect(again.exitCode == 0, "\(again)")
    let usage = try CLIRunner.run(["index", "merge"] + shards)
    #expect(usage.exitCode == 64)
  }

  @Test func `vectors go out, come back and are searched by vectors`() throws {
    let path = folder.path
    let exported = try CLIRunner.run([
      "index", "export", fixture.index, "--vectors", path + "/v.npy", "--ids", path + "/v.ids",
      "--passages", path + "/p.jsonl", "--graph", path + "/g.jsonl",
    ])
    #expect(exported.exitCode == 0, "\(exported)")
    #expect(exported.standardError.contains("v.npy: 400 vectors"))
    let built = try CLIRunner.run([
      "index", "build", "--vectors", path + "/v.npy", "--ids", path + "/v.ids", "--metric",
      "cosine", "--output", path + "/index",
    ])
    #expect(built.exitCode == 0, "\(built)")
    let result = try CLIRunner.run([
      "search", path + "/index", "--query-vectors", path + "/v.npy", "--query-ids", path + "/v.ids",
      "-k", "1",
    ])
    #expect(result.exitCode == 0, "\(result)")
    let lines = result.standardOutput.split(separator: "\n")
    #expect(lines.count == 400)
    // Its own vector has the cosine 1: passages that are not copies find themselves.
    let own = lines.count { $0.split(separator: " ")[0] == $0.split(separator: " ")[2] }
    #expect(own >= 398, "\(own)")
    let text = try CLIRunner.run(["search", path + "/index", "water"])
    #expect(text.exitCode == 64 && text.standardError.contains("--query-vectors"), "\(text)")
    #expect(
      try CLIRunner.run(["index", "info", path + "/index"]).standardOutput.contains("cosine"))
    for more in [["--model", "x"], ["--resume"], ["--ids", "x", "--corpus", "y"]] {
      let usage = try CLIRunner.run(
        ["index", "build", "--vectors", path + "/v.npy", "--output", path + "/other"] + more)
      #expect(usage.exitCode == 64, "\(more): \(usage)")
    }
    #expect(try CLIRunner.run(["index", "build", "--output", path + "/other"]).exitCode == 64)
    #expect(try CLIRunner.run(["index", "export", fixture.index]).exitCode == 64)
  }
}
