import Platform
import Tensors
import Text

/// An encoder without its tokenizer: token ids in, vectors out.
package struct EncoderModel: Sendable {
  /// The network.
  package let transformer: Transformer
  /// How token vectors become one.
  package let pooling: Pooling
  /// Whether vectors are scaled to length 1.
  package let normalize: Bool
  /// What identifies the weights and the settings above.
  package let identity: [String]

  let ignored: [String]
  let formats: [String]
  let parameters: Int
  let maxLength: Decision<Int>
  let decisions: EncodingDecisions
  private let runner = MicroBatchRunner()

  /// The width of a vector.
  package var dimension: Int { transformer.configuration.width }

  /// Loads a model directory; `declared` is what the tokenizer's files say about lengths.
  package init(
    directory: String, options: EncoderOptions = .init(),
    declared: Tokenizer.DeclaredLengths = .init()
  ) throws(RetortError) {
    let model = try ModelFiles(directory)
    let configuration = try ModelConfiguration(model)
    decisions = try EncodingDecisions(model, options)
    maxLength = try MaxLength.decide(
      model, positions: configuration.positions, declared: declared, asked: options.maxLength)
    var reader = try WeightReader(TensorFiles(model), architecture: configuration.architecture)
    transformer = try Transformer(configuration, &reader)
    pooling = decisions.pooling.value
    normalize = decisions.normalize.value
    ignored = reader.ignored
    formats = reader.formats.sorted()
    parameters = reader.parameters
    identity =
      reader.record.sorted() + [
        configuration.identity, "pooling \(pooling.rawValue)", "normalize \(normalize)",
        "length \(maxLength.value)",
      ]
  }

  /// One vector per sequence of the batch, [sequences × dimension].
  package func forward<Ops: Operators>(_ ops: Ops, _ batch: RaggedBatch) -> Ops.Value {
    let hidden = transformer.forward(ops, batch)
    let pooled =
      switch pooling {
      case .cls: ops.rows(hidden, batch.firstRows)
      case .mean: ops.mean(hidden, offsets: batch.offsets)
      }
    return normalize ? ops.normalize(pooled) : pooled
  }

  /// Row-major vectors in the order of `sequences`; an empty sequence gives zeros.
  ///
  /// A sequence longer than the position table loses its middle: all but its last token is cut.
  package func encode(_ sequences: [[Int32]], threads: Int) throws(RetortError) -> [Float] {
    let limit = transformer.configuration.positions
    return try runner.run(
      lengths: sequences.map { min($0.count, limit) }, width: dimension, threads: threads
    ) { ops, indices in
      var batch = RaggedBatch()
      for index in indices { batch.append(sequences[index].cut(to: limit)) }
      return forward(ops, batch)
    }
  }
}

extension [Int32] {
  /// The first `limit - 1` ids and the last one, [SEP].
  func cut(to limit: Int) -> [Int32] {
    count <= limit ? self : Array(self[..<(limit - 1)] + self[(count - 1)...])
  }
}

extension ModelConfiguration {
  /// The part of the fingerprint that tensors do not show.
  var identity: String {
    "\(architecture.rawValue) layers \(layers) heads \(heads) \(activation.rawValue) "
      + "epsilon \(epsilon)"
  }
}
