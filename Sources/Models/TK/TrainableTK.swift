import Platform
import Tensors
import Text

/// TK with weights that may change.
///
/// Copies share the weights.
package struct TrainableTK: Sendable {
  /// What a caller decides; nil leaves it to the start, or to what is usual.
  package struct Options: Sendable {
    /// A file of words' vectors, where the start is no TK.
    package var embeddings: String?
    /// The width of vectors that are drawn.
    package var dimension: Int?
    /// Words at most.
    package var vocabularySize = 200_000
    /// Words of a query at most.
    package var queryLength: Int?
    /// Words of a passage at most.
    package var passageLength: Int?
    /// Of everything that is drawn.
    package var seed: UInt64 = 0

    package init() {}
  }

  /// Everything that is trained, in the order of the checkpoint.
  package let parameters: ParameterList
  /// What identifies the weights it started from.
  package let origin: String
  /// What was decided where files left room, one sentence each.
  package let notes: [String]

  /// What decides scores beside the weights, a name and a value each.
  package var identity: [String] {
    ["model tk"] + network.configuration.identity + ["words \(vocabulary.fingerprint)"]
  }

  private let network: TKNetwork
  private let vocabulary: WordVocabulary

  /// The sizes.
  package var configuration: TKConfiguration { network.configuration }

  /// Loads a TK, to be trained further.
  package init(directory: String, options: Options = .init()) throws(RetortError) {
    let files = try ModelFiles(directory)
    var configuration = try TKConfiguration(files)
    let vocabulary = try TK.vocabulary(files, configuration)
    configuration.queryLength = options.queryLength ?? configuration.queryLength
    configuration.passageLength = options.passageLength ?? configuration.passageLength
    try configuration.check(path: directory)
    var reader = try PlainWeightReader(files)
    let network = try TKNetwork(configuration, &reader)
    self.init(
      network, vocabulary, origin: fingerprint(of: reader.record.ordered()),
      notes: ["goes on from a TK of \(vocabulary.count) words"])
  }

  /// Makes a TK of the words of texts.
  package init(_ start: TKStart, options: Options = .init()) throws(RetortError) {
    let (network, vocabulary, notes) = try start.make(
      embeddings: options.embeddings, dimension: options.dimension, limit: options.vocabularySize,
      seed: options.seed
    ) { configuration in
      configuration.queryLength = options.queryLength ?? configuration.queryLength
      configuration.passageLength = options.passageLength ?? configuration.passageLength
    }
    let weights = network.parameters().items.map { parameter in
      "\(parameter.tensors.map(\.name)) \(parameter.values.checksum)"
    }
    self.init(
      network, vocabulary, origin: fingerprint(of: weights + [vocabulary.fingerprint]),
      notes: notes)
  }

  private init(
    _ network: TKNetwork, _ vocabulary: WordVocabulary, origin: String, notes: [String]
  ) {
    self.network = network
    self.vocabulary = vocabulary
    self.origin = origin
    self.notes = notes
    parameters = network.parameters()
  }

  // MARK: Batches

  /// A text as TK reads it.
  private func sequence(_ text: String, _ role: TextRole) -> TermSequence {
    let encoded = vocabulary.encode(
      text, maxLength: role == .query ? configuration.queryLength : configuration.passageLength)
    return TermSequence(encoded.ids, isTruncated: encoded.isTruncated)
  }

  /// Tokenises items; with `shared` every query is also scored with all other items' passages.
  package func batch(_ items: [RankingItem], sharing: PassageSharing, threads: Int) -> RankingBatch
  {
    batch(SequenceItem.make(items, threads: threads) { sequence($0, $1) }, sharing: sharing)
  }

  /// A batch of sequences of ids.
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
    TermSequence.make(texts, threads: threads) { sequence($0, role) }
  }

  // MARK: Scores

  /// The scores of the batch, [scores × 1].
  package func scores(_ ops: TapeOperators, _ batch: RankingBatch) -> Tape.Value {
    let vectors = network.forward(ops, batch.tokens)
    let offsets = batch.tokens.offsets
    return network.scores(ops, vectors, offsets, vectors, offsets, batch.pairs)
  }

  /// What inference makes of the weights as they are now.
  package func snapshot() -> RankerSnapshot {
    RankerSnapshot(.sequences(TK(network, vocabulary)))
  }

  // MARK: Saving

  /// Writes a model directory into an existing folder: the same weights give the same bytes.
  package func save(to folder: String) throws(RetortError) {
    try FileSystem.replace(folder + "/config.json", with: configuration.file)
    try FileSystem.replace(folder + "/vocab.txt", with: vocabulary.file)
    try CheckpointFolder.write(parameters, to: folder)
  }
}
