import Foundation
import Platform
import TestSupport
import Testing

private let hasPython = (try? CLIRunner.shell("python3 -c ''"))?.exitCode == 0

/// `tools/reproduce` from end to end, over a made collection and a body of random weights.
@Suite(.enabled(if: hasPython, "python3 is needed to run tools/reproduce"))
struct ReproduceTests {
  private let folder: TemporaryFolder
  private let tool: String

  init() throws {
    folder = try TemporaryFolder("reproduce")
    tool =
      URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../tools/reproduce").standardized.path
    try TinyEncoder.write(to: folder.path + "/model", positions: 128)
    try writeCollection(passages: 60)
  }

  /// Passages of two sentences, of which a question takes two words; every third is held out.
  private func writeCollection(passages count: Int) throws {
    var random = SplitMix64(seed: 5)
    func word() -> String { TinyEncoder.words[Int(random.next() % 60)] }
    var passages = ""
    var queries = ""
    var qrels = [
      "train": "query-id\tcorpus-id\tscore\n", "valid": "query-id\tcorpus-id\tscore\n",
    ]
    for number in 0..<count {
      let sentences = [14, 32].map { length in (0..<length).map { _ in word() } }
      let text = sentences.map { $0.joined(separator: " ") + "." }.joined(separator: " ")
      passages += "{\"_id\": \"p\(number)\", \"title\": \"\", \"text\": \"\(text)\"}\n"
      for (part, sentence) in sentences.enumerated() {
        let answer = sentence[3...4].joined(separator: " ")
        let id = "q\(number)-\(part)"
        queries +=
          "{\"_id\": \"\(id)\", \"text\": \"what \(answer)\", \"answers\": [\"\(answer)\"]}\n"
        qrels[number % 3 == 0 ? "valid" : "train"]? += "\(id)\tp\(number)\t1\n"
      }
    }
    try folder.file("data/squad-train/corpus.jsonl", passages)
    try folder.file("data/squad-train/queries.jsonl", queries)
    for (name, lines) in qrels {
      try folder.file("data/squad-train/qrels/\(name).tsv", lines)
    }
  }

  private func reproduce(_ arguments: [String]) throws -> CLIResult {
    try CLIRunner.script(
      tool,
      ["--output", folder.path + "/output", "--document", folder.path + "/tables.md"] + arguments)
  }

  private func cells(_ block: String) throws -> [[String]] {
    let text = String(decoding: try FileSystem.read(folder.path + "/tables.md"), as: UTF8.self)
    let start = try #require(text.range(of: "<!-- \(block) -->"))
    let end = try #require(text.range(of: "<!-- end of \(block) -->"))
    return text[start.upperBound..<end.lowerBound].split(separator: "\n").dropFirst(2).map {
      $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
  }

  @Test func `all stages run, the tables are whole, and what is done is not done again`() throws {
    let run = [
      folder.path + "/data", "--model", folder.path + "/model", "--program", CLIRunner.tool.path,
      "--scale", "0.02", "--seeds", "1", "--only", "bert-dot",
    ]
    let first = try reproduce(run)
    #expect(first.exitCode == 0, "\(first)")
    #expect(first.standardError.contains("[31/31] bert-dot-pointwise-1"))
    let students = try cells("students")
    #expect(students.map { $0[1] } == ["no teacher", "T1", "T2", "PILE"])
    #expect(try cells("losses").count == 4)
    #expect(try cells("times").last?[1] == "31 of 31")
    for row in students + (try cells("losses")) {
      #expect(row[2].wholeMatch(of: /\.\d{3}|1\.000/) != nil, "\(row)")
    }
    let again = try reproduce(run)
    #expect(again.exitCode == 0 && again.standardError.isEmpty, "\(again)")

    // A stage that was stopped before its end is missing from the tables, and only it is run again.
    try FileSystem.remove(folder.path + "/output/record/bert-dot-pile-1.json")
    #expect(try reproduce(["--report"]).exitCode == 0)
    #expect(try cells("students").last?[2] == "–")
    let rest = try reproduce(run)
    #expect(rest.standardError.hasPrefix("[29/31] bert-dot-pile-1"), "\(rest)")
    #expect(rest.standardError.split(separator: "\n").count == 1)
    #expect(try cells("students") == students)
  }

  @Test func `a mistaken call and a failing stage say what to do`() throws {
    let data = folder.path + "/data"
    let start = [
      data, "--model", folder.path + "/model", "--program", CLIRunner.tool.path,
    ]
    let calls: [(arguments: [String], code: Int32, reason: String)] = [
      ([], 64, "usage: tools/reproduce DATA"), ([data, "--scale"], 64, "--scale needs a value"),
      ([data, "--frob"], 64, "unknown option '--frob'"), ([data + "/no"], 66, "there is no folder"),
      ([data, "--collection", "no", "--plan"], 66, "name another --collection"),
      ([data, "--scale", "0", "--plan"], 64, "must be above 0"),
      (["--report"], 66, "nothing has been run in"),
      (
        [data, "--model", data, "--program", CLIRunner.tool.path], 66,
        "cannot be used as a start"
      ),
      (start + ["--document", folder.path + "/no/tables.md"], 66, "there is no folder for"),
      // A folder of somebody else's files, the data's among them.
      (start + ["--output", data], 66, "holds other files; name a folder of its own"),
      ([data, "--only", "frob", "--plan"], 64, "invalid choice: 'frob'"),
    ]
    for (arguments, code, reason) in calls {
      let result = try reproduce(arguments)
      #expect(result.exitCode == code && result.standardError.contains(reason), "\(result)")
    }
    let plan = try reproduce([data, "--plan"])
    #expect(plan.exitCode == 0 && plan.standardOutput.contains("[93/93] bert-dot-pointwise-3: "))
  }
}
