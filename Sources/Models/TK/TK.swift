import Platform
import Tensors
import Text

/// TK, the Transformer-Kernel ranker: words in their contexts, and how many of a passage's are how near
/// to each of the query's.
///
/// Hofstätter et al. 2020 (arXiv:2002.01854). It reads whole words, and a passage's vectors depend on the
/// passage alone.
public final class TK: Sendable {
  let network: TKNetwork
  let vocabulary: WordVocabulary
  private let runner = MicroBatchRunner()
  private let workspaces = WorkspacePool()
  let kernelWeights: [Float]
  /// Words of a passage at most.
  let passageLength: Int

  /// The identity of weights, words and lengths: equal fingerprints mean equal scores.
  public let fingerprint: String
  /// What decides the vectors of passages.
  package let termFingerprint: String
  /// Numbers in the weights.
  let parameters: Int

  /// Loads a folder that training wrote; `maxLength` is that of passages, in words.
  public init(directory: String, maxLength: Int? = nil) throws(RetortError) {
    let files = try ModelFiles(directory)
    let configuration = try TKConfiguration(files)
    vocabulary = try Self.vocabulary(files, configuration)
    let limit = configuration.passageLength
    guard (1...limit).contains(maxLength ?? limit) else {
      throw RetortError(
        .usage,
        "a maximal length of \(maxLength ?? 0) words is outside 1...\(limit), what this model can take; "
          + "choose one inside", path: directory)
    }
    passageLength = maxLength ?? limit
    var reader = try PlainWeightReader(files)
    let plain = try TKNetwork(configuration, &reader)
    kernelWeights = plain.kernelWeights
    network = plain.packed
    parameters = reader.parameters
    fingerprint = Models.fingerprint(
      of: reader.record.ordered() + configuration.identity + [
        "words \(vocabulary.fingerprint)", "passages \(passageLength)",
      ])
    // The kernels come behind a passage's vectors.
    termFingerprint = Models.fingerprint(
      of: reader.record.filter { !$0.hasPrefix("kernel_") }.ordered()
        + configuration.identity.dropLast()
        + ["words \(vocabulary.fingerprint)", "passages \(passageLength)"])
  }

  /// What inference makes of weights that are being trained; it has no identity.
  init(_ network: TKNetwork, _ vocabulary: WordVocabulary) {
    self.network = network.packed
    kernelWeights = network.kernelWeights
    self.vocabulary = vocabulary
    passageLength = network.configuration.passageLength
    (fingerprint, termFingerprint, parameters) = ("", "", 0)
  }

  /// The words of a folder, as many as its vectors.
  static func vocabulary(
    _ files: ModelFiles, _ configuration: TKConfiguration
  ) throws(RetortError) -> WordVocabulary {
    let vocabulary = try WordVocabulary(path: files.path("vocab.txt"))
    guard vocabulary.count == configuration.vocabSize else {
      throw RetortError(
        .dimensionMismatch,
        "has \(vocabulary.count) words, but config.json says \(configuration.vocabSize); the two do "
          + "not belong together: train the model again", path: files.path("vocab.txt"))
    }
    return vocabulary
  }

  /// Components of a word's vector.
  package var dimension: Int { network.configuration.hiddenSize }

  /// The sizes.
  var configuration: TKConfiguration { network.configuration }

  // MARK: Sequences

  /// A text as it is encoded.
  package func sequence(_ text: String, _ role: TextRole) -> TermSequence {
    let encoded = vocabulary.encode(
      text,
      maxLength: role == .query ? network.configuration.queryLength : passageLength)
    return TermSequence(encoded.ids, isTruncated: encoded.isTruncated)
  }

  private func sequences(_ passages: [String], threads: Int) -> [TermSequence] {
    TermSequence.make(passages, threads: threads) { sequence($0, .passage) }
  }

  // MARK: Scores

