import Platform
import Tensors
import Text

/// A pair of texts as token ids, `[CLS] query [SEP] passage [SEP]`.
public struct TokenizedPair: Sendable {
  /// Token ids, special ones included.
  public var ids: [Int32]
  /// 0 for the query's part, 1 for the passage's.
  public var types: [Int32]

  /// A pair as a tokenizer makes it.
  init(_ encoded: (ids: [Int32], types: [Int32], isTruncated: Bool)) {
    self.init(ids: encoded.ids, types: encoded.types)
  }

  /// Makes a pair; `types` must be as long as `ids`.
  public init(ids: [Int32], types: [Int32]) {
    precondition(ids.count == types.count, "one type per token")
    self.ids = ids
    self.types = types
  }
}

/// The network of BERT_CAT: an encoder and what makes one score of its [CLS] vector.
struct CrossEncoderNetwork: Sendable {
  var transformer: Transformer
  /// The pooler (BERT, ALBERT), or the hidden layer of `DistilBertForSequenceClassification`.
  var pooler: (name: String, weights: LinearWeights, function: Activation)?
  /// [1 × d].
  var head: LinearWeights

  init(_ configuration: ModelConfiguration, _ reader: inout WeightReader) throws(RetortError) {
    let width = configuration.width
    transformer = try Transformer(configuration, &reader)
    pooler = try Self.pooler(configuration, &reader)
    head = try reader.head("classifier", outputs: 1, inputs: width)
  }

  /// With a head of its own, where the file has none.
  init(transformer: Transformer, pooler: (String, LinearWeights, Activation)?, head: LinearWeights)
  {
    self.transformer = transformer
    self.pooler = pooler.map { (name: $0.0, weights: $0.1, function: $0.2) }
    self.head = head
  }

  static func pooler(
    _ configuration: ModelConfiguration, _ reader: inout WeightReader
  ) throws(RetortError) -> (name: String, weights: LinearWeights, function: Activation)? {
    let width = configuration.width
    if let name = TensorNames(configuration.architecture).pooler {
      return (name, try reader.linear(name, outputs: width, inputs: width), .tanh)
    }
    guard reader.hasHead("pre_classifier.weight") else { return nil }
    return (
      "pre_classifier", try reader.head("pre_classifier", outputs: width, inputs: width), .relu
    )
  }

  /// The same network with its products packed, those of the encoder in `precision`.
  ///
  /// The head's are packed, too: OpenBLAS rounds a row differently beside others, and the score of a
  /// pair would depend on its batch.
  func packed(_ precision: Precision) -> CrossEncoderNetwork {
    var result = self
    result.transformer = transformer.packed(precision)
    result.pooler = pooler.map { ($0.name, $0.weights.packed(.float32), $0.function) }
    result.head = head.packed(.float32)
    return result
  }

  /// One score per sequence of the batch, [sequences × 1].
  func forward<Ops: Operators>(_ ops: Ops, _ batch: RaggedBatch) -> Ops.Value {
    var z = transformer.firstTokens(ops, batch)
    if let pooler { z = ops.activate(ops.linear(z, pooler.weights), pooler.function) }
    return ops.linear(z, head)
  }
}

/// BERT_CAT: a score for a query and a passage read together.
///
/// One linear unit over the pooler's output (BERT, ALBERT), over the raw [CLS] vector
/// (DistilBERT), or over the hidden layer that `DistilBertForSequenceClassification` adds
/// (`pre_classifier`, ReLU). The score is an unbounded logit.
public final class CrossEncoder: Sendable {
  private let network: CrossEncoderNetwork
  private let tokenizer: Tokenizer?
  private let runner: MicroBatchRunner

  /// The longest pair in tokens, special ones included; longer pairs are cut.
  public let maxLength: Int
  /// The identity of weights, configuration, tokenizer, length and precision: equal fingerprints
  /// mean equal scores.
  public let fingerprint: String
  /// The number format of the encoder's products, and why.
  private let decision: Decision<EncoderPrecision>
  /// What is known of the weights.
  private let weights: RankerWeights

  /// The number format that the encoder computes in; the head is f32.
  public var precision: EncoderPrecision { decision.value }

  /// Loads a model directory with a one-output classification head, to compute in `precision`: f32, or
  /// what a quantised copy holds, unless it is given.
  public convenience init(
    directory: String, maxLength: Int? = nil, precision: EncoderPrecision? = nil
  ) throws(RetortError) {
    try self.init(
      directory: directory, maxLength: maxLength, precision: precision, tokenizes: true)
  }

