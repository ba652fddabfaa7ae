import Foundation
import Models
import Platform
import TestSupport
import Testing

/// Folders of every kind of model where another kind is wanted.
@Suite struct ModelKindTests {
  private let folder: TemporaryFolder
  private var path: String { folder.path }

  private static let kinds: [(name: String, kind: ModelKind)] = [
    ("encoder", .encoder), ("cat", .crossEncoder), ("original", .colbert),
    ("hofstaetter", .colbert), ("prettr", .prettr), ("tk", .tk),
  ]

  init() throws {
    folder = try TemporaryFolder("kinds")
    let path = folder.path
    try TinyEncoder.write(to: path + "/encoder")
    try TinyEncoder.write(to: path + "/cat", head: .classifier, body: .distilbert)
    try TinyEncoder.write(to: path + "/original", head: .projection)
    try TinyEncoder.write(to: path + "/hofstaetter", head: .compressor)
    var split = TrainableModel.Options()
    (split.queryLength, split.compression) = (12, 8)
    var words = TrainableTK.Options()
    words.dimension = 20
    var start = TKStart()
    start.add("gold and water")
    for name in ["prettr", "tk"] { try FileSystem.makeFolder(path + "/" + name) }
    try TrainablePreTTR(directory: path + "/encoder", options: split).save(to: path + "/prettr")
    try TrainableTK(start, options: words).save(to: path + "/tk")
    try folder.file("corpus.tsv", "1\tgold and water\n2\ta river\n")
  }

  @Test func `the kind of a folder is found`() throws {
    for (name, kind) in Self.kinds {
      #expect(try ModelKind(directory: path + "/" + name) == kind, "\(name)")
    }
  }

  @Test func `no other kind is taken for a text encoder, and its own option is named`() throws {
    let options: [String: String] = [
      "cat": "is a cross-encoder (BERT_CAT), not a text encoder; it belongs to --rerank cat:",
      "original": "is a ColBERT, not a text encoder; it belongs to --rerank colbert:",
      "hofstaetter": " or --terms colbert:",
      "prettr": "is a PreTTR, not a text encoder; it belongs to --rerank prettr:",
      "tk": "is a TK, not a text encoder; it belongs to --rerank tk:",
    ]
    for (name, reason) in options {
      let model = path + "/" + name
      for (command, output) in [(["index", "build"], "/index"), (["encode"], "/v.npy")] {
        let result = try CLIRunner.run(
          command + ["--corpus", path + "/corpus.tsv", "--model", model, "-o", path + output])
        #expect(result.exitCode == 65, "\(result)")
        #expect(result.standardError.contains("\(model): \(reason)") || name == "hofstaetter")
        #expect(result.standardError.contains(reason), "\(result)")
        #expect(FileSystem.kind(of: path + output) == .nothing)
      }
    }
  }

  @Test func `training and the other re-rankers say what a folder is, too`() throws {
    func message(_ body: () throws(RetortError) -> Void) -> String {
      do throws(RetortError) {
        try body()
        return "no error"
      } catch {
        return "\(error)"
      }
    }
    let wrong: [(message: String, reason: String)] = [
      (
        message { () throws(RetortError) in _ = try ColBERT(directory: path + "/prettr") },
        "is a PreTTR, not a ColBERT"
      ),
      (
        message { () throws(RetortError) in _ = try PreTTR(directory: path + "/tk") },
        "is a TK, not a PreTTR"
      ),
      (
        message { () throws(RetortError) in _ = try CrossEncoder(directory: path + "/original") },
        "is a ColBERT, not a cross-encoder"
      ),
      (
        message { () throws(RetortError) in
          _ = try TrainableModel(directory: path + "/tk", kind: .bertDot)
        }, "is a TK, which has no encoder of the BERT family; it belongs to --rerank tk:"
      ),
    ]
    for (message, reason) in wrong { #expect(message.contains(reason), "\(message)") }
  }

  @Test func `model info shows each kind with its own facts`() throws {
    let facts: [(name: String, lines: [String])] = [
      ("encoder", ["kind:          a text encoder", "pooling:       mean"]),
      (
        "cat",
        [
          "kind:          a cross-encoder (BERT_CAT)", "distilbert, 2 layers, 2 heads",
          "48 tokens of a query with its passage",
        ]
      ),
      (
        "original",
        [
          "kind:          a ColBERT", "dimension:     16 numbers a token, scaled to length 1",
          "query masks:   fill:32", "[unused0] in queries, [unused1] in passages",
        ]
      ),
      ("hofstaetter", ["dimension:     32 numbers a token, as they are", "query masks:   none"]),
      (
        "prettr",
        [
          "kind:          a PreTTR", "split:         1 of 2 layers",
          "compressor:    8 of 32 numbers a token", "12 tokens of a query, 36 of a passage",
        ]
      ),
      ("tk", ["kind:          a TK", "kernels:       1.0: "]),
    ]
    for (name, lines) in facts {
      let result = try CLIRunner.run(["model", "info", path + "/" + name])
      #expect(result.exitCode == 0, "\(result)")
      for line in lines {
        #expect(result.standardOutput.contains(line), "\(line): \(result.standardOutput)")
      }
    }
  }

  @Test func `model info as JSON has the kind, and refuses options of encoders for others`() throws
  {
    struct Kind: Decodable { var kind: ModelKind }
    for (name, kind) in Self.kinds {
      let result = try CLIRunner.run(["model", "info", path + "/" + name, "--json"])
      let found = try JSONDecoder().decode(Kind.self, from: Data(result.standardOutput.utf8))
      #expect(found.kind == kind)
    }
    let json = try CLIRunner.run([
      "model", "info", path + "/prettr", "--json", "--max-length", "9",
    ])
    let summary = try JSONDecoder().decode(
      RankerSummary.self, from: Data(json.standardOutput.utf8))
    #expect(summary.splitLayer == 1 && summary.compressor == 8 && summary.dimension == 8)
    #expect(summary.passageLength == 9 && summary.passagePosition == 12)
    #expect(summary.parameters > 1000 && summary.colbert == nil && summary.pairLength == nil)
    let wrong = try CLIRunner.run(["model", "info", path + "/cat", "--pooling", "cls"])
    #expect(wrong.exitCode == 64 && wrong.standardError.contains("is no text encoder"), "\(wrong)")
  }
}
