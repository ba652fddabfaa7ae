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
  /// Token ids of texts, special ones included; none without a tokenizer.
  package func tokens(_ texts: [String], _ role: TextRole, threads: Int) -> [[Int32]] {
    tokenizer?.encode(
      texts, maxLength: role == .query ? queryLength : passageLength, threads: threads) ?? []
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
      transformer: transformer.packed(.float32), network: network?.packed, pooling: pooling,
      normalizes: normalizes)
  }
}

/// A ranker at a moment of its training, as inference runs it: packed weights, no tape, no dropout.
///
/// Tables of embeddings are not copied: training must rest while a snapshot is in use.
package struct RankerSnapshot: Sendable {
  fileprivate let transformer: Transformer
  fileprivate let network: CrossEncoderNetwork?
  fileprivate let pooling: Pooling
  fileprivate let normalizes: Bool
  private let runner = MicroBatchRunner()

  fileprivate init(
    transformer: Transformer, network: CrossEncoderNetwork?, pooling: Pooling, normalizes: Bool
  ) {
    self.transformer = transformer
    self.network = network
    self.pooling = pooling
    self.normalizes = normalizes
  }

  /// The width of a vector.
  package var dimension: Int { transformer.configuration.width }

  /// Vectors row by row, [sequences × dimension]; the same bytes for every number of threads.
  package func vectors(_ sequences: [[Int32]], threads: Int) throws(RetortError) -> [Float] {
    try runner.run(lengths: sequences.map(\.count), width: dimension, threads: threads) {
      ops, indices in
      let pooled = transformer.pooled(
        ops, RaggedBatch(indices.map { sequences[$0] }), by: pooling)
      return normalizes ? ops.normalize(pooled) : pooled
    }
  }

  /// One score a pair; none where the model has no head for pairs.
  package func scores(_ pairs: [TokenizedPair], threads: Int) throws(RetortError) -> [Float] {
    guard let network else { return [] }
    return try runner.run(lengths: pairs.map(\.ids.count), width: 1, threads: threads) {
      ops, indices in
      var batch = RaggedBatch()
      for index in indices { batch.append(pairs[index].ids, types: pairs[index].types) }
      return network.forward(ops, batch)
    }
  }
}
