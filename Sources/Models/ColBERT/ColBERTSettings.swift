import Platform

/// What a caller may decide about a ColBERT model; nil leaves it to the model's own files.
public struct ColBERTOptions: Sendable {
  /// The [MASK] tokens of queries.
  public var queryMasks: QueryMasks?
  /// Tokens of a query at most, special ones and markers included, masks not.
  public var queryLength: Int?
  /// Tokens of a passage at most, special ones and markers included.
  public var passageLength: Int?
  /// The number format of the encoder's products; nil is f32, or what a quantised copy holds.
  public var precision: EncoderPrecision?
  /// What stored term vectors were computed in, by their fingerprints: `auto` is the same.
  public var storedPrecisions: [String: EncoderPrecision] = [:]

  /// Leaves everything to the model's files.
  public init() {}
}

/// The families of ColBERT.
public enum ColBERTVariant: String, Sendable, Codable, CaseIterable {
  /// Khattab and Zaharia's: unit vectors of 128 numbers, markers, queries filled with [MASK].
  case original
  /// Hofstätter et al.'s: vectors as wide as the encoder's, compared as they are.
  case hofstaetter
}

/// How a ColBERT checkpoint wants queries and passages.
///
/// There are two families. The original (Khattab and Zaharia 2020, arXiv:2004.12832) projects without
/// a bias, scales token vectors to length 1, marks queries and passages with a token behind [CLS],
/// fills queries with [MASK] up to 32 tokens and leaves punctuation out of passages. Hofstätter et
/// al. 2020 (arXiv:2010.02666) project with a bias and do none of this.
public struct ColBERTSettings: Sendable, Codable, Equatable {
  /// Whether token vectors are scaled to length 1.
  public var normalizes: Bool
  /// The token behind [CLS] of a query.
  public var queryMarker: String?
  /// The token behind [CLS] of a passage.
  public var passageMarker: String?
  /// The [MASK] tokens of queries.
  public var queryMasks: QueryMasks
  /// Whether single punctuation characters of a passage have no vector.
  public var skipsPunctuation: Bool
  /// Tokens of a query at most, masks aside.
  public var queryLength: Int
  /// Tokens of a passage at most.
  public var passageLength: Int

  static let original = ColBERTSettings(
    normalizes: true, queryMarker: "[unused0]", passageMarker: "[unused1]", queryMasks: .fillTo32,
    skipsPunctuation: true, queryLength: 32, passageLength: 180)

  static let hofstaetter = ColBERTSettings(
    normalizes: false, queryMarker: nil, passageMarker: nil, queryMasks: .none,
    skipsPunctuation: false, queryLength: 30, passageLength: 200)

  /// `artifact.metadata`, which the original writes beside a checkpoint.
  private struct Metadata: Decodable {
    var queryMaxlen: Int?
    var docMaxlen: Int?
    var similarity: String?
    var maskPunctuation: Bool?
    var attendToMaskTokens: Bool?
    var queryTokenId: String?
    var docTokenId: String?
    /// Ours: masks in the words of `QueryMasks`, which the original's fields cannot all say.
    var queryMasks: String?
  }

  /// What the original writes beside a checkpoint.
  static let file = "artifact.metadata"

  /// The settings as `decide` reads them.
  func metadata(dimension: Int) -> [String: Any] {
    var fields: [String: Any] = [
      "query_maxlen": queryLength, "doc_maxlen": passageLength, "dim": dimension,
      "mask_punctuation": skipsPunctuation, "query_masks": "\(queryMasks)",
      "attend_to_mask_tokens": queryMasks.placement != .none && queryMasks.areAttended,
    ]
    // Hofstätter's variant compares by inner product, for which the file has no word.
    if normalizes { fields["similarity"] = "cosine" }
    fields["query_token_id"] = queryMarker
    fields["doc_token_id"] = passageMarker
    return fields
  }

  /// The settings of a checkpoint: what was asked for, else what its files say, else its family's.
  static func decide(
    _ model: ModelFiles, hasBias: Bool, positions: Int, _ options: ColBERTOptions
  ) throws(RetortError) -> ColBERTSettings {
    var settings = hasBias ? hofstaetter : original
    let name = Self.file
    if let file = try model.json(name, as: Metadata.self) {
      guard file.similarity ?? "cosine" == "cosine" else {
        throw RetortError(
          .badData,
          "has the similarity '\(file.similarity ?? "")'; only cosine is supported: use a model "
            + "trained with it", path: model.path(name))
      }
      settings.queryLength = file.queryMaxlen ?? settings.queryLength
      settings.passageLength = file.docMaxlen ?? settings.passageLength
      settings.skipsPunctuation = file.maskPunctuation ?? settings.skipsPunctuation
      settings.queryMarker = file.queryTokenId ?? settings.queryMarker
      settings.passageMarker = file.docTokenId ?? settings.passageMarker
      if settings.queryMasks.placement == .fill {
        settings.queryMasks.count = settings.queryLength
        settings.queryMasks.areAttended = file.attendToMaskTokens ?? false
      }
      if let masks = file.queryMasks {
        do throws(RetortError) {
          settings.queryMasks = try QueryMasks(masks)
        } catch {
          throw RetortError(.badData, error.message, path: model.path(name))
        }
      }
    }
    if settings.queryMasks.placement == .fill, let length = options.queryLength {
      settings.queryMasks.count = length
    }
    settings.queryMasks = options.queryMasks ?? settings.queryMasks
    settings.queryLength = options.queryLength ?? min(settings.queryLength, positions)
    settings.passageLength = options.passageLength ?? min(settings.passageLength, positions)
    try settings.check(positions: positions, model)
    return settings
  }

  private func check(positions: Int, _ model: ModelFiles) throws(RetortError) {
    let shortest = MaxLength.shortest + 1
    for (length, what) in [(queryLength, "query"), (passageLength, "passage")] {
      guard (shortest...max(positions, shortest)).contains(length) else {
        throw RetortError(
          .usage,
          "a \(what) of at most \(length) tokens is outside \(shortest)...\(positions), what this "
            + "model can take; choose a length inside", path: model.directory)
      }
    }
    let longest =
      queryMasks.placement == .fill
      ? max(queryMasks.count, queryLength) : queryLength + queryMasks.count
    guard longest <= positions else {
      throw RetortError(
        .usage,
        "queries of \(longest) tokens, masks included, are longer than the \(positions) positions of "
          + "this model; ask for fewer masks", path: model.directory)
    }
  }
}
