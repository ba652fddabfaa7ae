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
    (transformer, precision) =
      try reader.isCoded
      ? Self.stored(plain, options.precision, directory)
      : Self.pack(plain, options.precision, decisions, probe)
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
      ] + (precision.value == .f32 ? [] : ["precision \(precision.value.rawValue)"])
  }

  /// The network of a quantised checkpoint.
  private static func stored(
    _ transformer: Transformer, _ asked: EncoderPrecision, _ directory: String
  ) throws(RetortError) -> (Transformer, Decision<EncoderPrecision>) {
    guard asked == .int8 || asked == .auto else {
      throw RetortError(
        .usage,
        "holds int8 weights only; use --precision int8, or the model it was made from for "
          + "\(asked.rawValue)", path: directory)
    }
    // What is stored as codes stays so; the rest is packed in single precision.
    return (transformer.packed(.float32), Decision(value: .int8, reason: "as stored"))
  }

  /// The network in the precision asked for, or in the one that `auto` finds.
  private static func pack(
    _ plain: Transformer, _ asked: EncoderPrecision, _ decisions: EncodingDecisions,
    _ probe: [[Int32]]
  ) throws(RetortError) -> (Transformer, Decision<EncoderPrecision>) {
    if let fixed = asked.fixed {
      return (plain.packed(fixed), Decision(value: asked, reason: "as asked"))
    }
    let reference = plain.packed(.float32)
    let probe = probe.map { $0.cut(to: plain.configuration.positions) }
    func vectors(_ transformer: Transformer) throws(RetortError) -> [Float] {
      try MicroBatchRunner().run(
        lengths: probe.map(\.count), width: transformer.configuration.width, threads: 1
      ) { ops, indices in
        transformer.pooled(
          ops, RaggedBatch(indices.map { probe[$0] }), by: decisions.pooling.value)
      }
    }
    let expected = try vectors(reference)
    var reasons: [String] = []
    for format in PrecisionChoice.candidates where !probe.isEmpty {
      let transformer = plain.packed(format)
      let cosine = PrecisionChoice.leastCosine(
        expected, try vectors(transformer), width: plain.configuration.width)
      let measured = "cosine to f32 at least \(rounded(cosine)) on the probe"
      if cosine >= PrecisionChoice.leastCosine, let value = EncoderPrecision(format) {
        return (transformer, Decision(value: value, reason: "auto: \(measured)"))
      }
      reasons.append("\(format.rawValue) has only a \(measured)")
    }
    let reason =
      reasons.isEmpty ? "no other is faster on this CPU" : reasons.joined(separator: "; ")
    return (reference, Decision(value: .f32, reason: "auto: \(reason)"))
  }

  private static func rounded(_ cosine: Double) -> String {
    // Downwards, so that what is printed is not better than what was found.
    let tenThousandths = Int((max(cosine, 0) * 10_000).rounded(.down))
    let digits = String(tenThousandths)
    return tenThousandths >= 10_000
      ? "1.0000" : "0." + String(repeating: "0", count: 4 - digits.count) + digits
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
