import Platform
import Tensors
import Text

/// PreTTR: a cross-encoder whose first layers read queries and passages apart, so that a passage's part
/// of them can be kept.
///
/// MacAvaney et al. 2020 (arXiv:2004.14255); Hofstätter et al. 2020 (arXiv:2010.02666).
public final class PreTTR: Sendable {
  private let network: PreTTRNetwork
  private let reader: PreTTRReader
  private let runner: MicroBatchRunner
  private let workspaces = WorkspacePool()

  /// The identity of weights, configuration, tokenizer, lengths and precision: equal fingerprints
  /// mean equal scores.
  public let fingerprint: String
  /// What decides what is kept of passages, but for the precision: what one keeps another reads.
  package let termFingerprint: String
  /// The number format of the encoder's products, and why.
  private let decision: Decision<EncoderPrecision>
  /// What is known of the weights.
  private let weights: RankerWeights

  /// The number format that the encoder computes in; head and compressor are f32.
  public var precision: EncoderPrecision { decision.value }

  /// Loads a folder that training wrote, to compute in `precision`: f32, or what a quantised copy holds,
  /// unless it is given. `maxLength` is that of passages, in tokens.
  ///
  /// - Parameter stored: what stored term vectors were computed in, by their fingerprints: `auto` is the
  ///   same.
  public convenience init(
    directory: String, maxLength: Int? = nil, precision: EncoderPrecision? = nil,
    stored: [String: EncoderPrecision] = [:]
  ) throws(RetortError) {
    try self.init(
      directory: directory, maxLength: maxLength, precision: precision, stored: stored,
      tokenizes: true)
  }

  /// `tokenizes: false` loads a directory without a tokenizer, for sequences of ids only.
  package init(
    directory: String, maxLength: Int? = nil, precision: EncoderPrecision? = nil,
    stored: [String: EncoderPrecision] = [:], tokenizes: Bool
  ) throws(RetortError) {
    let opened = try OpenedModel(directory, for: .prettr)
    let (files, configuration) = (opened.files, opened.configuration)
    guard var settings = try PreTTRSettings.read(files) else {
      throw RetortError(
        .badData,
        "is no PreTTR: its config.json has no join_layer_idx; name a folder that `retort train "
          + "--model prettr` wrote", path: directory)
    }
    try settings.check(configuration, path: files.path("config.json"), .badData)
    if let maxLength {
      settings.passageLength = maxLength
      try settings.check(configuration, path: directory)
    }
    let tokenizer = tokenizes ? try Tokenizer(directory: directory) : nil
    try tokenizer?.check(against: configuration, directory: directory)
    var weights = try WeightReader(opened.tensors, architecture: configuration.architecture)
    let network = try PreTTRNetwork(configuration, settings, &weights)
    runner = MicroBatchRunner(weights: try weights.mappedFiles())
    let reader = PreTTRReader(settings: settings, tokenizer: tokenizer)
    self.reader = reader
    self.weights = RankerWeights(weights)
    let facts = [
      configuration.identity, "tokenizer \(tokenizer?.fingerprint ?? "none")",
      "passages of \(settings.passageLength) from \(settings.passagePosition)",
      "split \(settings.joinLayerIdx)",
    ]
    termFingerprint = Models.fingerprint(
      of: weights.record.filter(network.decidesKept).ordered() + facts)
    func scores(
      _ network: PreTTRNetwork, _ question: String, _ passages: [String]
    ) throws(RetortError) -> [Float] {
      try PreTTR(network, reader).score(query: question, passages: passages, threads: 1).scores
    }
    (self.network, decision) = try RankerProbe.decide(
      precision, stored: stored[termFingerprint], isCoded: weights.isCoded, directory: directory,
      packed: network.packed, scores: tokenizer == nil ? nil : scores)
    fingerprint = Models.fingerprint(
      of: weights.record.ordered() + facts + ["queries of \(settings.queryLength)"]
        + decision.identity)
  }

  /// What inference makes of weights that are being trained, or are packed already; it has no
  /// identity.
  init(_ network: PreTTRNetwork, _ reader: PreTTRReader) {
    self.network = network.packed(.float32)
    runner = MicroBatchRunner()
    self.reader = reader
    (fingerprint, termFingerprint) = ("", "")
    (weights, decision) = (RankerWeights(), .unpacked)
  }

  /// Numbers of a passage's token that are kept.
  package var dimension: Int { network.keptSize }

  /// How texts are read.
  package var settings: PreTTRSettings { reader.settings }

  /// What was understood of the directory.
  public var summary: RankerSummary {
    var summary = RankerSummary(
      .prettr, network.transformer.configuration, reader.tokenizer, weights, decision,
      fingerprint: fingerprint)
    summary.splitLayer = settings.joinLayerIdx
    (summary.dimension, summary.compressor) = (dimension, settings.compressionSize)
    (summary.queryLength, summary.passageLength) = (settings.queryLength, settings.passageLength)
    summary.passagePosition = settings.passagePosition
    return summary
  }

