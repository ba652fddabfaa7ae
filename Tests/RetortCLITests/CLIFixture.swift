import Foundation
import Platform
import Retrieval
import TestSupport

/// A model, a corpus and an index of it, made once by the tool itself and only read afterwards.
final class CLIFixture: Sendable {
  let folder: TemporaryFolder
  let corpus = SyntheticCorpus(count: 400, seed: 81)
  let index: String

  static let shared = Result { try CLIFixture() }

  var model: String { folder.path + "/model" }
  var corpusPath: String { folder.path + "/corpus.tsv" }

  private init() throws {
    folder = try TemporaryFolder("cli-index")
    index = folder.path + "/index"
    try TinyEncoder.write(to: folder.path + "/model")
    try TinyEncoder.write(to: folder.path + "/other-model", seed: 2)
    try folder.file("corpus.tsv", corpus.tsv)
    let result = try build(corpusPath, to: index)
    guard result.exitCode == 0 else {
      throw RetortError(.badData, "the fixture does not build: \(result)")
    }
  }

  /// Runs `retort index build` with settings that need many blocks.
  func build(_ corpus: String, to output: String, _ more: String..., input: [UInt8] = []) throws
    -> CLIResult
  {
    try CLIRunner.run(arguments(corpus, output) + more, input: input)
  }

  /// The arguments of `build`.
  func arguments(_ corpus: String, _ output: String) -> [String] {
    [
      "index", "build", "--corpus", corpus, "--model", model, "--output", output, "--batch-size",
      "50", "--m", "8", "--ef-construction", "40", "--threads", "2", "--quiet",
    ]
  }
}

/// The bytes of all files below `path/segments`: what does not depend on where the corpus lay.
func segments(of path: String) throws -> [String: [UInt8]] { try contents(of: path + "/segments") }

/// The last line of a text, without its end.
func lastLine(_ text: String) -> String {
  String(text.split(separator: "\n").last ?? "")
}
