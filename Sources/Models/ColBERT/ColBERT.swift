import Platform
import Synchronization
import Tensors
import Text

/// A query or a passage as ColBERT reads it.
package struct TermSequence: Sendable {
  /// Token ids.
  package var ids: [Int32]
  /// How many of the first tokens are attended to.
  package var keys: Int
  /// The tokens that have a vector.
  package var kept: [Int32]
  /// Whether the text was longer.
  package var isTruncated: Bool

  /// A sequence all of whose tokens take part.
  package init(_ ids: [Int32]) {
    self.init(ids: ids, keys: ids.count, kept: ids.indices.map { Int32($0) }, isTruncated: false)
  }

  init(ids: [Int32], keys: Int, kept: [Int32], isTruncated: Bool) {
    self.ids = ids
    self.keys = keys
    self.kept = kept
    self.isTruncated = isTruncated
  }
}

/// ColBERT: a vector for every token, and as score the sum over the query's tokens of the largest
/// inner product with a token of the passage.
///
/// Only tokens that are there take part: there is no padding that could be the largest.
public final class ColBERT: Sendable {
  private let network: ColBERTNetwork
  let tokenizer: Tokenizer?
  private let markers: (query: Int32?, passage: Int32?)
  private let mask: Int32?
  private let punctuation: Set<Int32>
  private let runner: MicroBatchRunner
  private let workspaces = WorkspacePool()
  private let directory: String
  /// Read when somebody first asks what tokens are called.
  private let pieces = Mutex<PieceTable?>(nil)

  /// How queries and passages are made.
  public let settings: ColBERTSettings
  /// Components of a token's vector.
  public let dimension: Int
  /// The identity of weights, configuration, tokenizer and settings: equal fingerprints mean equal
  /// scores.
  public let fingerprint: String

  /// Loads a model directory: a BERT, DistilBERT or ALBERT encoder with a `linear` or `compressor`
  /// layer.
  public convenience init(
    directory: String, options: ColBERTOptions = .init()
  ) throws(RetortError) {
    try self.init(directory: directory, options: options, tokenizes: true)
  }

  /// `tokenizes: false` loads a directory without a tokenizer, for sequences of ids only.
  package init(
    directory: String, options: ColBERTOptions = .init(), tokenizes: Bool
  ) throws(RetortError) {
    let model = try ModelFiles(directory)
    let configuration = try ModelConfiguration(model)
    let tokenizer = tokenizes ? try Tokenizer(directory: directory) : nil
    try tokenizer?.check(against: configuration, directory: directory)
    var reader = try WeightReader(TensorFiles(model), architecture: configuration.architecture)
    let settings = try ColBERTSettings.decide(
      model, hasBias: ColBERTNetwork.hasBias(reader), positions: configuration.positions, options)
    var network = try ColBERTNetwork(configuration, &reader)
    network.normalizes = settings.normalizes
    self.network = network.packed
    runner = MicroBatchRunner(weights: try reader.mappedFiles())
    self.settings = settings
    self.tokenizer = tokenizer
    self.directory = directory
    dimension = network.projection.outputs
    mask = tokenizer?.specialIDs.mask
    (markers, punctuation) = try Self.special(settings, tokenizer, directory)
    guard mask != nil || settings.queryMasks.placement == .none || tokenizer == nil else {
      throw RetortError(
        .badData, "has no [MASK] in its vocabulary; choose --query-masks none", path: directory)
    }
    fingerprint = Models.fingerprint(
      of: reader.record.sorted() + [
        configuration.identity, "tokenizer \(tokenizer?.fingerprint ?? "none")",
        "colbert \(settings.normalizes) \(settings.queryMarker ?? "-")",
        "\(settings.passageMarker ?? "-") \(settings.queryMasks) \(settings.skipsPunctuation)",
        "lengths \(settings.queryLength) \(settings.passageLength)",
      ])
  }

