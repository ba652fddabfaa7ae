import ArgumentParser
import Retort

/// Which models re-rank what a search finds, and how many passages each reads.
package struct RerankArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Re-rank what was found with a model that reads the passages: cat:MODEL, colbert:MODEL, \
      prettr:MODEL, tk:MODEL or dot:MODEL. Repeated, each re-ranks the best of the one before.
      """, valueName: "kind:model"))
  package var rerank: [String] = []

  @Option(help: "Passages that a --rerank reads (default for a single one: 100); one for each.")
  package var depth: [Int] = []

  @OptionGroup package var masks: QueryMaskArguments

  @Option(
    help: """
      Number format that --rerank and --retrieve compute in: f32, bf16, int8, or auto, the fastest that \
      keeps the scores of built-in passages (dot: their vectors), or what stored term vectors were \
      computed in (tk: always f32).
      """)
  package var rerankPrecision = EncoderPrecision.auto

  package init() {}

  /// Whether anything is re-ranked.
  package var isGiven: Bool { !rerank.isEmpty }

  /// How many passages the first one reads; 0 where nothing is re-ranked.
  package var deepest: Int { depths.max() ?? 0 }

  private var depths: [Int] { depth.isEmpty && rerank.count == 1 ? [100] : depth }

  package func validate() throws {
    guard depths.count == rerank.count else {
      throw ValidationError(
        rerank.isEmpty
          ? "--depth needs --rerank" : "give a --depth for each --rerank, in the same order")
    }
    try checkingUsage {
      for name in rerank { _ = try RerankerName(name) }
      try RerankCascade.check(depths: depths)
    }
  }

  /// Refuses a precision that no model of --rerank and --retrieve has.
  package func validatePrecision(retrieve: String?) throws {
    let names = rerank + [retrieve].compactMap { $0 }
    guard !names.isEmpty || rerankPrecision == .auto else {
      throw ValidationError("--rerank-precision needs --rerank or --retrieve")
    }
    try checkPrecision(rerankPrecision, of: names, option: "--rerank-precision")
  }

  /// What is decided about the models, behind an index of this manifest.
  package func options(over manifest: Manifest) throws -> RerankerOptions {
    var options = RerankerOptions()
    options.queryMasks = try masks.parsed()
    options.precision = rerankPrecision
    options.follow(manifest)
    return options
  }

  /// The models, loaded; nil where nothing is re-ranked.
  package func cascade(over manifest: Manifest) throws -> RerankCascade? {
    guard isGiven else { return nil }
    let options = try options(over: manifest)
    return try RerankCascade(
      zip(rerank, depths).map { name, depth in
        RerankCascade.Stage(try rerankerNamed(name).load(options), depth: depth)
      })
  }
}

/// The [MASK] tokens of ColBERT's queries.
package struct QueryMaskArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      colbert: the [MASK] tokens of queries: none, before:8 or after:8 [SEP], or fill:32 tokens; \
      :attended or :unattended behind it says whether others see them (default: what the model says).
      """, valueName: "masks"))
  package var queryMasks: String?

  package init() {}

  package func validate() throws { try checkingUsage { _ = try parsed() } }

  package func parsed() throws(RetortError) -> QueryMasks? {
    guard let queryMasks else { return nil }
    return try QueryMasks(queryMasks)
  }
}

/// Runs a check whose failure is wrong usage, to be told before anything else is done.
private func checkingUsage(_ check: () throws -> Void) throws {
  do {
    try check()
  } catch let error as RetortError {
    throw ValidationError(error.message)
  }
}

/// Refuses a precision that none of the re-rankers has.
package func checkPrecision(
  _ precision: EncoderPrecision?, of names: [String], option: String
) throws {
  guard precision == .int8 || precision == .bf16, !names.isEmpty,
    names.allSatisfy({ (try? RerankerName($0))?.kind == .tk })
  else { return }
  throw ValidationError("tk computes in f32 only; leave \(option) out")
}

/// The re-ranker that `KIND:MODEL` names, with the model's folder.
package func rerankerNamed(_ text: String) throws -> RerankerName {
  var name = try RerankerName(text)
  name.model = absolutePath(try modelFolder(name.model))
  return name
}
