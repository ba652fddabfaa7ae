import Distillation
import Foundation
import Models
import Platform
import TestSupport
import Testing

/// Training with a teacher of pairs and a ColBERT that teaches the batch.
@Suite struct DualTeacherTrainingTests {
  private let folder: TemporaryFolder
  private static let triples = 6

  init() throws {
    folder = try TemporaryFolder("dual")
    try TinyEncoder.write(to: folder.path + "/start")
    try TinyEncoder.write(to: folder.path + "/terms", seed: 2, head: .compressor)
    let lines = Self.texts.enumerated().map { number, text in
      "\(2 + number)\t\(Double(number) / 2)\t\(text.query)\t\(text.positive)\t\(text.negative)\n"
    }
    try folder.file("scores.tsv", lines.joined())
  }

  private static var texts: [(query: String, positive: String, negative: String)] {
    let words = TinyEncoder.words
    func text(_ seed: Int, _ count: Int) -> String {
      (0..<count).map { words[(seed * 7 + $0 * 3) % words.count] }.joined(separator: " ")
    }
    // One positive passage is that of two triples.
    return (0..<triples).map { (text($0, 2), text(max($0, 1) + 1, 5), text($0 + 40, 6)) }
  }

  private func options(_ name: String) -> TrainingOptions {
    var options = TrainingOptions(
      model: .bertDot, initial: folder.path + "/start", output: folder.path + "/" + name)
    options.teacherScores = folder.path + "/scores.tsv"
    options.inBatchTeacher = folder.path + "/terms"
    options.batchSize = Self.triples
    options.microBatch = 2
    options.steps = 4
    options.learningRate = 1e-3
    options.dropout = 0
    options.threads = 2
    options.checkpointEvery = 3
    return options
  }

  private func losses(_ name: String) throws -> [Double] {
    struct Line: Decodable { var loss: Double? }
    return try FileSystem.read(folder.path + "/\(name)/retort_training_log.jsonl")
      .split(separator: 10).compactMap { try JSONDecoder().decode(Line.self, from: Data($0)).loss }
  }

  private func message(_ options: TrainingOptions) -> String {
    do {
      _ = try Trainer.train(options, quiet: true)
      return "no error"
    } catch {
      return "\(error)"
    }
  }

  /// The loss of all triples as one batch, from the finished models' scores.
  private func expectedLoss(_ student: String, weight: Double) throws -> Double {
    let encoder = try TextEncoder(directory: student, options: Self.raw)
    let terms = try ColBERT(directory: folder.path + "/terms")
    func matrix(
      _ side: (Int) -> String, _ score: (String, [String]) throws -> [Double]
    ) rethrows -> [[Double]] {
      try Self.texts.map { try score($0.query, Self.texts.indices.map(side)) }
    }
    func scores(
      _ score: (String, [String]) throws -> [Double]
    ) rethrows -> DualTeacherLoss.Scores {
      let texts = Self.texts
      return DualTeacherLoss.Scores(
        positive: try matrix({ texts[$0].positive }, score),
        negative: try matrix({ texts[$0].negative }, score))
    }
    let own = try scores { query, passages in
      let vectors = try encoder.encode(texts: [query] + passages, threads: 1)
      let width = encoder.dimension
      return (1...passages.count).map { place in
        (0..<width).reduce(0.0) {
          $0 + Double(vectors[$1]) * Double(vectors[place * width + $1])
        }
      }
    }
    let taught = try scores { query, passages in
      try terms.score(query: query, passages: passages, threads: 1).scores.map(Double.init)
    }
    let margins = (0..<Self.triples).map { Double(2 + $0) - Double($0) / 2 }
    return DualTeacherLoss.evaluate(
      own, inBatchTeacher: taught, margins: margins, weight: weight
    ).value
  }

  private static var raw: EncoderOptions {
    var options = EncoderOptions()
    options.normalize = false
    options.precision = .f32
    return options
  }