  /// The ids of the markers, and those of single punctuation characters where they are left out.
  private static func special(
    _ settings: ColBERTSettings, _ tokenizer: Tokenizer?, _ directory: String
  ) throws(RetortError) -> (markers: (query: Int32?, passage: Int32?), punctuation: Set<Int32>) {
    guard let tokenizer else { return ((nil, nil), []) }
    var markers: (query: Int32?, passage: Int32?) = (nil, nil)
    if settings.queryMarker != nil || settings.passageMarker != nil {
      let pieces = try PieceTable(directory: directory)
      func id(_ name: String?) throws(RetortError) -> Int32? {
        guard let name else { return nil }
        guard let id = pieces.id(name) else {
          throw RetortError(
            .badData,
            "has no token '\(name)', which marks queries or passages; use the vocabulary the model "
              + "was trained with", path: directory)
        }
        return id
      }
      markers = (try id(settings.queryMarker), try id(settings.passageMarker))
    }
    var punctuation: Set<Int32> = []
    if settings.skipsPunctuation {
      for code in [33...47, 58...64, 91...96, 123...126].joined() {
        let text = String(UnicodeScalar(UInt8(code)))
        let ids = tokenizer.encode(text, maxLength: 8).ids
        if ids.count == 3, ids[1] != tokenizer.specialIDs.unknown { punctuation.insert(ids[1]) }
      }
    }
    return (markers, punctuation)
  }

  // MARK: Sequences

  /// A query as it is encoded.
  package func query(_ text: String) -> TermSequence {
    guard let tokenizer else { return TermSequence([]) }
    let encoded = tokenizer.encode(
      text, maxLength: settings.queryLength - (markers.query == nil ? 0 : 1))
    var ids = encoded.ids
    if let marker = markers.query { ids.insert(marker, at: 1) }
    let (masked, keys) = settings.queryMasks.applied(to: ids, mask: mask ?? 0)
    return TermSequence(
      ids: masked, keys: keys, kept: masked.indices.map { Int32($0) },
      isTruncated: encoded.isTruncated)
  }

  /// A passage as it is encoded.
  package func passage(_ text: String) -> TermSequence {
    guard let tokenizer else { return TermSequence([]) }
    let encoded = tokenizer.encode(
      text, maxLength: settings.passageLength - (markers.passage == nil ? 0 : 1))
    var ids = encoded.ids
    if let marker = markers.passage { ids.insert(marker, at: 1) }
    let kept = ids.indices.filter { !punctuation.contains(ids[$0]) }.map { Int32($0) }
    return TermSequence(
      ids: ids, keys: ids.count, kept: kept, isTruncated: encoded.isTruncated)
  }

  /// The names of tokens.
  func pieceTable() throws(RetortError) -> PieceTable {
    if let known = pieces.withLock({ $0 }) { return known }
    let table = try PieceTable(directory: directory)
    pieces.withLock { $0 = table }
    return table
  }

  // MARK: Scores

  /// The vectors of a sequence's tokens, [kept × dimension].
  package func vectors(_ sequence: TermSequence) -> Matrix {
    let taken = workspaces.take(1)
    defer { workspaces.put(taken) }
    let (vectors, _) = encode(InferenceOperators(workspace: taken[0]), [sequence])
    return Matrix(rows: vectors.rows, columns: vectors.columns, values: vectors.values)
  }

  /// The vectors of several sequences, and where each one's begin and end.
  private func encode(
    _ ops: InferenceOperators, _ sequences: [TermSequence]
  ) -> (vectors: Matrix, offsets: [Int]) {
    var batch = RaggedBatch()
    var rows: [Int32] = []
    var offsets = [0]
    for sequence in sequences where !sequence.ids.isEmpty {
      let first = Int32(batch.tokens)
      batch.append(sequence.ids, keys: sequence.keys)
      rows += sequence.kept.map { first + $0 }
      offsets.append(rows.count)
    }
    let all = network.forward(ops, batch)
    return (rows.count == all.rows ? all : ops.rows(all, rows), offsets)
  }

  /// Scores passages for a query, in order; the same bytes for every number of threads.
  package func score(
    _ query: TermSequence, _ passages: [TermSequence], threads: Int
  ) throws(RetortError) -> [Float] {
    let maxSim = MaxSim(vectors(query))
    return try runner.run(
      lengths: passages.map(\.ids.count), width: 1, threads: threads
    ) { ops, indices in
      let (vectors, offsets) = encode(ops, indices.map { passages[$0] })
      return Matrix(
        rows: indices.count, columns: 1, values: maxSim.scores(vectors, offsets: offsets))
    }
  }

  /// Scores every passage for `query`, in order, and counts the texts that were cut.
  public func score(
    query: String, passages: [String], threads: Int
  ) throws(RetortError) -> (scores: [Float], truncated: Int) {
    let encoded = OrderedResults<TermSequence>(count: passages.count)
    parallelFor(passages.count, threads: threads) { item, _ in
      encoded.set(item, passage(passages[item]))
    }
    let (question, sequences) = (self.query(query), encoded.values)
    return (
      try score(question, sequences, threads: threads),
      sequences.count(where: \.isTruncated) + (question.isTruncated ? 1 : 0)
    )
  }
}
