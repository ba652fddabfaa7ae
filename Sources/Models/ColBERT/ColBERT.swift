import Platform
import Synchronization
import Tensors
import Text

/// ColBERT: a vector for every token, and as score the sum over the query's tokens of the largest
/// inner product with a token of the passage.
///
/// Only tokens that are there take part: there is no padding that could be the largest.
public final class ColBERT: Sendable {
  private let network: ColBERTNetwork
  private let texts: ColBERTTexts
  private let runner: MicroBatchRunner
  private let workspaces = WorkspacePool()
  private let directory: String
  /// Read when somebody first asks what tokens are called.
  private let pieces = Mutex<PieceTable?>(nil)

  /// How queries and passages are made.
  public var settings: ColBERTSettings { texts.settings }
  /// Components of a token's vector.
  public let dimension: Int
  /// The identity of weights, configuration, tokenizer, settings and precision: equal fingerprints
  /// mean equal scores.
  public let fingerprint: String
  /// The identity of what decides the vectors of passages: that of queries may differ. It does not
  /// know the precision: vectors of one are near those of another, and may be compared.
  package let termFingerprint: String
  /// The number format of the encoder's products, and why.
  private let decision: Decision<EncoderPrecision>
  /// What is known of the weights.
  private let weights: RankerWeights

  /// The number format that the encoder computes in; the projection is f32.
  public var precision: EncoderPrecision { decision.value }

  /// Loads a model directory: a BERT, DistilBERT or ALBERT encoder with a `linear` or `compressor`
  /// layer.
  public convenience init(
    directory: String, options: ColBERTOptions = .init()
  ) throws(RetortError) {
    try self.init(directory: directory, options: options, tokenizes: true)
  }

  /// `tokenizes: false` loads a directory without a tokenizer, for sequences of ids only.
  package init(
    directory: String, options: ColBERTOptions = .init(), tokenizes: Bool
  ) throws(RetortError) {
    let opened = try OpenedModel(directory, for: .colbert)
    let (model, configuration) = (opened.files, opened.configuration)
    let tokenizer = tokenizes ? try Tokenizer(directory: directory) : nil
    try tokenizer?.check(against: configuration, directory: directory)
    var reader = try WeightReader(opened.tensors, architecture: configuration.architecture)
    let settings = try ColBERTSettings.decide(
      model, hasBias: ColBERTNetwork.hasBias(reader), positions: configuration.positions, options)
    var network = try ColBERTNetwork(configuration, &reader)
    network.normalizes = settings.normalizes
    runner = MicroBatchRunner(weights: try reader.mappedFiles())
    self.directory = directory
    texts = try ColBERTTexts(settings, tokenizer, directory: directory)
    dimension = network.projection.outputs
    weights = RankerWeights(reader)
    termFingerprint = Models.fingerprint(
      of: reader.record.ordered() + [
        configuration.identity, "tokenizer \(tokenizer?.fingerprint ?? "none")",
        "colbert terms \(settings.normalizes) \(settings.passageMarker ?? "-")",
        "\(settings.skipsPunctuation) \(settings.passageLength)",
      ])
    let texts = texts
    func scores(
      _ network: ColBERTNetwork, _ question: String, _ passages: [String]
    ) throws(RetortError) -> [Float] {
      try ColBERT(network, texts).score(query: question, passages: passages, threads: 1).scores
    }
    (self.network, decision) = try RankerProbe.decide(
      options.precision, stored: options.storedPrecisions[termFingerprint],
      isCoded: reader.isCoded, directory: directory, packed: network.packed,
      scores: tokenizer == nil ? nil : scores)
    fingerprint = Models.fingerprint(
      of: reader.record.ordered() + [
        configuration.identity, "tokenizer \(tokenizer?.fingerprint ?? "none")",
        "colbert \(settings.normalizes) \(settings.queryMarker ?? "-")",
        "\(settings.passageMarker ?? "-") \(settings.queryMasks) \(settings.skipsPunctuation)",
        "lengths \(settings.queryLength) \(settings.passageLength)",
      ] + decision.identity)
  }

  /// What inference makes of weights that are being trained, or are packed already; it has no
  /// identity.
  init(_ network: ColBERTNetwork, _ texts: ColBERTTexts) {
    self.network = network.packed(.float32)
    runner = MicroBatchRunner()
    self.texts = texts
    directory = ""
    dimension = network.projection.outputs
    fingerprint = ""
    termFingerprint = ""
    (weights, decision) = (RankerWeights(), .unpacked)
  }

