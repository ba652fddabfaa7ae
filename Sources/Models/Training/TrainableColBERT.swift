import Platform
import Tensors
import Text

/// ColBERT with weights that may change.
///
/// Copies share the weights.
package struct TrainableColBERT: Sendable {
  /// Everything that is trained, in the order of the checkpoint.
  package let parameters: ParameterList
  /// What identifies the weights it started from.
  package let origin: String
  /// What was decided where files left room, one sentence each.
  package let notes: [String]

  /// What decides scores beside the weights, a name and a value each.
  package var identity: [String] {
    let settings = texts.settings
    return [
      "model colbert", "normalised \(settings.normalizes)", "dimension \(dimension)",
      "query length \(settings.queryLength)", "passage length \(settings.passageLength)",
      "query masks \(settings.queryMasks)", "punctuation left out \(settings.skipsPunctuation)",
      "markers \(settings.queryMarker ?? "none") \(settings.passageMarker ?? "none")",
      "tokenizer \(texts.tokenizer?.fingerprint ?? "none")",
    ]
  }

  /// How queries and passages are made.
  package var settings: ColBERTSettings { texts.settings }
  /// Components of a token's vector.
  package var dimension: Int { network.projection.outputs }

  private let network: ColBERTNetwork
  private let texts: ColBERTTexts
  private let files: ModelFiles
  /// Tensors of the start that are kept as they are.
  private let kept: [(name: String, tensor: WeightReader.Source)]

  /// Components of the original's vectors.
  private static let usualDimension = 128

  /// Loads the weights to start from: a ColBERT, which is trained further, or any encoder, which gets
  /// a projection. Without a tokenizer only `batch(sequences:)` serves.
  package init(
    directory: String, options: TrainableModel.Options = .init(), tokenizes: Bool = true
  ) throws(RetortError) {
    var start = try TrainingStart(directory, tokenizes: tokenizes)
    let configuration = start.configuration
    var notes: [String] = []
    let isReady = ColBERTNetwork.hasProjection(start.reader.files)
    let variant: ColBERTVariant
    if isReady {
      variant = ColBERTNetwork.hasBias(start.reader) ? .hofstaetter : .original
      var network = try ColBERTNetwork(configuration, &start.reader)
      network.normalizes = variant == .original
      self.network = network
      try Self.check(network, variant, options, directory)
    } else {
      variant = options.variant ?? .original
      let transformer = try Transformer(configuration, &start.reader)
      let dimension =
        options.dimension
        ?? (variant == .original ? Self.usualDimension : configuration.width)
      var random = SplitMix64(seed: options.seed)
      network = ColBERTNetwork(
        transformer: transformer,
        projection: LinearWeights(drawing: dimension, inputs: configuration.width, &random),
        normalizes: variant == .original)
      notes.append(
        "the projection to \(dimension) numbers is new: drawn from N(0, 0.02) with the seed "
          + "\(options.seed)")
    }
    var asked = ColBERTOptions()
    asked.queryLength = min(options.queryLength, configuration.positions)
    asked.passageLength = options.passageLength
    asked.queryMasks = options.queryMasks
    let settings = try ColBERTSettings.decide(
      start.files, hasBias: variant == .hofstaetter, positions: configuration.positions, asked)
    texts = try ColBERTTexts(settings, start.tokenizer, directory: directory)
    notes.append(
      "ColBERT's \(variant == .original ? "original" : "variant of Hofstätter et al."): "
        + "\(network.projection.outputs) numbers a token, query masks \(settings.queryMasks), queries "
        + "cut to \(settings.queryLength) tokens, passages to \(settings.passageLength)")
    self.notes = notes
    files = start.files
    parameters = network.parameters()
    let prefix = network.prefix
    kept = start.pooler.map { (prefix + $0.name, $0.tensor) }
    origin = start.origin
  }

  /// Refuses options that the start's own projection contradicts.
  private static func check(
    _ network: ColBERTNetwork, _ variant: ColBERTVariant, _ options: TrainableModel.Options,
    _ directory: String
  ) throws(RetortError) {
    if let asked = options.variant, asked != variant {
      throw RetortError(
        .usage,
        "is a ColBERT of the variant \(variant.rawValue); leave --variant out, or start from an "
          + "encoder", path: directory)
    }
    if let asked = options.dimension, asked != network.projection.outputs {
      throw RetortError(
        .usage,
        "is a ColBERT with \(network.projection.outputs) numbers a token, not \(asked); leave "
          + "--dimension out, or start from an encoder", path: directory)
    }
  }

  // MARK: Batches

  /// A text as ColBERT reads it.
  private func sequence(_ text: String, _ role: TextRole) -> TermSequence {
    role == .query ? texts.query(text) : texts.passage(text)
  }

  /// Tokenises items; with `shared` every query is also scored with all other items' passages.
  package func batch(_ items: [RankingItem], sharing: PassageSharing, threads: Int) -> RankingBatch
  {
    RankingBatch(
      SequenceItem.make(items, threads: threads) { sequence($0, $1) }, sharing: sharing)
  }

  /// A batch of sequences of ids.
  package func batch(
    ids items: [(query: [Int32], passages: [[Int32]])], sharing: PassageSharing = .own
  ) -> RankingBatch {
    RankingBatch(SequenceItem.make(ids: items), sharing: sharing)
  }

  /// Texts as the model reads them.
  package func sequences(_ texts: [String], _ role: TextRole, threads: Int) -> [TermSequence] {
    TermSequence.make(texts, threads: threads) { sequence($0, role) }
  }

  // MARK: Scores

  /// The scores of the batch, [scores × 1].
  package func scores(_ ops: TapeOperators, _ batch: RankingBatch) -> Tape.Value {
    let all = network.forward(ops, batch.tokens)
    let vectors = batch.kept.map { ops.rows(all, $0) } ?? all
    return ops.maxSim(vectors, offsets: batch.keptOffsets, pairs: batch.pairs)
  }

  /// What inference makes of the weights as they are now.
  package func snapshot() -> RankerSnapshot {
    RankerSnapshot(.sequences(ColBERT(network, texts)))
  }

  // MARK: Saving

  /// Writes a model directory into an existing folder, with the names of the variant's authors; the
  /// same weights give the same bytes.
  package func save(to folder: String) throws(RetortError) {
    let checkpoint = CheckpointFolder(start: files, path: folder)
    try checkpoint.copyFiles()
    try checkpoint.writeConfiguration(
      settings.normalizes
        ? ["architectures": ["HF_ColBERT"]]
        : ["architectures": ["ColBERT"], "compression_dim": dimension])
    try checkpoint.write(maxLength: settings.passageLength)
    try checkpoint.write(settings.metadata(dimension: dimension), to: ColBERTSettings.file)
    try checkpoint.write(parameters, kept: kept)
  }
}