  /// A text as it is encoded.
  package func sequence(_ text: String, _ role: TextRole) -> TermSequence {
    reader.sequence(text, role)
  }

  private func sequences(_ passages: [String], threads: Int) -> [TermSequence] {
    TermSequence.make(passages, threads: threads) { reader.sequence($0, .passage) }
  }

  // MARK: Apart

  /// A query's states, [tokens × d].
  package func states(_ query: TermSequence) -> Matrix {
    let taken = workspaces.take(1)
    defer { workspaces.put(taken) }
    var batch = RaggedBatch()
    network.append(query, .query, to: &batch)
    let states = network.states(InferenceOperators(workspace: taken[0]), batch)
    return Matrix(rows: states.rows, columns: states.columns, values: states.values)
  }

  private func kept(
    _ ops: InferenceOperators, _ passages: [TermSequence]
  ) -> (kept: Matrix, offsets: [Int]) {
    var batch = RaggedBatch()
    for passage in passages { network.append(passage, .passage, to: &batch) }
    return (network.kept(ops, network.states(ops, batch)), batch.offsets)
  }

  /// What is kept of passages.
  package func terms(
    of passages: [TermSequence], threads: Int
  ) throws(RetortError) -> PassageTerms {
    let (values, offsets) = try runner.rows(
      lengths: passages.map(\.ids.count), width: dimension, threads: threads
    ) { ops, indices in kept(ops, indices.map { passages[$0] }).kept }
    return PassageTerms(
      values: values, offsets: offsets, truncated: passages.count(where: \.isTruncated))
  }

  /// What is kept of passages.
  package func terms(of passages: [String], threads: Int) throws(RetortError) -> PassageTerms {
    try terms(of: sequences(passages, threads: threads), threads: threads)
  }

  // MARK: Together

  /// Scores passages for a query, in order; the same bytes for every number of threads. No sequence may
  /// be empty.
  package func score(
    _ query: TermSequence, _ passages: [TermSequence], threads: Int
  ) throws(RetortError) -> [Float] {
    let states = states(query)
    return try runner.run(
      lengths: passages.map { $0.ids.count + states.rows }, width: 1, threads: threads
    ) { ops, indices in
      let (kept, offsets) = kept(ops, indices.map { passages[$0] })
      return network.scores(
        ops, states, [0, states.rows], kept, offsets, indices.indices.map { (0, Int32($0)) })
    }
  }

  /// Scores passages given by what was kept of them: what `score` says of the same passages.
  package func score(
    _ query: TermSequence, terms: PassageTerms, threads: Int
  ) throws(RetortError) -> [Float] {
    try score(states(query), terms: terms, threads: threads)
  }

  /// The same for a query given by its states at the split layer.
  package func score(
    _ states: Matrix, terms: PassageTerms, threads: Int
  ) throws(RetortError) -> [Float] {
    let spans = zip(terms.offsets, terms.offsets.dropFirst()).map { $0..<$1 }
    return try runner.run(
      lengths: spans.map { $0.count + states.rows }, width: 1, threads: threads
    ) { ops, indices in
      var values: [Float] = []
      var offsets = [0]
      for index in indices {
        values +=
          terms.values[
            spans[index].lowerBound * dimension..<spans[index].upperBound * dimension]
        offsets.append(values.count / dimension)
      }
      let kept = Matrix(rows: values.count / dimension, columns: dimension, values: values)
      return network.scores(
        ops, states, [0, states.rows], kept, offsets, indices.indices.map { (0, Int32($0)) })
    }
  }

  /// Scores every passage for `query`, in order, and counts the texts that were cut.
  public func score(
    query: String, passages: [String], threads: Int
  ) throws(RetortError) -> (scores: [Float], truncated: Int) {
    let question = sequence(query, .query)
    let texts = sequences(passages, threads: threads)
    return (
      try score(question, texts, threads: threads),
      texts.count(where: \.isTruncated) + (question.isTruncated ? 1 : 0)
    )
  }
}

extension PreTTR: TermScorer {}

/// Texts as PreTTR reads them: [CLS] query [SEP], and passage [SEP].
struct PreTTRReader: Sendable {
  let settings: PreTTRSettings
  let tokenizer: Tokenizer?

  func sequence(_ text: String, _ role: TextRole) -> TermSequence {
    guard let tokenizer else { return TermSequence([]) }
    switch role {
    case .query:
      let encoded = tokenizer.encode(text, maxLength: settings.queryLength)
      return TermSequence(encoded.ids, isTruncated: encoded.isTruncated)
    case .passage:
      // The query's [CLS] is the pair's.
      let encoded = tokenizer.encode(text, maxLength: settings.passageLength + 1)
      return TermSequence(Array(encoded.ids.dropFirst()), isTruncated: encoded.isTruncated)
    }
  }
}