  /// What was understood of the directory.
  public var summary: RankerSummary {
    var summary = RankerSummary(
      .colbert, network.transformer.configuration, texts.tokenizer, weights, decision,
      fingerprint: fingerprint)
    (summary.dimension, summary.colbert) = (dimension, settings)
    (summary.queryLength, summary.passageLength) = (settings.queryLength, settings.passageLength)
    return summary
  }

  // MARK: Sequences

  /// A query as it is encoded.
  package func query(_ text: String) -> TermSequence { texts.query(text) }

  /// A passage as it is encoded.
  package func passage(_ text: String) -> TermSequence { texts.passage(text) }

  /// The names of tokens.
  func pieceTable() throws(RetortError) -> PieceTable {
    if let known = pieces.withLock({ $0 }) { return known }
    let table = try PieceTable(directory: directory)
    pieces.withLock { $0 = table }
    return table
  }

  // MARK: Scores

  /// Throws where another program cut the file of the weights: nothing computed so far can be relied
  /// on then. Whoever calls `vectors` asks before using them.
  package func checkIntact() throws(RetortError) { try runner.checkIntact() }

  /// The vectors of a sequence's tokens, [kept × dimension].
  package func vectors(_ sequence: TermSequence) -> Matrix {
    let taken = workspaces.take(1)
    defer { workspaces.put(taken) }
    let (vectors, _) = encode(InferenceOperators(workspace: taken[0]), [sequence])
    return Matrix(rows: vectors.rows, columns: vectors.columns, values: vectors.values)
  }

  /// The vectors of several sequences, and where each one's begin and end.
  private func encode(
    _ ops: InferenceOperators, _ sequences: [TermSequence]
  ) -> (vectors: Matrix, offsets: [Int]) {
    var batch = RaggedBatch()
    var rows: [Int32] = []
    var offsets = [0]
    for sequence in sequences where !sequence.ids.isEmpty {
      let first = Int32(batch.tokens)
      batch.append(sequence.ids, keys: sequence.keys)
      rows += sequence.kept.map { first + $0 }
      offsets.append(rows.count)
    }
    let all = network.forward(ops, batch)
    return (rows.count == all.rows ? all : ops.rows(all, rows), offsets)
  }

  /// Calls `take` with the vectors of every sequence, in any order and from several threads.
  func encode(
    _ sequences: [TermSequence], threads: Int, _ take: @Sendable (Int, [Float]) -> Void
  ) throws(RetortError) {
    _ = try runner.run(
      lengths: sequences.map(\.ids.count), width: 1, threads: threads
    ) { ops, indices in
      let (vectors, offsets) = encode(ops, indices.map { sequences[$0] })
      let values = vectors.values
      for (place, index) in indices.enumerated() {
        take(index, Array(values[offsets[place] * dimension..<offsets[place + 1] * dimension]))
      }
      return Matrix(rows: indices.count, columns: 1)
    }
  }

  /// Scores passages for a query, in order; the same bytes for every number of threads.
  package func score(
    _ query: TermSequence, _ passages: [TermSequence], threads: Int
  ) throws(RetortError) -> [Float] {
    let maxSim = MaxSim(vectors(query))
    return try runner.run(
      lengths: passages.map(\.ids.count), width: 1, threads: threads
    ) { ops, indices in
      let (vectors, offsets) = encode(ops, indices.map { passages[$0] })
      return Matrix(
        rows: indices.count, columns: 1, values: maxSim.scores(vectors, offsets: offsets))
    }
  }

  /// Scores every passage for `query`, in order, and counts the texts that were cut.
  public func score(
    query: String, passages: [String], threads: Int
  ) throws(RetortError) -> (scores: [Float], truncated: Int) {
    let encoded = OrderedResults<TermSequence>(count: passages.count)
    parallelFor(passages.count, threads: threads) { item, _ in
      encoded.set(item, passage(passages[item]))
    }
    let (question, sequences) = (self.query(query), encoded.values)
    return (
      try score(question, sequences, threads: threads),
      sequences.count(where: \.isTruncated) + (question.isTruncated ? 1 : 0)
    )
  }
}
