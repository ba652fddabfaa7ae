import Foundation
import Platform
import TestSupport
import Testing

/// A place that cannot be written to is told by its name, before any input is looked at.
@Suite struct OutputPlaceTests {
  private let folder: TemporaryFolder
  private var path: String { folder.path }

  init() throws {
    folder = try TemporaryFolder("place")
    try FileSystem.makeFolder(folder.path + "/model")
    try folder.file("file", "x")
  }

  @Test func `a missing folder is named by every command that writes a file`() throws {
    let model = path + "/model"
    let out = path + "/none/out"
    let commands: [[String]] = [
      ["teach", "--model", model, "--triples", "missing", "-o", out],
      ["ensemble", "missing", "absent", "-o", out],
      [
        "mine", "--index", "missing", "--queries", "missing", "--qrels", "missing", "--from",
        "words",
        "-o", out,
      ],
      [
        "rerank", "missing", "--topics", "missing", "--corpus", "missing", "--model",
        "cat:" + model,
        "-o", out,
      ],
      ["search", "missing", "gold", "-o", out], ["search", "missing", "--topics", "x", "-o", out],
      ["index", "export", "missing", "--vectors", out + ".npy"],
      ["index", "export", "missing", "--vectors", path + "/v.npy", "--ids", out],
      ["index", "export", "missing", "--passages", out],
      ["index", "export", "missing", "--graph", out],
      ["eval", "missing", "absent", "--depth-sweep", "gone", "--svg", out],
      ["recall", "missing", "--topics", "absent", "--svg", out],
    ]
    for command in commands {
      let result = try CLIRunner.run(command)
      #expect(result.exitCode == 64, "\(result)")
      let expected =
        "retort: error: \(path)/none: there is no such folder to write into; make it, or name "
        + "another place\n"
      #expect(result.standardError == expected, "\(command): \(result)")
    }
    #expect(try FileSystem.names(in: path) == ["file", "model"])
  }

  @Test func `a file in a folder's place is named by every command that makes folders`() throws {
    let model = path + "/model"
    let out = path + "/file/out"
    let commands: [[String]] = [
      ["encode", "--model", model, "--corpus", "missing", "-o", out + ".npy"],
      [
        "train", "--model", "bert-dot", "--init", model, "--triples", "missing", "--loss",
        "ranknet",
        "-o", out,
      ],
      ["index", "build", "--model", model, "--corpus", "missing", "-o", out],
      ["index", "merge", "missing", "absent", "--output", out],
      ["model", "quantize", model, "--output", out],
      ["model", "average", model, path, "--output", out],
    ]
    for command in commands {
      let result = try CLIRunner.run(command)
      #expect(result.exitCode == 64, "\(result)")
      let expected =
        "retort: error: \(path)/file: is not a folder, so nothing can be written into it; name "
        + "another place\n"
      #expect(result.standardError == expected, "\(command): \(result)")
    }
  }

  @Test func `what is one is never called many`() throws {
    let index = path + "/index"
    try TinyEncoder.write(to: path + "/tiny")
    try folder.file("one.tsv", "1\tgold and water\n")
    try folder.file("topics.tsv", "q\tgold\n")
    let build = [
      "--corpus", path + "/one.tsv", "--model", path + "/tiny", "--threads", "1", "-o",
    ]
    let commands: [[String]] = [
      ["index", "build"] + build + [index], ["index", "info", index], ["index", "verify", index],
      ["index", "add-lexical", index], ["encode"] + build + [path + "/v.npy"],
      [
        "search", index, "--topics", path + "/topics.tsv", "-o", path + "/run", "--threads", "1",
        "--filter-ids", path + "/ids",
      ],
      ["search", index, "gold"], ["search", index],
      ["index", "export", index, "--vectors", path + "/e.npy", "--graph", path + "/g"],
      ["index", "delete", index, "none"], ["index", "merge", index],
    ]
    try folder.file("ids", "1\n")
    // A number behind a point or a letter counts nothing, and a rate may be one of many.
    let many = try Regex("(^|[^0-9.])1 (?!(is|has|was)\\b)[a-z]+ ?[a-z]*s\\b(?!/)")
    for command in commands {
      let result = try CLIRunner.run(command)
      #expect(result.exitCode == 0, "\(result)")
      for line in (result.standardOutput + result.standardError).split(separator: "\n") {
        let found = line.firstMatch(of: many).map { "\($0.output[0].substring ?? "")" }
        #expect(found == nil, "\(command[0...1]): \(line)")
      }
    }
  }
}
