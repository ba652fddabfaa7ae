import Formats
import Models
import Platform

/// What `RunReranking` is to do.
public struct RunRerankingOptions: Sendable {
  /// The run: TREC or MS MARCO.
  public var run: String
  /// How it is written.
  public var runLayout = Run.Layout.auto
  /// The queries' texts.
  public var topics: String
  /// Where the passages' texts are.
  public var passages: PassageSource
  /// The re-ranker; its model is a folder.
  public var reranker: RerankerName
  /// The run to make; `-` is standard output.
  public var output: String
  /// How it is written.
  public var format = RunFormat.trec
  /// Its name, in the last column.
  public var tag = "retort"
  /// How many candidates of every query are re-ranked; nil: all.
  public var depth: Int?
  /// What is decided about it.
  public var settings = RerankerOptions()
  /// The share of candidates that may name unknown queries or passages.
  public var maxUnknown = 0.01
  /// Skip and count lines that cannot be read.
  public var skipBadLines = false
  /// Threads; scores do not depend on it.
  public var threads = availableProcessors()
  /// Go on with a run that did not finish.
  public var resume = false
  /// Replace a finished file, or start again.
  public var overwrite = false

  /// Options with everything else at its default.
  public init(
    run: String, topics: String, passages: PassageSource, reranker: RerankerName, output: String
  ) {
    self.run = run
    self.topics = topics
    self.passages = passages
    self.reranker = reranker
    self.output = output
  }
}

/// What became of a run's candidates.
public struct RunRerankingReport: Sendable, Codable, Equatable {
  /// Queries re-ranked.
  public var queries = 0
  /// Candidates scored, by an earlier run that was resumed or by this one.
  public var candidates = 0
  /// Candidates behind the depth, which keep their order.
  public var behindDepth = 0
  /// Candidates left out because nobody knows their query's text.
  public var unknownQueries = 0
  /// Candidates left out because there is no such passage.
  public var missingPassages = 0
  /// Candidates left out because their passage was deleted from the index.
  public var deletedPassages = 0
  /// Texts longer than the model takes, of those scored now.
  public var truncated = 0
  /// Seconds that scoring took.
  public var seconds = 0.0
  /// Candidates scored in them.
  public var scoredNow = 0
  /// What the re-ranker's encoder computed in.
  public var precision = EncoderPrecision.f32
}
