import Formats
import Indexing
import Models
import Platform
import Retrieval
import Store
import TestSupport

/// An index that is built once and shared by the tests that only read it.
final class SmallIndex: Sendable {
  let folder: TemporaryFolder
  let path: String
  let corpus: SyntheticCorpusBox

  /// Passages: synthetic ones, copies of one of them, one without text, and odd characters.
  static let shared = Result { try SmallIndex(count: 300, copies: 20) }
  /// One with just enough passages for compact codes.
  static let coded = Result { try SmallIndex(count: 1030, copies: 20) }
  /// A larger one, for searching.
  static let large = Result { try SmallIndex(count: 2400, copies: 120) }

  private init(count: Int, copies: Int) throws {
    folder = try TemporaryFolder("small-index")
    var corpus = SyntheticCorpus(count: count, seed: 21)
    var random = SplitMix64(seed: 22)
    for copy in 0..<copies {
      let place = Int(random.next() % UInt64(corpus.passages.count))
      corpus.passages.insert(("copy-\(copy)", corpus.passages[7].text), at: place)
    }
    corpus.passages[40].text = ""
    corpus.passages[41] = ("ünïcödé – 漢字", "Grüße, 漢字 and 🌊 water\\n")
    self.corpus = SyntheticCorpusBox(passages: corpus.passages)
    path = folder.path + "/index"
    try TinyEncoder.write(to: folder.path + "/model")
    try folder.file("corpus.tsv", corpus.tsv)
    try build(to: path)
  }

  /// Builds the same index elsewhere, or one that differs in what `change` does.
  @discardableResult
  func build(
    to output: String, change: (inout IndexBuildOptions) -> Void = { _ in }
  ) throws -> IndexBuildReport {
    var options = IndexBuildOptions(corpus: folder.path + "/corpus.tsv", output: output)
    options.batchSize = 100
    options.threads = 2
    options.efConstruction = 60
    options.m = 8
    change(&options)
    return try IndexBuilder.build(
      options, encoder: try TextEncoder(directory: folder.path + "/model"),
      modelPath: folder.path + "/model", quiet: true)
  }
}

struct SyntheticCorpusBox: Sendable {
  var passages: [(id: String, text: String)]
}

/// Query vectors: passages' own, pushed aside by noise.
func noisyQueries(_ index: PassageIndex, count: Int, seed: UInt64) throws -> [Float] {
  var random = SplitMix64(seed: seed)
  var queries: [Float] = []
  for _ in 0..<count {
    let near = try index.vector(Int(random.next() % UInt64(index.count)))
    queries += near.map { $0 + Float(0.3 * random.normal()) }
  }
  return queries
}
