import Foundation
import TestSupport
import Testing

@Suite struct HelpTests {
  /// Every command with a help of its own.
  static let commands: [[String]] = [
    ["index", "build"], ["index", "add"], ["index", "add-lexical"], ["index", "add-terms"],
    ["index", "delete"],
    ["index", "merge"],
    ["index", "export"], ["index", "estimate"], ["index", "info"], ["index", "verify"], ["encode"],
    ["search"], ["eval"],
    ["recall"], ["rerank"], ["teach"], ["ensemble"], ["train"], ["mine"],
    ["model", "info"], ["model", "pull"], ["model", "quantize"],
    ["model", "average"],
  ]

  @Test(arguments: commands)
  func `every command explains itself`(command: [String]) throws {
    let result = try CLIRunner.run(command + ["--help"])
    #expect(result.exitCode == 0)
    #expect(result.standardOutput.contains("OVERVIEW: "))
    #expect(result.standardOutput.contains("USAGE: retort " + command.joined(separator: " ")))
  }

  @Test func `every option the README names is one that some command has`() throws {
    let readme = try String(
      contentsOfFile: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../README.md").path, encoding: .utf8)
    let help = try Self.commands.map { try CLIRunner.run($0 + ["--help"]).standardOutput }
      .joined(separator: "\n")
    let options = Set(readme.matches(of: /--[a-z][a-z-]+/).map { String($0.output) })
    #expect(options.count > 15)
    // Of Swift, of tools/quickstart, tools/bench and tools/reproduce, and its own.
    let others: Set = [
      "--product", "--static-swift-stdlib", "--scratch-path", "--query", "--search-passages",
      "--work", "--scale", "--report",
      "--help",
    ]
    for option in options.subtracting(others).sorted() {
      #expect(help.contains(option), "\(option)")
    }
  }

  @Test func `output that cannot be written is an error`() throws {
    let result = try CLIRunner.shell("\"$0\" --help > /dev/null; \"$0\" eval --help > /dev/null")
    #expect(result.exitCode == 0)
    let folder = try TemporaryFolder("full")
    let qrels = try folder.file("qrels", Array("1 0 a 1\n".utf8))
    let run = try folder.file("run", Array("1 Q0 a 1 1.0 x\n".utf8))
    let full = try CLIRunner.shell("\"$0\" eval '\(qrels)' '\(run)' RR@10 > /dev/full")
    #expect(full.exitCode == 74, "\(full.standardError)")
  }
}
