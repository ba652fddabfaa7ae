import Platform
import Synchronization
import Tensors
import Text

/// Turns texts into vectors with a model directory's tokenizer and encoder.
///
/// Scores are inner products of these vectors. Safe to use from many threads; calls share the
/// weights.
public final class TextEncoder: Sendable {
  private let model: EncoderModel
  private let tokenizer: Tokenizer

  /// What was understood of the directory.
  public let summary: ModelSummary

  /// Loads the model at `directory` (`config.json`, `model.safetensors`, the tokenizer's files and,
  /// where present, those of sentence-transformers).
  ///
  /// Throws one error that names the file and the remedy for whatever is missing, damaged or not
  /// supported.
  public init(directory: String, options: EncoderOptions = .init()) throws(RetortError) {
    // The configuration and the weights are looked at before the tokenizer: of a folder that lacks
    // all three the first is the one to name.
    let opened = try OpenedModel(directory, for: .encoder)
    let (tokenizer, weighted) = try Self.read(opened, directory)
    let model = try EncoderModel(
      opened, weighted, options: options, declared: tokenizer.declaredMaxLength,
      probe: options.precision == .auto
        ? precisionProbe.map { tokenizer.encode($0, maxLength: 64).ids } : [])
    self.model = model
    self.tokenizer = tokenizer
    summary = ModelSummary(model, tokenizer)
  }

  /// The tokenizer and the weights, side by side: a process that answers one question spends half of
  /// its time on them. Where both are damaged the error is the tokenizer's.
  private static func read(
    _ opened: OpenedModel, _ directory: String
  ) throws(RetortError) -> (Tokenizer, WeightedModel) {
    let tokenizer = Mutex<Tokenizer?>(nil)
    let weighted = Mutex<WeightedModel?>(nil)
    try parallelForThrowing(2, threads: 2) { item, _ throws(RetortError) in
      if item == 0 {
        let read = try Tokenizer(directory: directory)
        try read.check(against: opened.configuration, directory: directory)
        tokenizer.withLock { $0 = read }
      } else {
        let read = try WeightedModel(opened)
        weighted.withLock { $0 = read }
      }
    }
    guard let tokenizer = tokenizer.withLock({ $0 }), let weighted = weighted.withLock({ $0 })
    else { throw RetortError(.cancelled, "reading was given up", path: directory) }
    return (tokenizer, weighted)
  }

  /// The width of a vector.
  public var dimension: Int { model.dimension }

  /// The longest sequence in tokens, [CLS] and [SEP] included; longer texts are cut.
  public var maxLength: Int { summary.maxLength.value }

  /// The identity of weights, configuration, tokenizer, pooling, normalisation and length: equal
  /// fingerprints mean equal vectors. Does not depend on where the model lies.
  public var fingerprint: String { summary.fingerprint }

  /// The token ids of `text`, [CLS] and [SEP] included, at most `maxLength`.
  public func tokenize(_ text: String) -> TokenizedText {
    tokenizer.encode(text, maxLength: maxLength)
  }

  /// The token ids of many texts, in order.
  package func tokenize(_ texts: [String], threads: Int) -> [TokenizedText] {
    tokenizer.encode(texts, maxLength: maxLength, threads: threads)
  }

  /// Encodes sequences of token ids that already hold their special tokens.
  ///
  /// Returns vectors row by row, [sequences × dimension], in the order given and with the same bytes
  /// for every number of threads. Ids must lie in the vocabulary. An empty sequence gives zeros.
  public func encode(_ sequences: [[Int32]], threads: Int) throws(RetortError) -> [Float] {
    try model.encode(sequences, threads: threads)
  }

  /// Tokenises and encodes texts; vectors row by row, [texts × dimension].
  public func encode(texts: [String], threads: Int) throws(RetortError) -> [Float] {
    try encode(tokenize(texts, threads: threads).map(\.ids), threads: threads)
  }
}

extension Tokenizer {
  /// Ids must never point past the word table.
  func check(
    against configuration: ModelConfiguration, directory: String
  ) throws(RetortError) {
    guard vocabularySize <= configuration.vocabularySize else {
      throw RetortError(
        .dimensionMismatch,
        "has a tokenizer of \(vocabularySize) words but vectors for "
          + "\(configuration.vocabularySize) only; the files do not belong together: "
          + "download the model again", path: directory)
    }
  }

  /// The ids of many texts, in order.
  func encode(_ texts: [String], maxLength: Int, threads: Int) -> [TokenizedText] {
    let block = 64
    let blocks = (texts.count + block - 1) / block
    let results = Mutex([[TokenizedText]](repeating: [], count: blocks))
    parallelFor(blocks, threads: threads) { item, _ in
      let range = item * block..<min((item + 1) * block, texts.count)
      let tokenized = texts[range].map { encode($0, maxLength: maxLength) }
      results.withLock { $0[item] = tokenized }
    }
    return results.withLock { Array($0.joined()) }
  }
}

extension ModelSummary {
  init(_ model: EncoderModel, _ tokenizer: Tokenizer) {
    let configuration = model.transformer.configuration
    architecture = configuration.architecture
    layers = configuration.layers
    hiddenSize = configuration.width
    attentionHeads = configuration.heads
    intermediateSize = configuration.innerWidth
    embeddingSize = configuration.embeddingWidth
    vocabularySize = configuration.vocabularySize
    positions = configuration.positions
    activation = configuration.activation.rawValue
    pooling = model.decisions.pooling
    normalize = model.decisions.normalize
    maxLength = model.maxLength
    parameters = model.parameters
    precision = model.precision
    kernels = KernelNames.inUse
    storedPrecision = model.formats
    self.tokenizer = tokenizer.kind
    fingerprint = Models.fingerprint(of: model.identity + ["tokenizer " + tokenizer.fingerprint])
    ignoredTensors = model.ignored
    notes = model.decisions.notes + tokenizer.notes
  }
}
