import Platform
import Tensors
import Text

/// What a text is to a model.
package enum TextRole: Sendable {
  /// Cut to the length of queries.
  case query
  /// Cut to the length of passages.
  case passage
}

extension TrainableModel {
  /// A text with its special tokens, cut to the length of its role.
  func sequence(_ text: String, _ role: TextRole) -> TermSequence {
    guard let tokenizer else { return TermSequence([]) }
    let encoded = tokenizer.encode(
      text, maxLength: role == .query ? queryLength : passageLength)
    return TermSequence(encoded.ids, isTruncated: encoded.isTruncated)
  }

  /// Texts as the model reads them; none without a tokenizer.
  package func sequences(_ texts: [String], _ role: TextRole, threads: Int) -> [TermSequence] {
    TermSequence.make(texts, threads: threads) { sequence($0, role) }
  }

  /// Token ids of queries with passages (`bertCat`).
  package func tokens(pairs: [(query: String, passage: String)], threads: Int) -> [TokenizedPair] {
    guard let tokenizer else { return [] }
    let encoded = OrderedResults<TokenizedPair>(count: pairs.count)
    parallelFor(pairs.count, threads: threads) { number, _ in
      let (query, passage) = pairs[number]
      let pair = tokenizer.encodePair(query, passage, maxLength: passageLength)
      encoded.set(number, TokenizedPair(ids: pair.ids, types: pair.types))
    }
    return encoded.values
  }

  /// What inference makes of the weights as they are now.
  package func snapshot() -> RankerSnapshot {
    RankerSnapshot(
      network.map { .pairs($0.packed(.float32)) }
        ?? .vectors(transformer.packed(.float32), pooling, normalizes: normalizes))
  }
}

extension TermSequence {
  /// Sequences of texts, in order.
  static func make(
    _ texts: [String], threads: Int, _ sequence: @Sendable (String) -> TermSequence
  ) -> [TermSequence] {
    let encoded = OrderedResults<TermSequence>(count: texts.count)
    parallelFor(texts.count, threads: threads) { number, _ in
      encoded.set(number, sequence(texts[number]))
    }
    return encoded.values
  }
}

/// A ranker at a moment of its training, as inference runs it: packed weights, no tape, no dropout.
///
/// Tables of embeddings are not copied: training must rest while a snapshot is in use.
package struct RankerSnapshot: Sendable {
  /// What runs.
  enum Network: Sendable {
    /// A vector a text.
    case vectors(Transformer, Pooling, normalizes: Bool)
    /// Query and passage in one sequence.
    case pairs(CrossEncoderNetwork)
    /// Query and passage as sequences of their own.
    case sequences(any TermScorer)
  }

  private let network: Network
  private let runner = MicroBatchRunner()

  init(_ network: Network) { self.network = network }

  /// The width of a vector; 0 where a text has none.
  package var dimension: Int {
    guard case .vectors(let transformer, _, _) = network else { return 0 }
    return transformer.configuration.width
  }

  /// Vectors row by row, [sequences × dimension]; the same bytes for every number of threads.
  package func vectors(_ sequences: [[Int32]], threads: Int) throws(RetortError) -> [Float] {
    guard case .vectors(let transformer, let pooling, let normalizes) = network else { return [] }
    return try runner.run(
      lengths: sequences.map(\.count), width: dimension, threads: threads
    ) { ops, indices in
      let pooled = transformer.pooled(
        ops, RaggedBatch(indices.map { sequences[$0] }), by: pooling)
      return normalizes ? ops.normalize(pooled) : pooled
    }
  }

  /// One score a pair; none where the model has no head for pairs.
  package func scores(_ pairs: [TokenizedPair], threads: Int) throws(RetortError) -> [Float] {
    guard case .pairs(let network) = network else { return [] }
    return try runner.run(lengths: pairs.map(\.ids.count), width: 1, threads: threads) {
      ops, indices in
      var batch = RaggedBatch()
      for index in indices { batch.append(pairs[index].ids, types: pairs[index].types) }
      return network.forward(ops, batch)
    }
  }

  /// The scores of passages for a query, in order; none where the model does not read both apart.
  package func scores(
    _ query: TermSequence, _ passages: [TermSequence], threads: Int
  ) throws(RetortError) -> [Float] {
    guard case .sequences(let scorer) = network else { return [] }
    return try scorer.score(query, passages, threads: threads)
  }
}
