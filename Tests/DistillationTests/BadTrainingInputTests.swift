import Distillation
import Foundation
import Platform
import TestSupport
import Testing

/// Input that training must survive: one clear error, or a warning with a count.
@Suite struct BadTrainingInputTests {
  private let folder: TemporaryFolder
  private static let words = TinyEncoder.words

  init() throws {
    folder = try TemporaryFolder("bad-input")
    try TinyEncoder.write(to: folder.path + "/start")
    let lines = (0..<12).map { Self.line($0, "\($0 % 5).5", "-1") }
    try folder.file("scores.tsv", lines.joined())
  }

  private static func line(_ number: Int, _ positive: String, _ negative: String) -> String {
    "\(positive)\t\(negative)\t\(words[number]) river\t\(words[number]) water river lake\t"
      + "\(words[number + 20]) salt\n"
  }

  private func arguments(_ scores: String, _ output: String = "out") -> [String] {
    [
      "train", "--model", "bert-dot", "--init", folder.path + "/start", "--teacher-scores", scores,
      "-o", output.hasPrefix("/") ? output : folder.path + "/" + output, "--batch-size", "4",
      "--steps", "12", "--checkpoint-every", "4", "--threads", "1",
    ]
  }

  private static let badLines: [(line: String, reason: String)] = [
    ("1\tq\tp\tn\n", "5 expected"), ("1\t2\tq\tp\n", "4 found"),
    ("1\t2\tq\tp\tn\tx\n", "6 found; a TAB inside a text makes a column, too"),
    ("nan\t2\tq\tp\tn\n", "no finite number (\"nan\")"),
    ("1\t-inf\tq\tp\tn\n", "no finite number (\"-inf\")"),
    ("q\tp\tn\t1\t2\n", "no finite number (\"q\")"),
    ("1\t2\tq\tp\tp\n", "the positive passage is the negative one, too"),
    ("1\t2\tq\t \tn\n", "empty positive passage"),
  ]

  @Test(arguments: badLines)
  func `a bad line stops training with its place, or is skipped and counted`(
    line: String, reason: String
  ) throws {
    let good = String(decoding: try FileSystem.read(folder.path + "/scores.tsv"), as: UTF8.self)
    let path = try folder.file("bad.tsv", good + line)
    var options = TrainingOptions(
      model: .bertDot, initial: folder.path + "/start", output: folder.path + "/out")
    options.teacherScores = path
    let error = #expect(throws: RetortError.self) { try TrainingData(options) }
    #expect(error?.exitCode == 65)
    #expect(error?.description.contains("bad.tsv:13: ") == true)
    #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
    options.skipBadLines = true
    let data = try TrainingData(options)
    #expect(data.count == 12 && data.skippedLines == 1 && data.warnings.count == 1)
  }

  @Test func `the command names a bad line, and the evidence for probabilities`() throws {
    let bad = try folder.file("bad.tsv", "1\tq\tp\tn\n")
    let refused = try CLIRunner.run(arguments(bad))
    #expect(refused.exitCode == 65)
    #expect(refused.standardError.contains("bad.tsv:1: wrong number of columns"))
    #expect(FileSystem.kind(of: folder.path + "/out") == .nothing)
    let lines = (0..<120).map { Self.line($0 % 12, "0.9\($0 % 9)", "0.0\($0 % 7)5") }
    let sigmoid = try folder.file("sigmoid.tsv", lines.joined())
    let warned = try CLIRunner.run(arguments(sigmoid) + ["--quiet"])
    #expect(warned.exitCode == 0)
    #expect(
      warned.standardError.contains("warning: all 240 teacher scores lie in 0...1 (0.005...0.98)"),
      "\(warned.standardError)")
  }

  @Test func `texts longer than the limits are cut and counted`() throws {
    let long = Self.words.joined(separator: " ")
    let path = try folder.file("long.tsv", "3\t1\t\(long)\t\(long) salt\twater\n")
    let result = try CLIRunner.run(arguments(path) + ["--quiet"])
    #expect(result.exitCode == 0)
    // The query and the positive passage of each of 4 triples in 12 steps.
    #expect(result.standardError.contains("warning: 96 texts of the batches were longer"))
  }

  // MARK: Checkpoints

  /// Ends a run after a step as a kill would.
  private func stopped(_ name: String, after step: Int) throws -> String {
    var options = TrainingOptions(
      model: .bertDot, initial: folder.path + "/start", output: folder.path + "/" + name)
    options.teacherScores = folder.path + "/scores.tsv"
    options.batchSize = 4
    options.steps = 12
    options.checkpointEvery = 4
    _ = #expect(throws: RetortError.self) {
      try Trainer.train(options, quiet: true) { taken throws(RetortError) in
        if taken == step { throw RetortError(.cancelled, "stopped by the test") }
      }
    }
    return options.output + ".checkpoints"
  }

  private func weights(_ path: String) throws -> [UInt8] {
    try FileSystem.read(path + "/model.safetensors")
  }

  @Test(arguments: ["weights.safetensors", "moments.safetensors", "state.json"])
  func `of a checkpoint cut in half the one before is used, and said so`(file: String) throws {
    let scores = folder.path + "/scores.tsv"
    #expect(try CLIRunner.run(arguments(scores, "whole")).exitCode == 0)
    let store = try stopped("cut", after: 11)
    func cut(_ step: Int) throws {
      let path = store + "/step-\(step)/" + file
      let bytes = try FileSystem.read(path)
      try FileSystem.replace(path, with: Array(bytes.prefix(bytes.count / 2)))
    }
    try cut(8)
    let resumed = try CLIRunner.run(arguments(scores, "cut") + ["--resume"])
    #expect(resumed.exitCode == 0)
    #expect(resumed.standardError.contains("warning: the checkpoint of step 8 is damaged"))
    #expect(resumed.standardError.contains(file))
    #expect(resumed.standardError.contains("resumed after step 4"))
    #expect(try weights(folder.path + "/cut") == weights(folder.path + "/whole"))
  }

  @Test(.enabled(if: Mount.isPossible, "mounting needs root: not tested"))
  func `a disk that is full while a checkpoint is written costs the steps since the last`() throws {
    let scores = folder.path + "/scores.tsv"
    #expect(try CLIRunner.run(arguments(scores, "whole")).exitCode == 0)
    let mount = try Mount(folder.path + "/disk", options: "size=600k")
    let output = mount.path + "/model"
    let full = try CLIRunner.run(arguments(scores, output) + ["--quiet"])
    #expect(full.exitCode == 74)
    #expect(full.standardError.contains("No space left on device; free some space"))
    #expect(full.standardError.contains("--resume goes on from there"), "\(full.standardError)")
    let left = try FileSystem.names(in: output + ".checkpoints")
    #expect(left.contains("step-4") && !left.contains("partial"), "\(left)")
    try mount.remount(options: "size=4m")
    let resumed = try CLIRunner.run(arguments(scores, output) + ["--resume"])
    #expect(resumed.exitCode == 0 && resumed.standardError.contains("resumed after step 4"))
    #expect(try weights(output) == weights(folder.path + "/whole"))
  }
}
