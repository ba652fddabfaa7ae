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
  /// The format of the weights, and why.
  let precision: Decision<EncoderPrecision>
  private let runner: MicroBatchRunner

  /// The width of a vector.
  package var dimension: Int { transformer.configuration.width }

  /// Loads a model directory; `declared` is what the tokenizer's files say about lengths, `probe`
  /// the sequences that `EncoderPrecision.auto` is decided on.
  package init(
    directory: String, options: EncoderOptions = .init(),
    declared: Tokenizer.DeclaredLengths = .init(), probe: [[Int32]] = []
  ) throws(RetortError) {
    let opened = try OpenedModel(directory)
    try self.init(
      opened, WeightedModel(opened), options: options, declared: declared, probe: probe)
  }

  /// The same of a directory that is open and whose weights are read.
  init(
    _ opened: OpenedModel, _ weighted: WeightedModel, options: EncoderOptions,
    declared: Tokenizer.DeclaredLengths, probe: [[Int32]]
  ) throws(RetortError) {
    let (model, configuration) = (opened.files, opened.configuration)
    let directory = model.directory
    let (reader, plain) = (weighted.reader, weighted.transformer)
    decisions = try EncodingDecisions(model, options)
    maxLength = try MaxLength.decide(
      model, positions: configuration.positions, declared: declared, asked: options.maxLength)
    (transformer, precision) = try PrecisionChoice.decide(
      options.precision ?? (reader.isCoded ? .auto : .f32), isCoded: reader.isCoded,
      directory: directory,
      probe: Self.probe(probe, plain, decisions.pooling.value)
    ) { plain.packed($0) }
    runner = MicroBatchRunner(weights: try reader.mappedFiles())
    pooling = decisions.pooling.value
    normalize = decisions.normalize.value
    ignored = reader.ignored
    formats = reader.formats.ordered()
    parameters = reader.parameters
    identity =
      reader.record.ordered() + [
        configuration.identity, "pooling \(pooling.rawValue)", "normalize \(normalize)",
        "length \(maxLength.value)",
      ] + precision.identity
  }

  /// The vectors of `sequences`, by which precisions are compared; nil without any.
  private static func probe(
    _ sequences: [[Int32]], _ plain: Transformer, _ pooling: Pooling
  ) -> PrecisionChoice.Probe<Transformer>? {
    guard !sequences.isEmpty else { return nil }
    let probe = sequences.map { $0.cut(to: plain.configuration.positions) }
    let width = plain.configuration.width
    return PrecisionChoice.Probe(
      measure: "cosine to f32 at least", least: PrecisionChoice.leastCosine,
      outputs: { transformer throws(RetortError) in
        try MicroBatchRunner().run(lengths: probe.map(\.count), width: width, threads: 1) {
          ops, indices in
          transformer.pooled(ops, RaggedBatch(indices.map { probe[$0] }), by: pooling)
        }
      }, likeness: { PrecisionChoice.leastCosine($0, $1, width: width) })
  }

  /// One vector per sequence of the batch, [sequences × dimension].
  package func forward<Ops: Operators>(_ ops: Ops, _ batch: RaggedBatch) -> Ops.Value {
    let pooled = transformer.pooled(ops, batch, by: pooling)
    return normalize ? ops.normalize(pooled) : pooled
  }

  /// Row-major vectors in the order of `sequences`; an empty sequence gives zeros.
  ///
  /// A sequence longer than the position table loses its middle: all but its last token is cut.
  package func encode(_ sequences: [[Int32]], threads: Int) throws(RetortError) -> [Float] {
    let limit = transformer.configuration.positions
    try transformer.words.verify(sequences.joined())
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

/// The weights of an encoder, read but not packed.
struct WeightedModel {
  let reader: WeightReader
  let transformer: Transformer

  init(_ opened: OpenedModel) throws(RetortError) {
    var reader = try WeightReader(opened.tensors, architecture: opened.configuration.architecture)
    reader.verifiesWordsLater = true
    transformer = try Transformer(opened.configuration, &reader)
    self.reader = reader
  }
}
