import Formats
import Platform

/// What to encode, and where the vectors go.
package struct CorpusEncodingOptions: Sendable {
  /// The texts: a file, a BEIR folder or `-` for standard input.
  package var input: String
  /// Whether they are passages or queries.
  package var kind = CorpusReader.Kind.corpus
  /// How they are written; `.auto` decides by name and content.
  package var format = TextFormat.auto
  /// The file of vectors; its ending says how they are written.
  package var output: String
  /// The share of the texts that is encoded.
  package var shard = Shard.whole
  /// Texts that are encoded and made durable together.
  package var batchSize = 512
  /// Threads; the result does not depend on them.
  package var threads = availableProcessors()
  /// Whether to go on with unfinished work.
  package var resume = false
  /// Whether to replace finished files or drop unfinished work.
  package var overwrite = false
  /// Whether bad lines are skipped and counted instead of ending the work.
  package var skipBadLines = false

  /// The usual values.
  package init(input: String, output: String) {
    self.input = input
    self.output = output
  }

  func validate() throws(RetortError) {
    guard (1...1_000_000).contains(batchSize) else {
      throw RetortError(.usage, "the batch size is \(batchSize) but must lie in 1...1000000")
    }
    guard (1...4096).contains(threads) else {
      throw RetortError(.usage, "the number of threads is \(threads) but must lie in 1...4096")
    }
  }
}

/// What encoding did.
package struct CorpusEncodingReport: Sendable, Codable, Equatable {
  /// The file of vectors, with the shard's number in its name.
  package var vectors = ""
  /// The file of ids.
  package var ids = ""
  /// Vectors in the file.
  package var count = 0
  /// Values a vector.
  package var dimension = 0
  /// Texts encoded by this run; the others came from the run it resumed.
  package var encoded = 0
  /// Texts cut at the encoder's maximum length.
  package var truncatedTexts = 0
  /// Texts that are empty.
  package var emptyTexts = 0
  /// Bad lines skipped on request.
  package var skippedLines = 0
  /// Seconds from opening the texts to the finished files.
  package var seconds = 0.0
  /// Threads that worked.
  package var threads = 0
  /// Where the threads' time went.
  package var stages = BuildStageSeconds()
  /// Bytes of the vectors' file.
  package var bytes = 0
  /// Peak resident memory of the process in bytes, 0 where unknown.
  package var peakBytes = 0
}

/// What unfinished encoding was asked to do.
struct EncodingPlan: ResumePlan, Equatable {
  var input: String
  var kind: CorpusReader.Kind
  var format: String
  var model: String
  var batchSize: Int
  var skipBadLines: Bool
  var shard: Shard

  init(_ options: CorpusEncodingOptions, model: String) {
    input = options.input
    kind = options.kind
    format = options.format.rawValue
    self.model = model
    batchSize = options.batchSize
    skipBadLines = options.skipBadLines
    shard = options.shard
  }

  /// The first setting in which this plan differs from the one the work was started with.
  func difference(from started: Self) -> String? {
    let pairs: [(String, String, String)] = [
      ("--corpus or --topics", "\(kind) \(input)", "\(started.kind) \(started.input)"),
      ("--format", format, started.format),
      ("the model (weights, tokenizer, pooling or --max-length)", model, started.model),
      ("--batch-size", "\(batchSize)", "\(started.batchSize)"),
      ("--skip-bad-lines", "\(skipBadLines)", "\(started.skipBadLines)"),
      ("--shard-id", "\(shard.id)", "\(started.shard.id)"),
      ("--shard-num", "\(shard.count)", "\(started.shard.count)"),
    ]
    return pairs.first { $0.1 != $0.2 }.map { "\($0.0): now \($0.1), then \($0.2)" }
  }
}
