import Formats
import Foundation
import Models
import Platform
import TestSupport
import Testing

/// Indexes of the fixture's corpus, by the commands.
extension RerankFixture {
  var path: String { folder.path }

  /// Runs a command, which must end with `code`.
  @discardableResult
  func run(_ arguments: [String], expecting code: Int32 = 0) throws -> CLIResult {
    let result = try CLIRunner.run(arguments)
    #expect(result.exitCode == code, "\(arguments): \(result)")
    return result
  }

  /// Builds an index with the tiny encoder.
  func build(
    _ more: [String] = [], corpus: String = "corpus.tsv", to name: String = "index"
  ) throws {
    if FileSystem.kind(of: path + "/encoder") == .nothing {
      try TinyEncoder.write(to: path + "/encoder")
    }
    try run(
      [
        "index", "build", "--corpus", path + "/" + corpus, "--model", path + "/encoder",
        "--output", path + "/" + name, "--quiet", "--batch-size", "16",
      ] + more)
  }

  /// Re-ranks the fixture's run with the passages of an index.
  func rerank(
    _ model: String, index: String, _ more: [String] = [], expecting code: Int32 = 0
  ) throws -> CLIResult {
    try run(
      [
        "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--index", index,
        "--model", model, "-o", "-",
      ] + more, expecting: code)
  }

  /// Scores of a TREC run by query and passage.
  static func scores(_ result: CLIResult) throws -> [String: Double] {
    var scores: [String: Double] = [:]
    for line in result.standardOutput.split(separator: "\n") {
      let columns = line.split(separator: " ")
      let score: Double = try #require(Double(columns[4]))
      scores["\(columns[0]) \(columns[2])"] = score
    }
    return scores
  }

  /// Writes a TK over the corpus' words.
  func writeTK(to name: String, dimension: Int = 20, seed: UInt64 = 3) throws {
    var start = TKStart()
    for passage in corpus.passages { start.add(passage.text) }
    var options = TrainableTK.Options()
    options.dimension = dimension
    options.seed = seed
    try FileSystem.makeFolder(path + "/" + name)
    try TrainableTK(start, options: options).save(to: path + "/" + name)
  }

  /// Writes a PreTTR of the tiny encoder. Its head is drawn anew, and 50 times as large as a start's:
  /// scores then differ by units, as those of trained models do.
  func writePreTTR(to name: String, compression: Int?, seed: UInt64 = 1) throws {
    let start = path + "/\(name)-start"
    try TinyEncoder.write(to: start, seed: seed)
    var options = TrainableModel.Options()
    options.queryLength = 12
    options.compression = compression
    try FileSystem.makeFolder(path + "/" + name)
    try TrainablePreTTR(directory: start, options: options).save(to: path + "/" + name)
    let weights = path + "/\(name)/model.safetensors"
    let file = try SafeTensors(path: weights)
    var writer = SafeTensorsWriter()
    for tensor in file.tensors {
      let factor: Float = tensor.name == "_classification_layer.weight" ? 50 : 1
      writer.add(
        tensor.name, shape: tensor.shape, values: try file.floats(tensor).map { factor * $0 })
    }
    try writer.write(to: weights + ".new")
    try FileSystem.rename(weights + ".new", to: weights)
  }
}
