import Formats
import Graph
import Lexical
import Platform
import Store

/// What to build an index from, and how.
public struct IndexBuildOptions: Sendable {
  /// The corpus: a file, a BEIR folder or `-` for standard input.
  public var corpus: String
  /// The corpus' format; `.auto` decides by name and content.
  public var format: TextFormat
  /// The index folder to make.
  public var output: String
  /// Links a node makes on each layer (layer 0 keeps up to 2M).
  public var m: Int
  /// Candidates kept while a node looks for its neighbours.
  public var efConstruction: Int
  /// Passages that are encoded and made durable together.
  public var batchSize: Int
  /// Threads; the result does not depend on them.
  public var threads: Int
  /// Decides the graph's levels.
  public var seed: UInt64
  /// The metadata fields of JSON lines to keep for filters; nil: all.
  public var fields: [String]?
  /// How texts become terms, for searches by words; nil: there will be none.
  public var lexical: LexicalSettings?
  /// Term vectors to store for re-rankers.
  public var terms: [TermRequest] = []
  /// The share of the corpus that is read.
  package var shard = Shard.whole
  /// Whether to go on with an unfinished build.
  public var resume: Bool
  /// Whether to replace a finished index or drop an unfinished build.
  public var overwrite: Bool
  /// Whether bad lines are skipped and counted instead of ending the build.
  public var skipBadLines: Bool

  /// The usual values.
  public init(corpus: String, output: String) {
    self.corpus = corpus
    self.output = output
    format = .auto
    m = 16
    efConstruction = 200
    batchSize = 512
    threads = availableProcessors()
    seed = 42
    fields = nil
    lexical = nil
    resume = false
    overwrite = false
    skipBadLines = false
  }

  var graphParameters: HNSWParameters {
    HNSWParameters(m: m, efConstruction: efConstruction, seed: seed)
  }

  func validate() throws(RetortError) {
    try graphParameters.validate()
    guard !output.isEmpty else {
      throw RetortError(.usage, "the output folder has no name; say where the index goes")
    }
    guard (1...1_000_000).contains(batchSize) else {
      throw RetortError(.usage, "the batch size is \(batchSize) but must lie in 1...1000000")
    }
    guard (1...4096).contains(threads) else {
      throw RetortError(.usage, "the number of threads is \(threads) but must lie in 1...4096")
    }
  }
}

/// What a finished build, or an addition to an index, did.
public struct IndexBuildReport: Sendable, Codable, Equatable {
  /// Passages in the index.
  public var passages = 0
  /// Passages that are new in the index, or new under their id.
  public var added = 0
  /// Of these, passages that took the place of another under their id.
  public var replaced = 0
  /// Passages of the corpus that the index held already.
  public var unchanged = 0
  /// Passages encoded by this run; the others came from the run it resumed, or were known.
  public var encoded = 0
  /// Passages not encoded because the index knew their text.
  public var reused = 0
  /// Texts cut at the encoder's maximum length.
  public var truncatedTexts = 0
  /// Passages without text.
  public var emptyTexts = 0
  /// Bad lines skipped on request.
  public var skippedLines = 0
  /// Seconds from opening the corpus to the published index.
  public var seconds = 0.0
  /// Threads that worked.
  public var threads = 0
  /// Where the threads' time went.
  public var stages = BuildStageSeconds()
  /// Bytes of the finished index.
  public var bytes = 0
  /// Peak resident memory of the process in bytes, 0 where unknown.
  public var peakBytes = 0
  /// Nodes reachable, and nodes that the reachability pass had to link.
  public var reachable = 0, linkedByPass = 0
}

/// What an unfinished build was asked to do: all that decides the bytes of the result.
struct BuildPlan: ResumePlan, Equatable {
  var corpus: String
  var format: String
  var model: String
  var modelPath: String
  var m: Int
  var efConstruction: Int
  var seed: UInt64
  var batchSize: Int
  var skipBadLines: Bool
  var fields: [String]?
  var lexical: LexicalSettings?
  /// The terms that are stored; nil where there are none.
  var terms: [Manifest.Terms]?
  var shard: Shard
  /// The generation that passages are added to; nil for a build.
  var base: Int?
  var generation: Int

  init(
    _ options: IndexBuildOptions, model: String, modelPath: String, base: Int?, generation: Int,
    terms: [Manifest.Terms]? = nil
  ) {
    corpus = options.corpus
    format = options.format.rawValue
    self.model = model
    self.modelPath = modelPath
    m = options.m
    efConstruction = options.efConstruction
    seed = options.seed
    batchSize = options.batchSize
    skipBadLines = options.skipBadLines
    fields = options.fields?.ordered()
    lexical = options.lexical
    self.terms = terms ?? (options.terms.isEmpty ? nil : options.terms.map(\.described))
    shard = options.shard
    self.base = base
    self.generation = generation
  }

  /// What is done, for people.
  var work: String {
    base == nil ? "build" : corpus.isEmpty ? "addition of terms" : "addition"
  }

  /// The first setting in which this plan differs from the one the build was started with.
  func difference(from started: BuildPlan) -> String? {
    func kind(_ plan: BuildPlan) -> String {
      plan.base.map { "an \(plan.work) to generation \($0)" } ?? "a build"
    }
    let pairs: [(String, String, String)] = [
      ("the work", kind(self), kind(started)),
      ("the shard", shard.name ?? "all", started.shard.name ?? "all"),
      ("--corpus", corpus, started.corpus), ("--format", format, started.format),
      ("the model (weights, tokenizer, pooling or --max-length)", model, started.model),
      ("--m", "\(m)", "\(started.m)"),
      ("--ef-construction", "\(efConstruction)", "\(started.efConstruction)"),
      ("--seed", "\(seed)", "\(started.seed)"),
      ("--batch-size", "\(batchSize)", "\(started.batchSize)"),
      ("--skip-bad-lines", "\(skipBadLines)", "\(started.skipBadLines)"),
      (
        "--fields", fields?.joined(separator: ",") ?? "all",
        started.fields?.joined(separator: ",") ?? "all"
      ),
      ("--lexical", lexical.name, started.lexical.name),
      ("--terms", terms.name, started.terms.name),
    ]
    return pairs.first { $0.1 != $0.2 }.map { "\($0.0): now \($0.1), then \($0.2)" }
  }
}

extension LexicalSettings? {
  /// What is done to texts, for people.
  var name: String {
    map { "stemmer \($0.stemmer.rawValue), stop words \($0.stopWords.rawValue)" } ?? "none"
  }
}

extension FieldSelection {
  /// The fields of these names; nil: all.
  init(_ names: [String]?) {
    self = names.map { $0.isEmpty ? .none : .only(Set($0)) } ?? .all
  }
}

extension Shard {
  /// The name of the share, nil for the whole.
  var name: String? { self == .whole ? nil : String(suffix.dropFirst()) }
}
