import Platform

/// What is held out of training, and what is made of it.
package struct ValidationOptions: Sendable, Codable, Equatable {
  /// What decides which weights are best.
  package enum Target: String, Sendable, Codable, CaseIterable {
    case nDCG10 = "ndcg@10"
    case mrr10 = "mrr@10"
  }

  /// Judgements; nil: there is no validation.
  package var qrels: String?
  /// The queries' texts.
  package var topics: String?
  /// Passages to rank for each query: `qid TAB pid TAB query TAB passage`, or a run. Nil: all of
  /// the reduced corpus.
  package var candidates: String?
  /// The passages' texts; nil: those that training reads.
  package var corpus: String?
  /// Passages of the reduced corpus beside the judged ones.
  package var sample = 10_000
  /// A run that chooses queries and passages of the reduced corpus; nil: all queries, any passages.
  package var baseline: String?
  /// With a baseline: queries that are drawn.
  package var queries = 4000
  /// With a baseline: bins of its measure that they are drawn from in equal shares.
  package var bins = 5
  /// Candidates of a query that are ranked, or the baseline's passages that are taken, from the
  /// top.
  package var depth = 100
  /// Steps between validations.
  package var every = 1000
  /// Validations in a row that may be no better than the best before training ends; 0: any number.
  package var patience = 0
  /// What is compared.
  package var target = Target.nDCG10

  package init() {}

  /// Whether there is any.
  package var isWanted: Bool { qrels != nil }

  func validate(_ options: TrainingOptions) throws(RetortError) {
    func check(_ holds: Bool, _ message: String) throws(RetortError) {
      if !holds { throw RetortError(.usage, message) }
    }
    guard qrels != nil else {
      return try check(
        topics == nil && candidates == nil && corpus == nil && baseline == nil && patience == 0,
        "validation needs judgements; give --validation-qrels, or leave the other options of "
          + "validation out")
    }
    try check(
      candidates != nil || topics != nil,
      "validation needs the texts of its queries; give --validation-topics, or candidates that hold "
        + "them (--validation-candidates)")
    try check(
      candidates != "-",
      "candidates are read twice, which standard input cannot be; give --validation-candidates a file"
    )
    try check(
      candidates != nil || options.model == .bertDot,
      "\(options.model.rawValue) cannot be asked for all passages of a corpus; give "
        + "--validation-candidates")
    try check(
      candidates != nil || corpus != nil || options.collection != nil,
      "validation by retrieval needs passages; give --validation-corpus, or rank candidates "
        + "(--validation-candidates)")
    try check(
      baseline == nil || candidates == nil,
      "a baseline chooses a reduced corpus, candidates are ranked without one; give "
        + "--validation-baseline or --validation-candidates")
    try check(baseline != "-", "give --validation-baseline a file")
    try check(
      baseline == nil || queries >= bins,
      "\(queries) queries cannot come from \(bins) bins; raise --validation-queries")
    let ranges: [(value: Int, range: ClosedRange<Int>, name: String)] = [
      (every, 1...1_000_000_000, "the distance of validations"),
      (patience, 0...1_000_000_000, "the patience"),
      (sample, 0...100_000_000, "the number of sampled passages"),
      (depth, 1...1_000_000, "the depth of candidates"),
      (queries, 1...100_000_000, "the number of validation queries"),
      (bins, 1...10_000, "the number of validation bins"),
    ]
    for (value, range, name) in ranges {
      try check(
        range.contains(value),
        "\(name) is \(value) but must lie in \(range.lowerBound)...\(range.upperBound)")
    }
  }

  /// The options that decide which weights are written, as a person reads them.
  var deciding: [(name: String, value: String)] {
    func value(_ text: String) -> String { isWanted ? text : "without validation" }
    // Runs of versions that knew no baseline go on where there is none.
    let drawn: [(name: String, value: String)] =
      baseline == nil
      ? [] : [("--validation-queries", "\(queries)"), ("--validation-bins", "\(bins)")]
    return drawn + [
      ("--validate-every", value("\(every)")), ("--patience", value("\(patience)")),
      ("--validation-measure", value(target.rawValue)),
      ("--validation-sample", value("\(sample)")), ("--validation-depth", value("\(depth)")),
    ]
  }
}

/// What a validation found.
package struct ValidationScores: Sendable, Codable, Equatable {
  /// The mean over the queries of trec_eval's nDCG@10.
  package var nDCG10: Double
  /// The mean over the queries of the reciprocal rank of the first relevant passage, if among 10.
  package var mrr10: Double

  enum CodingKeys: String, CodingKey {
    case nDCG10 = "ndcg@10"
    case mrr10 = "mrr@10"
  }

  func value(_ target: ValidationOptions.Target) -> Double {
    target == .nDCG10 ? nDCG10 : mrr10
  }
}
