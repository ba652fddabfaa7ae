import Platform
import Synchronization
import Tensors
import Text

/// The architectures that can be trained.
public enum RankerKind: String, Sendable, Codable, CaseIterable {
  /// One encoder for queries and passages; the score is the inner product of their vectors.
  case bertDot = "bert-dot"
  /// Query and passage read together; the score is one linear unit.
  case bertCat = "bert-cat"
}

/// A network whose weights may change: what the trainer works on.
///
/// Its forward pass is that of inference, over other operators. Copies share the weights.
package struct TrainableModel: Sendable {
  /// What a caller decides; nil leaves it to the model's files.
  package struct Options: Sendable {
    /// How token vectors become one (`bertDot`).
    package var pooling: Pooling?
    /// Whether vectors are scaled to length 1 (`bertDot`).
    package var normalizes = false
    /// Tokens of a query at most (`bertDot`).
    package var queryLength = 32
    /// Tokens of a passage, or of a query with its passage (`bertCat`), at most.
    package var passageLength: Int?
    /// Seeds the weights of a head that the files do not have.
    package var seed: UInt64 = 0

    package init() {}
  }

  /// Everything that is trained, in the order of the checkpoint.
  package let parameters: ParameterList
  /// The architecture.
  package let kind: RankerKind
  /// Tokens of a query at most.
  package let queryLength: Int
  /// Tokens of a passage, or of a pair, at most.
  package let passageLength: Int
  /// How token vectors become one.
  package let pooling: Pooling
  /// Whether vectors are scaled to length 1.
  package let normalizes: Bool
  /// What identifies the weights it started from.
  package let origin: String
  /// What was decided where files left room, one sentence each.
  package let notes: [String]

  /// What decides scores beside the weights, a name and a value each.
  package var identity: [String] {
    var facts = ["model \(kind.rawValue)"]
    if kind == .bertDot {
      facts += ["pooling \(pooling.rawValue)", "query length \(queryLength)"]
      if normalizes { facts.append("normalised") }
    }
    return facts + [
      "passage length \(passageLength)", "tokenizer \(tokenizer?.fingerprint ?? "none")",
    ]
  }

  let network: CrossEncoderNetwork?
  let transformer: Transformer
  let files: ModelFiles
  /// Tensors of the checkpoint that are kept as they are.
  let kept: [(name: String, tensor: WeightReader.Source)]
  let tokenizer: Tokenizer?

  /// Loads the weights to start from; without a tokenizer only `batch(ids:)` serves.
  package init(
    directory: String, kind: RankerKind, options: Options = .init(), tokenizes: Bool = true
  ) throws(RetortError) {
    let files = try ModelFiles(directory)
    let configuration = try ModelConfiguration(files)
    let tensors = try TensorFiles(files)
    let tokenizer = tokenizes ? try Tokenizer(directory: directory) : nil
    try tokenizer?.check(against: configuration, directory: directory)
    var reader = try WeightReader(tensors, architecture: configuration.architecture)
    guard !reader.isCoded else {
      throw RetortError(
        .badData, "is quantised, which cannot be trained; start from the original", path: directory)
    }
    let limit = try MaxLength.decide(
      files, positions: configuration.positions,
      declared: tokenizer?.declaredMaxLength ?? .init(), asked: options.passageLength)
    passageLength = limit.value
    queryLength = min(options.queryLength, configuration.positions)
    guard queryLength >= MaxLength.shortest else {
      throw RetortError(
        .usage, "a query of \(queryLength) tokens has no room for a word; allow at least 3")
    }
    var notes = ["passages are cut to \(limit.value) tokens (\(limit.reason))"]
    transformer = try Transformer(configuration, &reader)
    var kept: [(name: String, tensor: WeightReader.Source)] = []
    switch kind {
    case .bertDot:
      let decisions = try EncodingDecisions(
        files, EncoderOptions(pooling: options.pooling, normalize: options.normalizes))
      pooling = decisions.pooling.value
      normalizes = options.normalizes
      notes.append(
        "\(pooling.rawValue) pooling (\(decisions.pooling.reason)), "
          + (normalizes ? "scaled to length 1" : "not normalised"))
      network = nil
      parameters = transformer.parameters(prefix: "")
      kept = reader.pooler(configuration)
    case .bertCat:
      pooling = .cls
      normalizes = false
      if let tokenizer {
        try CrossEncoder.checkTypes(of: tokenizer, against: configuration, directory)
      }
      let (network, made) = try CrossEncoderNetwork.starting(
        transformer, configuration, &reader, seed: options.seed)
      notes += made
      self.network = network
      parameters = network.parameters(configuration)
    }
    self.kept = kept
    self.kind = kind
    self.notes = notes
    self.files = files
    self.tokenizer = tokenizer
    origin = fingerprint(of: reader.record.sorted() + [configuration.identity])
  }

  // MARK: Batches

  /// Tokenises items on `threads` threads.
  ///
  /// `sharing` says which passages of the batch a query is scored with.
  package func batch(
    _ items: [RankingItem], sharing: PassageSharing, threads: Int
  ) -> RankingBatch {
    guard let tokenizer else { return RankingBatch() }
    let encoded = OrderedResults<(query: TokenizedText?, passages: [Sequence])>(count: items.count)
    parallelFor(items.count, threads: threads) { number, _ in
      let item = items[number]
      switch kind {
      case .bertDot:
        encoded.set(
          number,
          (
            tokenizer.encode(item.query, maxLength: queryLength),
            item.passages.map { Sequence(tokenizer.encode($0, maxLength: passageLength)) }
          ))
      case .bertCat:
        encoded.set(
          number,
          (
            nil,
            item.passages.map {
              Sequence(tokenizer.encodePair(item.query, $0, maxLength: passageLength))
            }
          ))
      }
    }
    return batch(encoded.values, sharing)
  }

  /// A batch of sequences of ids: for every item its query (ignored by `bertCat`) and passages.
  package func batch(
    ids items: [(query: [Int32], passages: [[Int32]])], sharing: PassageSharing = .own
  ) -> RankingBatch {
    batch(
      items.map { item in
        (TokenizedText(ids: item.query, isTruncated: false), item.passages.map { Sequence($0) })
      }, sharing)
  }

  private struct Sequence: Sendable {
    var ids: [Int32]
    var types: [Int32]?
    var isTruncated = false

    init(_ ids: [Int32]) { self.ids = ids }

    init(_ text: TokenizedText) {
      ids = text.ids
      isTruncated = text.isTruncated
    }

    init(_ pair: (ids: [Int32], types: [Int32], isTruncated: Bool)) {
      (ids, types, isTruncated) = (pair.ids, pair.types, pair.isTruncated)
    }
  }

  private func batch(
    _ items: [(query: TokenizedText?, passages: [Sequence])], _ sharing: PassageSharing
  ) -> RankingBatch {
    var batch = RankingBatch()
    var scores = 0
    var ranges: [Range<Int32>] = []
    for (query, passages) in items {
      var own: Int32?
      if kind == .bertDot, let query {
        own = Int32(batch.tokens.count)
        batch.tokens.append(query.ids)
        if query.isTruncated { batch.truncated += 1 }
      }
      let first = Int32(batch.tokens.count)
      for passage in passages {
        batch.tokens.append(passage.ids, types: passage.types)
        if passage.isTruncated { batch.truncated += 1 }
        if let own, sharing == .own { batch.pairs.append((own, Int32(batch.tokens.count - 1))) }
      }
      ranges.append(first..<Int32(batch.tokens.count))
      if sharing == .own {
        batch.lists.append(scores..<scores + passages.count)
        scores += passages.count
      }
    }
    guard sharing != .own else { return batch }
    for (number, own) in ranges.enumerated() {
      if sharing == .all {
        for passage in ranges.joined() { batch.pairs.append((own.lowerBound - 1, passage)) }
        batch.lists.append(scores..<batch.pairs.count)
        scores = batch.pairs.count
        continue
      }
      for passage in own { batch.pairs.append((own.lowerBound - 1, passage)) }
      // The positive passage may be in other triples, too: it is no negative of itself.
      let positive = items[number].passages.first?.ids
      for (other, range) in ranges.enumerated() where other != number {
        for (passage, place) in zip(items[other].passages, range) where passage.ids != positive {
          batch.pairs.append((own.lowerBound - 1, place))
        }
      }
      batch.lists.append(scores..<batch.pairs.count)
      scores = batch.pairs.count
    }
    return batch
  }

  // MARK: Scores

  /// The scores of the batch, [scores × 1].
  package func scores(_ ops: TapeOperators, _ batch: RankingBatch) -> Tape.Value {
    if let network { return network.forward(ops, batch.tokens) }
    let pooled = transformer.pooled(ops, batch.tokens, by: pooling)
    return ops.innerProducts(normalizes ? ops.normalize(pooled) : pooled, batch.pairs)
  }
}

