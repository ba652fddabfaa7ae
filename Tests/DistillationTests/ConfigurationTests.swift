import Distillation
import Foundation
import Platform
import TestSupport
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// `--config`, what a run writes of its options, and the picture beside its log.
@Suite struct ConfigurationTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder("config")
    try TinyEncoder.write(to: folder.path + "/start")
    let words = TinyEncoder.words
    let lines = (0..<12).map { number in
      "\(words[number]) river\t\(words[number]) water river lake\t\(words[number + 20]) salt\n"
    }
    try folder.file("triples.tsv", lines.joined())
  }

  private func config(_ text: String) throws -> String { try folder.file("config.json", text) }

  private func whole(_ name: String, _ more: String = "") throws -> String {
    try config(
      """
      {"model": "bert-dot", "init": "\(folder.path)/start", "triples": "\(folder.path)/triples.tsv",
       "output": "\(folder.path)/\(name)", "loss": "infonce", "steps": 5, "batch-size": 4,
       "learning-rate": 1e-3, "dropout": 0, "micro-batch": null, "quiet": true\(more)}
      """)
  }

  private func weights(_ name: String) throws -> [UInt8] {
    try FileSystem.read(folder.path + "/\(name)/model.safetensors")
  }

  @Test func `a file stands for flags, and flags go before it`() throws {
    let result = try CLIRunner.run(["train", "--config", try whole("a")])
    #expect(result.exitCode == 0 && result.standardError.isEmpty, "\(result.standardError)")
    let flags = [
      "train", "--model", "bert-dot", "--init", folder.path + "/start", "--triples",
      folder.path + "/triples.tsv", "-o", folder.path + "/b", "--loss", "infonce", "--steps", "5",
      "--batch-size", "4", "--learning-rate", "0.001", "--dropout", "0", "--quiet",
    ]
    #expect(try CLIRunner.run(flags).exitCode == 0)
    #expect(try weights("a") == weights("b"))
    // What a run wrote of its options makes the same model again.
    let written = folder.path + "/a/retort_training_config.json"
    let again = try CLIRunner.run([
      "train", "-o", folder.path + "/c", "--config", written, "--quiet",
    ])
    #expect(again.exitCode == 0, "\(again.standardError)")
    #expect(try weights("c") == weights("a"))
    let other = try CLIRunner.run([
      "train", "--seed", "7", "-o", folder.path + "/d", "--config", written, "--quiet",
    ])
    #expect(other.exitCode == 0)
    #expect(try weights("d") != weights("a"))
  }

  @Test func `every option of the command has a name in the file`() throws {
    let help = try CLIRunner.run(["train", "--help"]).standardOutput
    let options = help.split(separator: "\n").compactMap { line in
      line.firstMatch(of: /^  (?:-[a-z], )?--([a-z0-9-]+)/).map { String($0.output.1) }
    }
    #expect(options.count > 40)
    #expect(
      Set(options).subtracting(["config", "help", "version"]) == TrainingConfiguration.names)
  }

  private static let bad: [(text: String, reason: String)] = [
    (#"{"lerning-rate": 1}"#, #"unknown key "lerning-rate"; did you mean "learning-rate"?"#),
    (#"{"--seed": 1}"#, #"did you mean "seed"?"#),
    (#"{"config": "x.json"}"#, #"unknown key "config""#),
    ("{\"seed\": 1", "is no JSON object"), ("[1, 2]", "is no JSON object"), ("", "is no JSON"),
    (#"{"steps": [5]}"#, "is a number or a text"), (#"{"steps": true}"#, "is a number or a text"),
    (#"{"resume": "yes"}"#, "is true or false"),
    (#"{"steps": "many"}"#, "The value 'many' is invalid for '--steps"),
    (#"{"loss": "margin"}"#, "'--loss"), (#"{"threads": 0}"#, "--threads must lie in"),
    (#"{"steps": 5}"#, "--model is missing"), (#"{"model": "bert-dot"}"#, "--init is missing"),
  ]

  @Test(arguments: bad)
  func `a file that cannot be used is one error`(text: String, reason: String) throws {
    let result = try CLIRunner.run(["train", "--config", try config(text)])
    #expect([64, 65].contains(result.exitCode))
    #expect(result.standardError.contains(reason), "\(result.standardError)")
    #expect(result.standardError.hasPrefix("retort: error: "))
    #expect(result.standardError.components(separatedBy: "rror: ").count == 2)
  }

  @Test func `numbers keep all their digits`() throws {
    let path = try config(#"{"seed": 18446744073709551615, "epsilon": 1e-8, "patience": -1}"#)
    let arguments = try TrainingConfiguration.arguments(ofFile: path)
    #expect(arguments == ["--epsilon=1e-08", "--patience=-1", "--seed=18446744073709551615"])
    var options = TrainingOptions(model: .bertDot, initial: "i", output: "o")
    options.seed = .max
    let data = try JSONEncoder().encode(TrainingConfiguration.values(options))
    #expect(String(decoding: data, as: UTF8.self).contains("18446744073709551615"))
  }

  @Test func `a run leaves a picture of its loss`() throws {
    #expect(try CLIRunner.run(["train", "--config", try whole("drawn")]).exitCode == 0)
    let svg = try FileSystem.read(folder.path + "/drawn/retort_training_curves.svg")
    #expect(XMLParser(data: Data(svg)).parse())
    let text = String(decoding: svg, as: UTF8.self)
    // One point a step.
    #expect(text.components(separatedBy: "<circle").count == 6)
    #expect(text.contains(">Loss<"))
  }

  @Test func `validation is drawn under the loss, and a resumed run draws the same`() throws {
    try folder.file("qrels.txt", "q 0 p 1\n")
    try folder.file(
      "candidates.tsv", "q\tp\twater river\twater river lake\nq\tn\twater river\tsalt\n")
    func options(_ name: String) -> TrainingOptions {
      var options = TrainingOptions(
        model: .bertDot, initial: folder.path + "/start", output: folder.path + "/" + name)
      options.triples = folder.path + "/triples.tsv"
      options.loss = .infoNCE
      options.steps = 250
      options.batchSize = 1
      options.threads = 1
      options.checkpointEvery = 100
      options.validation.qrels = folder.path + "/qrels.txt"
      options.validation.candidates = folder.path + "/candidates.tsv"
      options.validation.every = 50
      return options
    }
    _ = try Trainer.train(options("whole"), quiet: true)
    var resumed = options("resumed")
    _ = #expect(throws: RetortError.self) {
      try Trainer.train(resumed, quiet: true) { taken throws(RetortError) in
        if taken == 130 { throw RetortError(.cancelled, "stopped by the test") }
      }
    }
    let store = resumed.output + ".checkpoints"
    let unfinished = try FileSystem.read(store + "/curves.svg")
    #expect(XMLParser(data: Data(unfinished)).parse())
    #expect(FileSystem.kind(of: store + "/config.json") == .file)
    resumed.resume = true
    _ = try Trainer.train(resumed, quiet: true)
    let one = try FileSystem.read(folder.path + "/whole/retort_training_curves.svg")
    #expect(try FileSystem.read(folder.path + "/resumed/retort_training_curves.svg") == one)
    #expect(XMLParser(data: Data(one)).parse())
    let text = String(decoding: one, as: UTF8.self)
    // 125 means of two steps, and six validations of two measures.
    #expect(text.components(separatedBy: "<circle").count == 1 + 125 + 12)
    #expect(text.contains(">loss (means)<") && text.contains(">nDCG@10<"))
  }
}
