import Foundation
import Platform
import Retrieval
import TestSupport
import Testing

@Suite struct SearchCommandTests {
  private let fixture: CLIFixture
  private let folder: TemporaryFolder

  init() throws {
    fixture = try CLIFixture.shared.get()
    folder = try TemporaryFolder("search")
  }

  private func search(_ arguments: String..., input: String = "") throws -> CLIResult {
    try CLIRunner.run(["search", fixture.index] + arguments, input: Array(input.utf8))
  }

  @Test func `a question prints rank, score, id and text, best first`() throws {
    let passage = fixture.corpus.passages[17]
    let result = try search(passage.text, "-k", "5", "--quiet")
    #expect(result.exitCode == 0 && result.standardError == "")
    let heads = result.standardOutput.split(separator: "\n").filter { !$0.hasPrefix("    ") }
    #expect(heads.count == 5)
    var last = Double.infinity
    for (rank, head) in heads.enumerated() {
      let columns = head.split(separator: " ")
      #expect(columns.count == 3)
      #expect(Int(columns[0]) == rank + 1)
      let score = try #require(Double(columns[1]))
      #expect(score <= last)
      last = score
      let id = String(columns[2])
      let text = try #require(fixture.corpus.passages.first { $0.id == id }?.text)
      #expect(
        result.standardOutput.split(whereSeparator: \.isWhitespace).joined(separator: " ").contains(
          text))
    }
    #expect(try search(passage.text, "-k", "5").standardError.contains("total"))
  }

  @Test func `exact and a wide walk agree`() throws {
    let text = fixture.corpus.passages[99].text
    let walked = try search(text, "--ef-search", "400", "-k", "50", "--quiet")
    #expect(
      try search(text, "--exact", "-k", "50", "--quiet").standardOutput == walked.standardOutput)
  }

  @Test func `a file of queries becomes a run with all of them, in three formats`() throws {
    let queries = fixture.corpus.passages.prefix(300).enumerated().map { "q\($0)\t\($1.text)\n" }
    let topics = try folder.file("queries.tsv", queries.joined())
    let run = folder.path + "/run"
    for (format, columns) in [("trec", 6), ("msmarco", 3)] {
      let result = try search(
        "--topics", topics, "--hits", "7", "--output", run, "--output-format", format, "--tag",
        "tiny")
      #expect(result.exitCode == 0, "\(result)")
      let lines = String(decoding: try FileSystem.read(run), as: UTF8.self).split(separator: "\n")
      #expect(lines.count == 2100)
      #expect(lines.allSatisfy { $0.split { " \t".contains($0) }.count == columns })
      let named = Set(lines.map { $0.split { " \t".contains($0) }[0] })
      #expect(named.count == 300)
    }
    let json = try search(
      "--topics", topics, "--hits", "3", "--output-format", "jsonl", "--quiet")
    let lines = json.standardOutput.split(separator: "\n")
    #expect(lines.count == 300)
    for (number, line) in lines.enumerated() {
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      #expect(object?["query_id"] as? String == "q\(number)")
      #expect((object?["hits"] as? [Any])?.count == 3)
    }
    let stdin = try search("--topics", "-", "--hits", "3", "--quiet", input: queries.joined())
    #expect(stdin.standardOutput.split(separator: "\n").count == 900)
    #expect(try FileSystem.names(in: folder.path) == ["queries.tsv", "run"])
  }

  @Test func `a batch answers as single questions do, at any number of threads`() throws {
    let queries = fixture.corpus.passages.suffix(70).enumerated().map { "q\($0)\t\($1.text)\n" }
    let topics = try folder.file("queries.tsv", queries.joined())
    let one = try search("--topics", topics, "--hits", "9", "--threads", "1", "--quiet")
    #expect(one.exitCode == 0)
    let two = try search("--topics", topics, "--hits", "9", "--threads", "3", "--quiet")
    #expect(one.standardOutput == two.standardOutput)
  }

  @Test func `a run appears at once: interrupted, the old file is still there`() throws {
    let text = fixture.corpus.passages.map(\.text).joined(separator: " ")
    let queries = (0..<40_000).map { "q\($0)\t\(text.dropFirst($0 % 5000).prefix(150))\n" }
    let topics = try folder.file("queries.tsv", queries.joined())
    let run = try folder.file("run", "the run before\n")
    let process = try CLIRunner.start([
      "search", fixture.index, "--topics", topics, "--output", run, "--hits", "100",
    ])
    #expect(process.wait { (try? FileSystem.names(in: folder.path).count) ?? 0 > 2 })
    let result = try process.interrupt()
    #expect(result.exitCode == 130, "\(result)")
    #expect(try FileSystem.read(run) == Array("the run before\n".utf8))
    #expect(try FileSystem.names(in: folder.path) == ["queries.tsv", "run"])
  }

  @Test(arguments: ["", " ", "\t\n "])
  func `an empty question is a usage error`(question: String) throws {
    let result = try search(question)
    #expect(result.exitCode == 64)
    #expect(lastLine(result.standardError).contains("empty"))
  }

  @Test func `a question of 100,000 characters is answered with a warning`() throws {
    let result = try search(String(repeating: "water ", count: 17_000), "-k", "1", "--quiet")
    #expect(result.exitCode == 0)
    #expect(result.standardError.hasPrefix("warning: the question was longer than the model takes"))
    #expect(result.standardOutput.hasPrefix(" 1  "))
  }

  @Test func `a question that is not UTF-8 is refused, one with U+FFFD is not`() throws {
    let bad = try CLIRunner.shell(#""$0" search '\#(fixture.index)' "$(printf 'caf\351 gold')""#)
    #expect(bad.exitCode == 65)
    #expect(bad.standardError.contains("is not UTF-8"))
    #expect(try search("gold \u{FFFD} water", "-k", "1").exitCode == 0)
  }

  @Test func `the prompt answers questions and obeys commands`() throws {
    let passage = fixture.corpus.passages[5]
    let result = try search(
      input: """
        :help
        :k 2
        \(passage.text)
        :k
        :ef 400
        :exact on
        \(passage.text)
        :exact off
        :show \(passage.id)

        :quit
        never read
        """)
    #expect(result.exitCode == 0, "\(result)")
    #expect(result.standardError.contains(": 400 passages. Ask a question"))
    #expect(result.standardError.contains(":show ID      print a whole passage"))
    #expect(result.standardError.contains(":k 2: passages a question"))
    #expect(result.standardError.contains("exact: on, every vector is scanned"))
    #expect(result.standardError.contains("exact: off, ef 400"))
    let first = result.standardOutput.split(separator: "\n").filter { $0.hasPrefix(" 1  ") }
    #expect(first.count == 2)
    #expect(result.standardOutput.split(separator: "\n").filter { $0.hasPrefix(" 3  ") }.isEmpty)
    #expect(result.standardOutput.contains("\n\(passage.id)\n"))
  }

  @Test(
    arguments: [
      (":jump", 64, "there is no command :jump"), (":k none", 64, ":k takes a number"),
      (":k 0", 64, ":k takes a number"), (":ef 99999999999999999999", 64, ":ef takes a number"),
      (":exact perhaps", 64, ":exact takes on, off or nothing"),
      (":show nobody", 64, "no passage is called \"nobody\""),
    ] as [(String, Int32, String)])
  func `a mistake in a script ends it with an error`(line: String, code: Int32, text: String) throws
  {
    let result = try search(input: line + "\n")
    #expect(result.exitCode == code)
    #expect(result.standardError.contains(text), "\(result)")
  }

  @Test func `a script that is not UTF-8 names the line`() throws {
    let result = try CLIRunner.run(
      ["search", fixture.index, "--quiet"], input: Array("gold\n".utf8) + [0xE9, 0x0A])
    #expect(result.exitCode == 65)
    #expect(result.standardError.contains("standard input:2: is not UTF-8"))
  }

  @Test func `an index that is none says what to do`() throws {
    try folder.file("foreign/notes.txt", "x")
    for (name, text) in [
      ("none", "there is no index here; make one with `retort index build`"),
      ("foreign", "is not an index (it has no manifest.json)"),
    ] {
      let result = try CLIRunner.run(["search", folder.path + "/" + name, "gold"])
      #expect(result.exitCode == 66)
      #expect(result.standardError.contains("\(folder.path)/\(name): \(text)"), "\(result)")
    }
  }

  @Test func `a model that moved is found with --model; another one is refused`() throws {
    let model = folder.path + "/model"
    try TinyEncoder.write(to: model, seed: 5)
    let corpus = try folder.file("corpus.tsv", "a\twater\nb\tgold\n")
    let index = folder.path + "/index"
    let built = try CLIRunner.run([
      "index", "build", "--corpus", corpus, "--model", model, "--output", index, "--quiet",
    ])
    #expect(built.exitCode == 0)
    let before = try CLIRunner.run(["search", index, "gold", "--quiet"])
    try FileSystem.rename(model, to: folder.path + "/moved")
    let lost = try CLIRunner.run(["search", index, "gold", "--quiet"])
    #expect(lost.exitCode == 66)
    #expect(lost.standardError.contains("say where it is with --model"))
    let found = try CLIRunner.run([
      "search", index, "gold", "--quiet", "--model", folder.path + "/moved",
    ])
    #expect(found.exitCode == 0 && found.standardOutput == before.standardOutput)
    let other = try CLIRunner.run(["search", index, "gold", "--model", fixture.model])
    #expect(other.exitCode == 65)
    #expect(other.standardError.contains("is not the model the index"))
    #expect(other.standardOutput == "")
  }

  @Test func `options that exclude each other or are out of range are usage errors`() throws {
    for more in [
      ["gold", "--topics", "x"], ["gold", "-k", "0"], ["gold", "--ef-search", "0"],
      ["gold", "--threads", "0"], ["gold", "--output-format", "xml"],
    ] {
      #expect(try CLIRunner.run(["search", fixture.index] + more).exitCode == 64, "\(more)")
    }
    let missing = try search("--topics", folder.path + "/none.tsv")
    #expect(missing.exitCode == 66)
  }
}