extension EncoderOptions {
  init(pooling: Pooling?, normalize: Bool?) {
    self.init()
    self.pooling = pooling
    self.normalize = normalize
  }
}

extension WeightReader {
  /// The pooler's tensors, which BERT_DOT does not use but other programs look for.
  fileprivate func pooler(
    _ configuration: ModelConfiguration
  ) -> [(name: String, tensor: Source)] {
    guard let name = TensorNames(configuration.architecture).pooler else { return [] }
    let width = configuration.width
    return [(name + ".weight", [width, width]), (name + ".bias", [width])].compactMap { part in
      (try? find(prefix + part.0, as: part.0, shape: part.1)).map { (part.0, $0) }
    }
  }
}

extension CrossEncoderNetwork {
  /// The network to start from, with what the files lack drawn from N(0, 0.02), and what was drawn.
  fileprivate static func starting(
    _ transformer: Transformer, _ configuration: ModelConfiguration, _ reader: inout WeightReader,
    seed: UInt64
  ) throws(RetortError) -> (CrossEncoderNetwork, [String]) {
    var random = SplitMix64(seed: seed)
    var notes: [String] = []
    func drawn(_ outputs: Int, _ name: String) -> LinearWeights {
      notes.append("the \(name) is new: drawn from N(0, 0.02) with the seed \(seed)")
      let values = (0..<outputs * configuration.width).map { _ in Float(0.02 * random.normal()) }
      return LinearWeights(
        weight: Matrix(rows: outputs, columns: configuration.width, values: values),
        bias: Matrix(rows: 1, columns: outputs))
    }
    var pooler: (name: String, weights: LinearWeights, function: Activation)?
    let names = TensorNames(configuration.architecture)
    if let name = names.pooler, !reader.hasHead(reader.prefix + name + ".weight") {
      pooler = (name, drawn(configuration.width, "pooler"), .tanh)
    } else {
      pooler = try Self.pooler(configuration, &reader)
    }
    let head =
      reader.headRows("classifier.weight") == 1
      ? try reader.head("classifier", outputs: 1, inputs: configuration.width)
      : drawn(1, "classifier")
    return (CrossEncoderNetwork(transformer: transformer, pooler: pooler, head: head), notes)
  }

  fileprivate func parameters(_ configuration: ModelConfiguration) -> ParameterList {
    let prefix = configuration.architecture.rawValue + "."
    var list = transformer.parameters(prefix: prefix)
    if let pooler {
      // The pooler belongs to the encoder, the hidden layer of DistilBERT's classifier does not.
      let isHead = TensorNames(configuration.architecture).pooler == nil
      list.append(pooler.weights, [(isHead ? "" : prefix) + pooler.name], group: .head)
    }
    list.append(head, ["classifier"], group: .head)
    return list
  }
}
