import Platform
import Tensors
import Text

/// PreTTR with weights that may change.
///
/// Copies share the weights.
package struct TrainablePreTTR: Sendable {
  /// Everything that is trained, in the order of the checkpoint.
  package let parameters: ParameterList
  /// What identifies the weights it started from.
  package let origin: String
  /// What was decided where files left room, one sentence each.
  package let notes: [String]

  /// What decides scores beside the weights, a name and a value each.
  package var identity: [String] {
    let settings = reader.settings
    return [
      "model prettr", "split \(settings.joinLayerIdx)",
      "compression \(settings.compressionSize.map(String.init) ?? "none")",
      "query length \(settings.queryLength)", "passage position \(settings.passagePosition)",
      "passage length \(settings.passageLength)",
      "tokenizer \(reader.tokenizer?.fingerprint ?? "none")",
    ]
  }

  private let network: PreTTRNetwork
  private let reader: PreTTRReader
  private let files: ModelFiles
  /// Tensors of the start that are kept as they are.
  private let kept: [(name: String, tensor: WeightReader.Source)]

  /// How texts are read.
  package var settings: PreTTRSettings { reader.settings }

  /// Tokens of a passage at most, where nobody says.
  private static let usualLength = 200

  /// Loads the weights to start from: a PreTTR, which is trained further, or any encoder, which is
  /// split in the middle unless the options say otherwise. Without a tokenizer only `batch(ids:)`
  /// serves.
  package init(
    directory: String, options: TrainableModel.Options = .init(), tokenizes: Bool = true
  ) throws(RetortError) {
    var start = try TrainingStart(directory, tokenizes: tokenizes)
    let configuration = start.configuration
    var notes: [String] = []
    if var settings = try PreTTRSettings.read(start.files) {
      try Self.check(settings, options, directory)
      // Positions are what it was trained with; lengths may become shorter.
      settings.queryLength = min(options.queryLength, settings.passagePosition)
      settings.passageLength = options.passageLength ?? settings.passageLength
      try settings.check(configuration, path: directory)
      network = try PreTTRNetwork(configuration, settings, &start.reader)
    } else {
      if let layer = options.splitLayer, !(0..<configuration.layers).contains(layer) {
        throw RetortError(
          .usage,
          "cannot be split behind layer \(layer), for at least the last one must read query and "
            + "passage together; choose 0...\(configuration.layers - 1)", path: directory)
      }
      let position = min(options.queryLength, configuration.positions - 2)
      let settings = PreTTRSettings(
        joinLayerIdx: options.splitLayer ?? configuration.layers / 2, passagePosition: position,
        queryLength: position,
        passageLength: options.passageLength
          ?? min(Self.usualLength, configuration.positions - position),
        compressionSize: options.compression)
      try settings.check(configuration, path: directory)
      var random = SplitMix64(seed: options.seed)
      network = PreTTRNetwork(
        try Transformer(configuration, &start.reader), settings, &random)
      notes.append("the head is new: drawn from N(0, 0.02) with the seed \(options.seed)")
    }
    let settings = network.settings
    notes.append(
      "\(settings.joinLayerIdx) of \(configuration.layers) layers read queries (up to "
        + "\(settings.queryLength) tokens) and passages (up to \(settings.passageLength), from position "
        + "\(settings.passagePosition)) apart; \(network.keptSize) numbers of a passage's token can be "
        + "kept")
    self.notes = notes
    files = start.files
    reader = PreTTRReader(settings: settings, tokenizer: start.tokenizer)
    parameters = network.parameters()
    kept = start.pooler.map { (PreTTRNetwork.prefix + $0.name, $0.tensor) }
    origin = start.origin
  }

  /// Refuses options that the start contradicts.
  private static func check(
    _ settings: PreTTRSettings, _ options: TrainableModel.Options, _ directory: String
  ) throws(RetortError) {
    if let asked = options.splitLayer, asked != settings.joinLayerIdx {
      throw RetortError(
        .usage,
        "is a PreTTR that is split behind layer \(settings.joinLayerIdx), not \(asked); leave "
          + "--split-layer out, or start from an encoder", path: directory)
    }
    if let asked = options.compression, asked != settings.compressionSize {
      throw RetortError(
        .usage,
        "is a PreTTR that keeps \(settings.compressionSize.map { "\($0)" } ?? "all") numbers a token, "
          + "not \(asked); leave --compression out, or start from an encoder", path: directory)
    }
  }

  // MARK: Batches

  /// Tokenises items; with `shared` every query is also scored with all other items' passages.
  package func batch(_ items: [RankingItem], sharing: PassageSharing, threads: Int) -> RankingBatch
  {
    batch(
      SequenceItem.make(items, threads: threads) { reader.sequence($0, $1) }, sharing: sharing)
  }

  /// A batch of sequences of ids, passages without [CLS].
  package func batch(
    ids items: [(query: [Int32], passages: [[Int32]])], sharing: PassageSharing = .own
  ) -> RankingBatch {
    batch(SequenceItem.make(ids: items), sharing: sharing)
  }

  private func batch(_ items: [SequenceItem], sharing: PassageSharing) -> RankingBatch {
    RankingBatch(items, sharing: sharing) { network.append($1, $2, to: &$0) }
  }

  /// Texts as the model reads them.
  package func sequences(_ texts: [String], _ role: TextRole, threads: Int) -> [TermSequence] {
    TermSequence.make(texts, threads: threads) { reader.sequence($0, role) }
  }

  // MARK: Scores

  /// The scores of the batch, [scores × 1].
  package func scores(_ ops: TapeOperators, _ batch: RankingBatch) -> Tape.Value {
    let states = network.states(ops, batch.tokens)
    let parts = QueriesAndPassages(batch)
    let kept = network.kept(ops, ops.rows(states, parts.passages.rows))
    return network.scores(
      ops, ops.rows(states, parts.queries.rows), parts.queries.offsets, kept,
      parts.passages.offsets, parts.pairs)
  }

  /// What inference makes of the weights as they are now.
  package func snapshot() -> RankerSnapshot {
    RankerSnapshot(.sequences(PreTTR(network, reader)))
  }

  // MARK: Saving

  /// Writes a model directory into an existing folder: the same weights give the same bytes.
  package func save(to folder: String) throws(RetortError) {
    let checkpoint = CheckpointFolder(start: files, path: folder)
    try checkpoint.copyFiles()
    try checkpoint.writeConfiguration(
      settings.fields.merging(["architectures": ["PreTTR"]]) { $1 })
    try checkpoint.write(maxLength: settings.passageLength)
    try checkpoint.write(parameters, kept: kept)
  }
}

/// The rows of a batch's queries, those of its passages, and the pairs by their places among them.
private struct QueriesAndPassages {
  var queries: (rows: [Int32], offsets: [Int]) = ([], [0])
  var passages: (rows: [Int32], offsets: [Int]) = ([], [0])
  var pairs: [(Int32, Int32)] = []

  init(_ batch: RankingBatch) {
    let isQuery = Set(batch.pairs.map(\.0))
    var places: [Int32] = []
    for sequence in 0..<batch.tokens.count {
      let rows = batch.tokens.offsets[sequence]..<batch.tokens.offsets[sequence + 1]
      if isQuery.contains(Int32(sequence)) {
        places.append(Int32(queries.offsets.count - 1))
        queries.rows += rows.map { Int32($0) }
        queries.offsets.append(queries.rows.count)
      } else {
        places.append(Int32(passages.offsets.count - 1))
        passages.rows += rows.map { Int32($0) }
        passages.offsets.append(passages.rows.count)
      }
    }
    pairs = batch.pairs.map { (places[Int($0.0)], places[Int($0.1)]) }
  }
}