  /// `tokenizes: false` loads a directory without a tokenizer, for pairs of ids only.
  package init(
    directory: String, maxLength: Int?, precision: EncoderPrecision? = nil, tokenizes: Bool
  ) throws(RetortError) {
    let opened = try OpenedModel(directory, for: .crossEncoder)
    let (model, configuration) = (opened.files, opened.configuration)
    tokenizer = tokenizes ? try Tokenizer(directory: directory) : nil
    self.maxLength = try MaxLength.decide(
      model, positions: configuration.positions,
      declared: tokenizer?.declaredMaxLength ?? .init(), asked: maxLength
    ).value
    var reader = try WeightReader(opened.tensors, architecture: configuration.architecture)
    guard let outputs = reader.headRows("classifier.weight") else {
      throw RetortError(
        .badData,
        "has no tensor 'classifier.weight', so it is no cross-encoder; name the folder of one, such "
          + "as `retort train --model bert-cat` writes", path: directory)
    }
    guard outputs == 1 else {
      throw RetortError(
        .dimensionMismatch,
        "has a classifier of \(outputs) outputs; a re-ranker needs one score: use a model trained "
          + "for ranking", path: directory)
    }
    let plain = try CrossEncoderNetwork(configuration, &reader)
    try tokenizer?.check(against: configuration, directory: directory)
    if let tokenizer { try Self.checkTypes(of: tokenizer, against: configuration, directory) }
    let (tokenizer, length) = (self.tokenizer, self.maxLength)
    let runner = MicroBatchRunner(weights: try reader.mappedFiles())
    func scores(
      _ network: CrossEncoderNetwork, _ question: String, _ passages: [String]
    ) throws(RetortError) -> [Float] {
      guard let tokenizer else { return [] }
      let pairs = passages.map {
        TokenizedPair(tokenizer.encodePair(question, $0, maxLength: length))
      }
      return try Self.score(pairs, network, runner, threads: 1)
    }
    (network, decision) = try RankerProbe.decide(
      precision, isCoded: reader.isCoded, directory: directory, packed: plain.packed,
      scores: tokenizer == nil ? nil : scores)
    self.runner = runner
    weights = RankerWeights(reader)
    fingerprint = Models.fingerprint(
      of: reader.record.ordered() + [
        configuration.identity, "length \(self.maxLength)",
        "tokenizer \(tokenizer?.fingerprint ?? "none")",
      ] + decision.identity)
  }

  /// Refuses a tokenizer that gives a pair's second text a type the network has no vector for.
  static func checkTypes(
    of tokenizer: Tokenizer, against configuration: ModelConfiguration, _ directory: String
  ) throws(RetortError) {
    let highest = tokenizer.encodePair("a", "b", maxLength: 8).types.max() ?? 0
    guard configuration.types == 0 || highest < configuration.types else {
      throw RetortError(
        .dimensionMismatch,
        "has a tokenizer that gives token type \(highest) but vectors for "
          + "\(configuration.types) types only: it cannot tell a query from its passage; use a "
          + "model with two types", path: directory)
    }
  }

  /// What was understood of the directory.
  public var summary: RankerSummary {
    var summary = RankerSummary(
      .crossEncoder, network.transformer.configuration, tokenizer, weights, decision,
      fingerprint: fingerprint)
    summary.pairLength = maxLength
    return summary
  }

  /// Scores pairs of ids, in order; the same bytes for every number of threads.
  ///
  /// Ids must lie in the vocabulary. A pair longer than the position table loses its middle.
  public func score(_ pairs: [TokenizedPair], threads: Int) throws(RetortError) -> [Float] {
    try Self.score(pairs, network, runner, threads: threads)
  }

  private static func score(
    _ pairs: [TokenizedPair], _ network: CrossEncoderNetwork, _ runner: MicroBatchRunner,
    threads: Int
  ) throws(RetortError) -> [Float] {
    let limit = network.transformer.configuration.positions
    return try runner.run(
      lengths: pairs.map { min($0.ids.count, limit) }, width: 1, threads: threads
    ) { ops, indices in
      var batch = RaggedBatch()
      for index in indices {
        let pair = pairs[index]
        batch.append(pair.ids.cut(to: limit), types: pair.types.cut(to: limit))
      }
      return network.forward(ops, batch)
    }
  }

  /// Scores pairs of texts, in order, and counts those that were longer than the model takes.
  package func score(
    texts: [(query: String, passage: String)], threads: Int
  ) throws(RetortError) -> (scores: [Float], truncated: Int) {
    guard let tokenizer else { return ([], 0) }
    let encoded = OrderedResults<(ids: [Int32], types: [Int32], isTruncated: Bool)>(
      count: texts.count)
    parallelFor(texts.count, threads: threads) { item, _ in
      let (query, passage) = texts[item]
      encoded.set(item, tokenizer.encodePair(query, passage, maxLength: maxLength))
    }
    let pairs = encoded.values
    let scores = try score(pairs.map { TokenizedPair($0) }, threads: threads)
    return (scores, pairs.count(where: \.isTruncated))
  }

  /// Scores every passage for `query`, in order.
  public func score(
    query: String, passages: [String], threads: Int
  ) throws(RetortError) -> [Float] {
    try score(texts: passages.map { (query, $0) }, threads: threads).scores
  }
}
