import Foundation
import Indexing
import Platform
import Retrieval
import TestSupport
import Testing

@Suite struct IndexBuildInputTests {
  private let fixture: CLIFixture
  private let folder: TemporaryFolder
  private var output: String { folder.path + "/index" }

  init() throws {
    fixture = try CLIFixture.shared.get()
    folder = try TemporaryFolder("build-input")
  }

  private struct Defect: CustomTestStringConvertible {
    var name: String
    var line: [UInt8]
    var reason: String
    var testDescription: String { name }
  }

  private static let tsvDefects = [
    Defect(
      name: "invalid UTF-8", line: Array("d3\tab".utf8) + [0xFF, 0x63], reason: "invalid UTF-8"),
    Defect(
      name: "a UTF-16 surrogate", line: [0x64, 0x09, 0xED, 0xA0, 0x80], reason: "invalid UTF-8"),
    Defect(name: "NUL", line: Array("d3\ta\0b".utf8), reason: "NUL"),
    Defect(name: "one column", line: Array("d3".utf8), reason: "columns"),
    Defect(name: "three columns", line: Array("d3\ta\tb".utf8), reason: "columns"),
    Defect(name: "empty id", line: Array("\ttext".utf8), reason: "empty id"),
  ]
  private static let jsonDefects = [
    Defect(name: "no id", line: Array(#"{"text": "x"}"#.utf8), reason: "missing field \"id\""),
    Defect(name: "no text", line: Array(#"{"_id": "x"}"#.utf8), reason: "missing field \"text\""),
    Defect(name: "an empty id", line: Array(#"{"_id": "", "text": "x"}"#.utf8), reason: "empty id"),
    Defect(
      name: "half an object", line: Array(#"{"_id": "x", "text": "#.utf8),
      reason: "malformed JSON"),
  ]

  /// A corpus whose third line, and its fifth, are bad.
  private func corpus(_ bad: [UInt8], _ name: String, good: (Int) -> String) throws -> String {
    var bytes: [UInt8] = []
    for line in 1...6 {
      bytes += line == 3 || line == 5 ? bad : Array(good(line).utf8)
      bytes.append(0x0A)
    }
    return try folder.file(name, bytes)
  }

  private func check(_ path: String, _ defect: Defect) throws {
    let strict = try fixture.build(path, to: output)
    #expect(strict.exitCode == 65, "\(strict)")
    #expect(strict.standardError.hasPrefix("retort: error: \(path):3: "), "\(strict)")
    #expect(strict.standardError.contains(defect.reason))
    #expect(FileSystem.kind(of: output + "/manifest.json") == .nothing)
    let lenient = try fixture.build(path, to: output, "--skip-bad-lines", "--overwrite", "--json")
    #expect(lenient.exitCode == 0, "\(lenient)")
    let report = try JSONDecoder().decode(
      IndexBuildReport.self, from: Data(lenient.standardOutput.utf8))
    #expect(report.passages == 4 && report.skippedLines == 2)
    #expect(lenient.standardError.contains("2 lines: "))
    #expect(lenient.standardError.contains("\(path):3"))
    #expect(try PassageIndex(path: output).manifest.sources[0].skippedLines == 2)
  }

  @Test(arguments: tsvDefects)
  private func `bad lines of tsv end the build, or are skipped and counted`(defect: Defect) throws {
    try check(corpus(defect.line, "corpus.tsv") { "p\($0)\tsome water" }, defect)
  }

  @Test(arguments: jsonDefects)
  private func `bad lines of JSON end the build, or are skipped and counted`(defect: Defect) throws
  {
    try check(
      corpus(defect.line, "corpus.jsonl") { "{\"_id\": \"p\($0)\", \"text\": \"gold\"}" }, defect)
  }

  @Test func `bad lines after the last full block are counted too`() throws {
    let path = try folder.file("corpus.tsv", "a\twater\nb\tgold\nbad\nc\tiron\nd\tsnow\nbad\nbad\n")
    let result = try fixture.build(
      path, to: output, "--skip-bad-lines", "--batch-size", "2", "--json")
    #expect(result.exitCode == 0)
    #expect(try PassageIndex(path: output).manifest.sources[0].skippedLines == 3)
  }

  @Test func `an empty text is indexed, found by id and counted`() throws {
    let path = try folder.file("corpus.tsv", "a\twater\nb\t\nc\t \n")
    let result = try fixture.build(path, to: output)
    #expect(result.exitCode == 0)
    #expect(result.standardError.contains("warning: 2 passages have no text"))
    let index = try PassageIndex(path: output)
    #expect(index.count == 3 && index.manifest.sources[0].emptyTexts == 2)
    #expect(try index.passage(1).text == "")
  }

  @Test func `an id that repeats is an error with the line of the second, skipping or not`() throws
  {
    let path = try folder.file("corpus.tsv", "a\twater\nb\tgold\nc\tiron\nb\tsnow\n")
    for more in ["--quiet", "--skip-bad-lines"] {
      let result = try fixture.build(path, to: output, more, "--overwrite")
      #expect(result.exitCode == 65)
      #expect(
        result.standardError.hasPrefix("retort: error: \(path):4: the id \"b\" occurs twice"),
        "\(result)")
    }
  }

  @Test func `a line of 50 MB builds and is counted as truncated`() throws {
    let text = String(repeating: "water and gold ", count: 3_500_000)
    let path = try folder.file("corpus.tsv", "a\t\(text)\nb\tgold\n")
    let result = try fixture.build(path, to: output)
    #expect(result.exitCode == 0, "\(result)")
    #expect(result.standardError.contains("1 of 2 texts were longer than the model takes"))
    let index = try PassageIndex(path: output)
    #expect(try index.passage(0).text.utf8.count == text.utf8.count)
    try index.verify()
  }

  @Test(arguments: ["", "\n\n", "bad\nbad\n"])
  func `a corpus without passages leaves no folder behind`(text: String) throws {
    let path = try folder.file("corpus.jsonl", text)
    let result = try fixture.build(path, to: output, "--skip-bad-lines")
    #expect(result.exitCode == 65)
    #expect(result.standardError.contains("\(path): holds no passages"))
    #expect(FileSystem.kind(of: output) == .nothing)
  }

  @Test func `a corpus that is not there is told before anything is made`() throws {
    let result = try fixture.build(folder.path + "/none.tsv", to: output)
    #expect(result.exitCode == 66)
    #expect(result.standardError.hasPrefix("retort: error: \(folder.path)/none.tsv: "))
    #expect(FileSystem.kind(of: output) == .nothing)
  }

  @Test func `gzip, BEIR folders, JSON lines and standard input give the same files`() throws {
    let jsonl = try folder.file("beir/corpus.jsonl", fixture.corpus.jsonl)
    let tsv = fixture.corpusPath
    let zipped = folder.path + "/corpus.tsv.gz"
    #expect(try CLIRunner.shell("gzip -c '\(tsv)' > '\(zipped)'").exitCode == 0)
    let expected = try segments(of: fixture.index)
    for source in [zipped, folder.path + "/beir", jsonl, "-"] {
      let input = source == "-" ? Array(fixture.corpus.tsv.utf8) : []
      let result = try fixture.build(source, to: output, "--overwrite", "--json", input: input)
      #expect(result.exitCode == 0, "\(source): \(result)")
      #expect(try segments(of: output) == expected, "\(source)")
      try FileSystem.removeTree(output)
    }
  }

  @Test func `a gzip file that ends early is an error`() throws {
    let zipped = folder.path + "/corpus.tsv.gz"
    _ = try CLIRunner.shell("gzip -c '\(fixture.corpusPath)' | head -c 2000 > '\(zipped)'")
    let result = try fixture.build(zipped, to: output)
    #expect(result.exitCode == 65)
    #expect(result.standardError.contains("the gzip data ends in the middle"))
  }

  @Test func `standard input that broke off is resumed with the whole of it`() throws {
    let whole = Array(fixture.corpus.tsv.utf8)
    let lines = fixture.corpus.tsv.split(separator: "\n", omittingEmptySubsequences: false)
    let broken = Array(lines[..<220].joined(separator: "\n").utf8) + [0x0A, 0xFF, 0x0A]
    let first = try fixture.build("-", to: output, input: broken)
    #expect(first.exitCode == 65)
    #expect(first.standardError.contains("standard input:221: "), "\(first)")
    let second = try CLIRunner.run(
      fixture.arguments("-", output).filter { $0 != "--quiet" } + ["--resume", "--json"],
      input: whole)
    #expect(second.exitCode == 0, "\(second)")
    let report = try JSONDecoder().decode(
      IndexBuildReport.self, from: Data(second.standardOutput.utf8))
    #expect(report.passages == 400 && report.encoded < 400 && report.encoded >= 200)
    #expect(second.standardError.contains("resuming after \(400 - report.encoded) encoded"))
    #expect(try segments(of: output) == segments(of: fixture.index))
  }

  @Test func `models that are none cost one line`() throws {
    try TinyEncoder.write(to: folder.path + "/bare", tokenizer: false)
    try FileSystem.makeFolder(folder.path + "/empty")
    for (name, code) in [("bare", nil), ("empty", nil), ("none", 66)] as [(String, Int32?)] {
      let result = try CLIRunner.run([
        "index", "build", "--corpus", fixture.corpusPath, "--model", folder.path + "/" + name,
        "--output", output,
      ])
      #expect([65, 66].contains(result.exitCode) && (code ?? result.exitCode) == result.exitCode)
      #expect(result.standardError.split(separator: "\n").count == 1, "\(result)")
      #expect(result.standardError.contains(folder.path + "/" + name))
      #expect(FileSystem.kind(of: output) == .nothing)
    }
  }
}

@Suite struct IndexInfoAndVerifyTests {
  @Test func `info describes, verify approves, and both notice damage`() throws {
    let fixture = try CLIFixture.shared.get()
    let info = try CLIRunner.run(["index", "info", fixture.index])
    #expect(info.exitCode == 0)
    #expect(info.standardOutput.contains("passages:     400\n"))
    let json = try CLIRunner.run(["index", "info", fixture.index, "--json"])
    let object = try JSONSerialization.jsonObject(with: Data(json.standardOutput.utf8))
    #expect((object as? [String: Any])?["passages"] as? Int == 400)
    let verify = try CLIRunner.run(["index", "verify", fixture.index])
    #expect(verify.exitCode == 0 && verify.standardOutput.hasPrefix("ok: 400 passages"))

    let copy = try TemporaryFolder("verify")
    for (name, bytes) in try contents(of: fixture.index) where !name.hasSuffix("/") {
      var bytes = bytes
      if name.hasSuffix("vectors.seg") { bytes[5000] ^= 1 }
      try copy.file(name, bytes)
    }
    let damaged = try CLIRunner.run(["index", "verify", copy.path])
    #expect(damaged.exitCode == 65)
    #expect(damaged.standardError.contains("vectors.seg"))
    #expect(damaged.standardError.split(separator: "\n").count == 1)
  }
}
