import ArgumentParser
import Retort

extension LexicalSettings.Stemmer: ExpressibleByArgument {}
extension LexicalSettings.StopWords: ExpressibleByArgument {}

/// How texts become the terms that are searched by words.
package struct LexicalArguments: ParsableArguments {
  @Option(help: "What is done to words: english (Snowball's stemmer) or none (default: english).")
  package var stemmer: LexicalSettings.Stemmer?

  @Option(help: "Words that are left out: english, 49 function words, or none (default: english).")
  package var stopWords: LexicalSettings.StopWords?

  package init() {}

  /// Whether any was given.
  package var isGiven: Bool { stemmer != nil || stopWords != nil }

  package var settings: LexicalSettings {
    LexicalSettings(stemmer: stemmer ?? .english, stopWords: stopWords ?? .english)
  }
}

/// What ranks the passages of a search.
package struct RankingArguments: ParsableArguments {
  @Flag(help: "Rank by words alone (BM25); needs no model.")
  package var lexical = false

  @Option(
    help: ArgumentHelp(
      "Fuse the rankings by vectors and by words: rrf or linear:W, W from 0 to 1.",
      valueName: "fusion"))
  package var hybrid: String?

  @Option(name: .customLong("k1"), help: "BM25: how soon more occurrences of a word count less.")
  package var k1: Double?

  @Option(name: .customLong("b"), help: "BM25: how much longer passages count less, 0 to 1.")
  package var b: Double?

  @Option(
    help: ArgumentHelp(
      "Rank all passages by their stored term vectors: colbert:MODEL.", valueName: "kind:model"))
  package var retrieve: String?

  @Option(
    help: """
      With --retrieve: passages left after the first round over centroids, at least --hits (default: \
      derived from --hits).
      """)
  package var candidates: Int?

  package init() {}

  private var fusion: Fusion? { hybrid.flatMap(Fusion.init) }

  package func validate() throws {
    if let retrieve {
      if lexical || hybrid != nil {
        throw ValidationError("give --retrieve, --lexical or --hybrid, not several of them")
      }
      guard (try? RerankerName(retrieve))?.kind == .colbert else {
        throw ValidationError("--retrieve is colbert:MODEL, not \(retrieve)")
      }
    }
    if candidates != nil, retrieve == nil { throw ValidationError("--candidates needs --retrieve") }
    if let candidates, candidates < 1 { throw ValidationError("--candidates must be at least 1") }
    if lexical, hybrid != nil { throw ValidationError("give --lexical or --hybrid, not both") }
    if let hybrid, fusion == nil {
      throw ValidationError(
        "--hybrid is rrf or linear:W with W from 0 to 1, such as linear:0.3, not \(hybrid)")
    }
    if !lexical, hybrid == nil, k1 != nil || b != nil {
      throw ValidationError("--k1 and --b need --lexical or --hybrid")
    }
    if let k1, !(0...1000).contains(k1) { throw ValidationError("--k1 must lie in 0...1000") }
    if let b, !(0...1).contains(b) { throw ValidationError("--b must lie in 0...1") }
  }

  /// Refuses fewer candidates than passages are wanted.
  package func checkCandidates(hits: Int) throws {
    guard let candidates, candidates < hits else { return }
    throw ValidationError(
      "--candidates \(candidates) are fewer than the \(hits) passages that --hits or --depth asks for; "
        + "give at least as many")
  }

  /// The model of --retrieve, loaded.
  package func colbert(_ options: RerankerOptions) throws -> ColBERT? {
    try retrieve.map {
      try ColBERT(directory: try rerankerNamed($0).model, options: options.colbert)
    }
  }

  package var ranking: Ranking {
    let usual = BM25()
    let parameters = BM25(k1: k1 ?? usual.k1, b: b ?? usual.b)
    if retrieve != nil { return .terms }
    if let fusion { return .hybrid(fusion, parameters) }
    return lexical ? .lexical(parameters) : .dense
  }
}