  @Test(arguments: [0.75, 0, 2.5])
  func `the loss is that of both teachers over the whole batch`(weight: Double) throws {
    var options = options("dual")
    options.inBatchWeight = weight
    options.steps = 1
    _ = try Trainer.train(options, quiet: true)
    let found = try #require(try losses("dual").first)
    let expected = try expectedLoss(folder.path + "/start", weight: weight)
    #expect(abs(found - expected) < 1e-4 * max(1, expected), "\(found), not \(expected)")
    // Another weight is another loss.
    let other = try expectedLoss(folder.path + "/start", weight: weight + 0.1)
    #expect(abs(other - expected) > 1e-2 * max(1, expected), "\(other), \(expected)")
  }

  @Test func `training lowers it, and what is left is the loss of the written model`() throws {
    var options = options("longer")
    options.steps = 60
    options.schedule = .constant
    let report = try Trainer.train(options, quiet: true)
    #expect(report.lastLoss < report.firstLoss / 3, "\(report.firstLoss), \(report.lastLoss)")
    let last = try #require(try losses("longer").last)
    let written = try expectedLoss(options.output, weight: 0.75)
    #expect(written < report.firstLoss / 3, "\(written)")
    // What a step logs is the loss of the weights before it.
    options.output = folder.path + "/shorter"
    options.steps = 59
    _ = try Trainer.train(options, quiet: true)
    let before = try expectedLoss(options.output, weight: 0.75)
    #expect(abs(before - last) < 1e-3 * max(1, last), "\(before), not \(last)")
    #expect(abs(before - written) > 1e-2 * max(1, last), "\(before), \(written)")
  }

  @Test func `threads and interruptions change nothing, another teacher is refused`() throws {
    _ = try Trainer.train(options("whole"), quiet: true)
    var options = options("resumed")
    options.threads = 1
    _ = #expect(throws: RetortError.self) {
      try Trainer.train(options, quiet: true) { taken throws(RetortError) in
        if taken == 3 { throw RetortError(.cancelled, "stopped by the test") }
      }
    }
    options.resume = true
    try TinyEncoder.write(to: folder.path + "/others", seed: 3, head: .compressor)
    options.inBatchTeacher = folder.path + "/others"
    #expect(message(options).contains("--in-batch-teacher"))
    options.inBatchTeacher = nil
    #expect(message(options).contains("then"))
    // The same teacher in another place is the same.
    try FileSystem.rename(folder.path + "/terms", to: folder.path + "/moved")
    options.inBatchTeacher = folder.path + "/moved"
    #expect(try Trainer.train(options, quiet: true).stepsNow == 1)
    let weights = try ["whole", "resumed"].map {
      try FileSystem.read(folder.path + "/\($0)/model.safetensors")
    }
    #expect(weights[0] == weights[1])
  }

  @Test func `what cannot be taught so is refused`() throws {
    var options = options("wrong")
    options.loss = .listKL
    #expect(message(options).contains("stands beside --loss margin-mse"))
    options.loss = .marginMSE
    options.model = .bertCat
    #expect(message(options).contains("teaches bert-dot alone"))
    options.model = .bertDot
    options.inBatchWeight = -1
    #expect(message(options).contains("must not be negative"))
    options.inBatchWeight = 1
    options.inBatchTeacher = folder.path + "/start"
    #expect(message(options).contains("has no layer that makes vectors of tokens"))
  }

  @Test func `the command takes a second teacher`() throws {
    let result = try CLIRunner.run([
      "train", "--model", "bert-dot", "--init", folder.path + "/start", "--teacher-scores",
      folder.path + "/scores.tsv", "--in-batch-teacher", folder.path + "/terms",
      "--in-batch-weight", "0.5", "--batch-size", "3", "--steps", "2", "-o", folder.path + "/cli",
    ])
    #expect(result.exitCode == 0, "\(result)")
    let written = String(
      decoding: try FileSystem.read(folder.path + "/cli/retort_training_config.json"),
      as: UTF8.self)
    #expect(written.contains("\"in-batch-weight\" : 0.5"))
    #expect(written.contains("/terms"))
  }
}
