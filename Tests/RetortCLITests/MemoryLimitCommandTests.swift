import Platform
import TestSupport
import Testing

@Suite struct MemoryLimitCommandTests {
  private let fixture: CLIFixture

  init() throws { fixture = try CLIFixture.shared.get() }

  @Test func `a limit changes no answer of a question, a batch, the prompt or recall`() throws {
    let folder = try TemporaryFolder("limit")
    let questions = fixture.corpus.passages[..<30].enumerated().map { "\($0)\t\($1.text)\n" }
    let topics = try folder.file("q.tsv", questions.joined())
    let question = fixture.corpus.passages[11].text
    for arguments in [
      ["search", fixture.index, question, "--quiet"],
      ["search", fixture.index, "--topics", topics, "--hits", "20", "--quiet"],
      ["search", fixture.index, "--topics", topics, "--exact", "--warm", "--quiet"],
      ["search", fixture.index, "--quiet"],
    ] {
      let input = arguments.count == 3 ? Array((question + "\n:show p81-3\n").utf8) : []
      let free = try CLIRunner.run(arguments, input: input)
      let bounded = try CLIRunner.run(arguments + ["--memory-limit", "1M"], input: input)
      #expect(free.exitCode == 0 && !free.standardOutput.isEmpty)
      #expect(bounded.exitCode == 0, "\(bounded)")
      #expect(bounded.standardOutput == free.standardOutput, "\(arguments)")
    }
    let recall = try CLIRunner.run([
      "recall", fixture.index, "--topics", topics, "--ef-search", "400", "--memory-limit", "1024k",
    ])
    #expect(recall.standardOutput.contains("400\t1.0000\t1.0000"), "\(recall)")
  }

  @Test(arguments: ["", "M", "0", "1000", "1023k", "-5M", "1.5G", "12X", "99999999999999G", "٣M"])
  func `limits that are no sizes, or too small for any search, are refused`(text: String) throws {
    let result = try CLIRunner.run(["search", fixture.index, "x", "--memory-limit=" + text])
    #expect(result.exitCode == 64)
    #expect(result.standardError.contains("--memory-limit"), "\(result)")
  }
}
