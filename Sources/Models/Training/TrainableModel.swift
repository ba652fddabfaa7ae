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
  /// A vector for every token; the score is the sum of the largest inner products.
  case colbert
  /// Words in their contexts; the score is a weighted sum of kernels over their cosines.
  case tk
  /// A cross-encoder whose first layers read query and passage apart.
  case prettr
}

/// A dense encoder or a cross-encoder whose weights may change: what the trainer works on.
///
/// Its forward pass is that of inference, over other operators. Copies share the weights. The other
/// kinds have types of their own (`TrainableColBERT`).
package struct TrainableModel: Sendable {
  /// What a caller decides; nil leaves it to the model's files.
  package struct Options: Sendable {
    /// How token vectors become one (`bertDot`).
    package var pooling: Pooling?
    /// Whether vectors are scaled to length 1 (`bertDot`).
    package var normalizes = false
    /// Tokens of a query at most.
    package var queryLength = 32
    /// Tokens of a passage, or of a query with its passage (`bertCat`), at most.
    package var passageLength: Int?
    /// Seeds the weights of a head that the files do not have.
    package var seed: UInt64 = 0
    /// The family (`colbert`); nil: what the files say, else the original.
    package var variant: ColBERTVariant?
    /// Layers that read apart (`prettr`); nil: half of them.
    package var splitLayer: Int?
    /// Numbers of a passage's token that are kept (`prettr`); nil: all.
    package var compression: Int?
    /// Components of a token's vector (`colbert`).
    package var dimension: Int?
    /// The [MASK] tokens of queries (`colbert`).
    package var queryMasks: QueryMasks?

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

  /// Loads the weights to start from, for `bertCat` or else `bertDot`; without a tokenizer only `batch(ids:)` serves.
  package init(
    directory: String, kind: RankerKind, options: Options = .init(), tokenizes: Bool = true
  ) throws(RetortError) {
    var start = try TrainingStart(directory, tokenizes: tokenizes)
    let (files, configuration, tokenizer) = (start.files, start.configuration, start.tokenizer)
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
    transformer = try Transformer(configuration, &start.reader)
    var kept: [(name: String, tensor: WeightReader.Source)] = []
    switch kind {
    case .bertCat:
      pooling = .cls
      normalizes = false
      if let tokenizer {
        try CrossEncoder.checkTypes(of: tokenizer, against: configuration, directory)
      }
      let (network, made) = try CrossEncoderNetwork.starting(
        transformer, configuration, &start.reader, seed: options.seed)
      notes += made
      self.network = network
      parameters = network.parameters(configuration)
    default:
      let decisions = try EncodingDecisions(
        files, EncoderOptions(pooling: options.pooling, normalize: options.normalizes))
      pooling = decisions.pooling.value
      normalizes = options.normalizes
      notes.append(
        "\(pooling.rawValue) pooling (\(decisions.pooling.reason)), "
          + (normalizes ? "scaled to length 1" : "not normalised"))
      network = nil
      parameters = transformer.parameters(prefix: "")
      kept = start.pooler
    }
    self.kept = kept
    self.kind = kind
    self.notes = notes
    self.files = files
    self.tokenizer = tokenizer
    origin = start.origin
  }

  // MARK: Batches

  /// Tokenises items on `threads` threads.
  ///
  /// `sharing` says which passages of the batch a query is scored with.
  package func batch(
    _ items: [RankingItem], sharing: PassageSharing, threads: Int
  ) -> RankingBatch {
    guard let tokenizer else { return RankingBatch() }
    guard network != nil else {
      return RankingBatch(
        SequenceItem.make(items, threads: threads) { sequence($0, $1) }, sharing: sharing)
    }
    let pairs = items.flatMap { item in item.passages.map { (item.query, $0) } }
    let encoded = OrderedResults<(ids: [Int32], types: [Int32], isTruncated: Bool)>(
      count: pairs.count)
    parallelFor(pairs.count, threads: threads) { number, _ in
      let (query, passage) = pairs[number]
      encoded.set(number, tokenizer.encodePair(query, passage, maxLength: passageLength))
    }
    var batch = RankingBatch()
    for pair in encoded.values {
      batch.tokens.append(pair.ids, types: pair.types)
      if pair.isTruncated { batch.truncated += 1 }
    }
    batch.addLists(items.map(\.passages.count))
    return batch
  }

  /// A batch of sequences of ids: for every item its query (ignored by `bertCat`) and passages.
  package func batch(
    ids items: [(query: [Int32], passages: [[Int32]])], sharing: PassageSharing = .own
  ) -> RankingBatch {
    guard network != nil else {
      return RankingBatch(SequenceItem.make(ids: items), sharing: sharing)
    }
    var batch = RankingBatch()
    for passage in items.flatMap(\.passages) { batch.tokens.append(passage) }
    batch.addLists(items.map(\.passages.count))
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
      return LinearWeights(drawing: outputs, inputs: configuration.width, &random)
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