  /// Unit vectors of a sequence's words, [words × dimension].
  package func vectors(_ sequence: TermSequence, _ role: TextRole) -> Matrix {
    guard !sequence.ids.isEmpty else { return Matrix(rows: 0, columns: dimension) }
    let taken = workspaces.take(1)
    defer { workspaces.put(taken) }
    let vectors = encode(InferenceOperators(workspace: taken[0]), [sequence], role).vectors
    return Matrix(rows: vectors.rows, columns: vectors.columns, values: vectors.values)
  }

  private func encode(
    _ ops: InferenceOperators, _ sequences: [TermSequence], _ role: TextRole
  ) -> (vectors: Matrix, offsets: [Int]) {
    var batch = RaggedBatch()
    for sequence in sequences { network.append(sequence, role, to: &batch) }
    return (network.forward(ops, batch), batch.offsets)
  }

  /// The vectors of passages.
  package func terms(
    of passages: [TermSequence], threads: Int
  ) throws(RetortError) -> PassageTerms {
    let (values, offsets) = try runner.rows(
      lengths: passages.map(\.ids.count), width: dimension, threads: threads
    ) { ops, indices in
      encode(ops, indices.map { passages[$0] }, .passage).vectors
    }
    return PassageTerms(
      values: values, offsets: offsets, truncated: passages.count(where: \.isTruncated))
  }

  /// The vectors of passages' words.
  package func terms(of passages: [String], threads: Int) throws(RetortError) -> PassageTerms {
    try terms(of: sequences(passages, threads: threads), threads: threads)
  }

  /// Scores passages for a query, in order; the same bytes for every number of threads.
  package func score(
    _ query: TermSequence, _ passages: [TermSequence], threads: Int
  ) throws(RetortError) -> [Float] {
    let vectors = vectors(query, .query)
    let scores = try runner.run(
      lengths: passages.map(\.ids.count), width: 1, threads: threads
    ) { ops, indices in
      let (terms, offsets) = encode(ops, indices.map { passages[$0] }, .passage)
      return network.scores(
        ops, vectors, [0, vectors.rows], terms, offsets,
        indices.indices.map { (0, Int32($0)) })
    }
    return withEmpty(scores, vectors, passages.map(\.ids.isEmpty))
  }

  /// Scores passages given by their vectors: what `score` says of the same passages.
  package func score(
    _ query: TermSequence, terms: PassageTerms, threads: Int
  ) throws(RetortError) -> [Float] {
    try score(vectors(query, .query), terms: terms, threads: threads)
  }

  /// The same for a query given by its vectors.
  package func score(
    _ vectors: Matrix, terms: PassageTerms, threads: Int
  ) throws(RetortError) -> [Float] {
    let lengths = zip(terms.offsets, terms.offsets.dropFirst()).map { $1 - $0 }
    let scores = try runner.run(lengths: lengths, width: 1, threads: threads) { ops, indices in
      ops.linear(
        ops.kernelPooling(vectors, network.kernels).features(
          terms.values, offsets: terms.offsets, passages: indices), network.head)
    }
    return withEmpty(scores, vectors, lengths.map { $0 == 0 })
  }

  /// Puts the score of a passage without words where the runner leaves zeros.
  private func withEmpty(_ scores: [Float], _ query: Matrix, _ isEmpty: [Bool]) -> [Float] {
    guard isEmpty.contains(true) else { return scores }
    let taken = workspaces.take(1)
    defer { workspaces.put(taken) }
    let empty = network.scores(
      InferenceOperators(workspace: taken[0]), query, [0, query.rows],
      Matrix(rows: 0, columns: query.columns), [0, 0], [(0, 0)]
    ).values[0]
    return zip(scores, isEmpty).map { $1 ? empty : $0 }
  }

  /// Scores every passage for `query`, in order, and counts the texts that were cut.
  public func score(
    query: String, passages: [String], threads: Int
  ) throws(RetortError) -> (scores: [Float], truncated: Int) {
    let (question, texts) = (sequence(query, .query), sequences(passages, threads: threads))
    return (
      try score(question, texts, threads: threads),
      texts.count(where: \.isTruncated) + (question.isTruncated ? 1 : 0)
    )
  }
}

extension TK: TermScorer {}
