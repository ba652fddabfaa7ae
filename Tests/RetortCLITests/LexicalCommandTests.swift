import Foundation
import Indexing
import Platform
import Retrieval
import TestSupport
import Testing

@Suite struct LexicalCommandTests {
  private let fixture: CLIFixture
  private let folder: TemporaryFolder
  private var index: String { folder.path + "/index" }
  /// A question with words of the fixture's passages.
  private let question = "gold and water in a river"

  init() throws {
    fixture = try CLIFixture.shared.get()
    folder = try TemporaryFolder("lexical")
    for (name, bytes) in try contents(of: fixture.index) where !name.hasSuffix("/") {
      try folder.file("index/" + name, bytes)
    }
  }

  private func addLexical(_ more: String...) throws -> CLIResult {
    try CLIRunner.run(["index", "add-lexical", index] + more)
  }

  private func search(_ arguments: String..., input: String = "") throws -> CLIResult {
    try CLIRunner.run(["search", index] + arguments, input: Array(input.utf8))
  }

  /// The lines of a TREC run as ids and scores.
  private func run(_ result: CLIResult) throws -> [(id: String, score: Double)] {
    #expect(result.exitCode == 0, "\(result)")
    return try result.standardOutput.split(separator: "\n").map {
      let columns = $0.split(separator: " ")
      return (String(columns[2]), try #require(Double(columns[4])))
    }
  }

  @Test func `an index without lexical data says how to get it`() throws {
    for ranking in [["--lexical"], ["--hybrid", "rrf"]] {
      let result = try CLIRunner.run(["search", index, question] + ranking)
      #expect(result.exitCode == 64 && result.standardOutput == "")
      #expect(result.standardError.contains("retort index add-lexical \(index)"), "\(result)")
    }
    let missing = try CLIRunner.run(["index", "add-lexical", folder.path + "/nothing"])
    #expect(missing.exitCode == 66)
  }

  @Test func `words rank without a model, and the data is kept up`() throws {
    let added = try addLexical()
    #expect(added.exitCode == 0, "\(added)")
    #expect(added.standardError.contains("400 passages in 1 segment"), "\(added)")
    #expect(try addLexical().standardError.contains("nothing to do"))
    let report = try JSONDecoder().decode(
      LexicalAdditionReport.self, from: Data(try addLexical("--json").standardOutput.utf8))
    #expect(report.segments == 0 && report.passages == 400 && report.generation == 2)
    #expect(report.wasThere)
    let nothing = try CLIRunner.run(["search", index, "zzyzx", "--lexical"])
    #expect(nothing.exitCode == 0 && nothing.standardOutput == "")
    #expect(nothing.standardError.contains("no passage holds a word of the question"))
    let info = try CLIRunner.run(["index", "info", index]).standardOutput
    #expect(info.contains("words:        stemmer english, stop words english\n"))
    #expect(info.contains("segments/000002/lexical-000001.seg"))

    let more = try folder.file("more.tsv", "new\tRetorts are distilled; a retort distils.\n")
    let second = try CLIRunner.run(
      ["index", "add", index, "--corpus", more, "--model", fixture.model, "--quiet"])
    #expect(second.exitCode == 0, "\(second)")
    #expect(try CLIRunner.run(["index", "verify", index]).exitCode == 0)
    // The stem of all three is "distil".
    let found = try search("Distilling", "--lexical", "--model", "/nowhere", "-k", "3", "--quiet")
    #expect(found.exitCode == 0 && found.standardError == "", "\(found)")
    #expect(found.standardOutput.contains("  new\n"), "\(found)")
    #expect(try search("unheardof", "--lexical", "--quiet").standardOutput == "")

    let deleted = try CLIRunner.run(["index", "delete", index, "new", "--quiet"])
    #expect(deleted.exitCode == 0)
    #expect(try search("Distilling", "--lexical", "--quiet").standardOutput == "")
    #expect(try CLIRunner.run(["index", "merge", index, "--quiet"]).exitCode == 0)
    #expect(try CLIRunner.run(["index", "verify", index]).exitCode == 0)
  }

  @Test func `batches, one question and the prompt agree, at any number of threads`() throws {
    let built = folder.path + "/built"
    let build = try fixture.build(fixture.corpusPath, to: built, "--lexical", "--stemmer", "none")
    #expect(build.exitCode == 0, "\(build)")
    let texts = fixture.corpus.passages.prefix(20).map(\.text) + [question]
    let topics = try folder.file(
      "topics.tsv", texts.enumerated().map { "q\($0)\t\($1)\n" }.joined())
    for ranking in [["--lexical"], ["--hybrid", "rrf"], ["--hybrid", "linear:0.3"]] {
      let arguments = ["search", built, "--topics", topics, "--hits", "8", "--quiet"] + ranking
      let one = try CLIRunner.run(arguments + ["--threads", "1"])
      #expect(one.exitCode == 0, "\(one)")
      let more = try CLIRunner.run(arguments + ["--threads", "3"])
      #expect(more.standardOutput == one.standardOutput)
      let single = try CLIRunner.run(
        ["search", built, question, "-k", "8", "--output-format", "jsonl"] + ranking)
      let lines = one.standardOutput.split(separator: "\n").filter { $0.hasPrefix("q20 ") }
      let object = try JSONSerialization.jsonObject(with: Data(single.standardOutput.utf8))
      let hits = (object as? [String: Any])?["hits"] as? [[String: Any]]
      #expect(
        hits?.compactMap { $0["id"] as? String }
          == lines.map { String($0.split(separator: " ")[2]) })
      let prompt = try CLIRunner.run(
        ["search", built, "-k", "8"] + ranking, input: Array("\(question)\n".utf8))
      let heads = prompt.standardOutput.split(separator: "\n").filter { !$0.hasPrefix("    ") }
      #expect(
        heads.compactMap { $0.split(separator: " ").last.map(String.init) }
          == lines.map { String($0.split(separator: " ")[2]) }, "\(prompt)")
    }
    let prompt = try CLIRunner.run(["search", built, "--lexical"], input: Array(":ef 10\n".utf8))
    #expect(prompt.exitCode == 64 && prompt.standardError.contains("words alone"), "\(prompt)")
  }

  @Test func `hybrid rankings hold what either finds, and filters hold for all`() throws {
    #expect(try addLexical("--quiet").exitCode == 0)
    let trec = ["--output-format", "trec", "-k", "400"]
    func ranked(_ arguments: String...) throws -> [(id: String, score: Double)] {
      try run(try CLIRunner.run(["search", index, question] + trec + arguments))
    }
    let words = try ranked("--lexical")
    let dense = try ranked("--exact")
    let fused = try ranked("--hybrid", "rrf", "--exact")
    #expect(dense.count == 400 && fused.count == 400 && (1..<400).contains(words.count))
    let best = try #require(fused.first)
    func rank(_ list: [(id: String, score: Double)], _ id: String) -> Double {
      list.firstIndex { $0.id == id }.map { 1 / Double(61 + $0) } ?? 0
    }
    #expect(abs(best.score - rank(words, best.id) - rank(dense, best.id)) < 1e-6)
    #expect(try ranked("--hybrid", "linear:1").prefix(3).map(\.id) == words.prefix(3).map(\.id))
    #expect(try ranked("--lexical", "--k1", "0", "--b", "0").map(\.id) != words.map(\.id))

    let ids = try folder.file("ids", "\(words[5].id)\n\(words[9].id)\nnobody\n")
    #expect(
      try ranked("--lexical", "--filter-ids", ids).map(\.id) == [words[5].id, words[9].id])
    let told = try search(question, "--lexical", "--filter-ids", ids)
    #expect(told.standardError.contains("2 of 400 passages, found by their words"), "\(told)")
  }

  @Test func `killed at any moment, an addition leaves the index as it was and is repeated`() throws
  {
    func search(_ path: String) throws -> String {
      try CLIRunner.run(["search", path, question, "--quiet", "-k", "5"]).standardOutput
    }
    func lexical(_ path: String) throws -> [UInt8] {
      let files = try PassageIndex(path: path).manifest.segments.first?.files
      return try FileSystem.read(path + "/" + (try #require(files?["lexical"]).name))
    }
    let before = try search(index)
    let files = try contents(of: index)
    #expect(try addLexical("--quiet").exitCode == 0)
    let expected = try lexical(index)
    var kills = 0
    for file in ["building/lock", "building/lexical-000001.seg", "segments/000002"] {
      let path = folder.path + "/killed-" + file.replacing("/", with: "-")
      for (name, bytes) in files where !name.hasSuffix("/") {
        try folder.file(String(path.dropFirst(folder.path.count + 1)) + "/" + name, bytes)
      }
      let addition = try CLIRunner.start(["index", "add-lexical", path, "--quiet"])
      _ = addition.wait { FileSystem.kind(of: path + "/" + file) != .nothing }
      addition.send(SIGKILL)
      if try addition.wait().signal == SIGKILL { kills += 1 }
      #expect(try search(path) == before, "\(file)")
      let again = try CLIRunner.run(["index", "add-lexical", path, "--quiet"])
      #expect(again.exitCode == 0, "\(file): \(again)")
      #expect(try lexical(path) == expected, "\(file)")
      #expect(try CLIRunner.run(["index", "verify", path]).exitCode == 0, "\(file)")
    }
    #expect(kills > 0, "the additions were too fast to be killed")
  }

  private static let refused: [[String]] = [
    ["q", "--lexical", "--hybrid", "rrf"], ["q", "--hybrid", "sum"], ["q", "--hybrid", "linear:2"],
    ["q", "--k1", "1"], ["q", "--lexical", "--k1", "-1"], ["q", "--lexical", "--b", "1.1"],
    ["q", "--lexical", "--exact"], ["--query-vectors", "v.npy", "--lexical"],
  ]

  @Test(arguments: refused)
  func `options that make no sense are refused`(arguments: [String]) throws {
    let result = try CLIRunner.run(["search", index] + arguments)
    #expect(result.exitCode == 64, "\(result)")
  }

  @Test func `building needs texts to invert, and says which options go together`() throws {
    let vectors = try CLIRunner.run([
      "index", "build", "--vectors", "v.npy", "--lexical", "--output", folder.path + "/v",
    ])
    #expect(vectors.exitCode == 64 && vectors.standardError.contains("--corpus"), "\(vectors)")
    let stemmer = try fixture.build(
      fixture.corpusPath, to: folder.path + "/s", "--stemmer", "none")
    #expect(stemmer.exitCode == 64 && stemmer.standardError.contains("--lexical"), "\(stemmer)")
  }
}
