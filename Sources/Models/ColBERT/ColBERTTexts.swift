import Platform
import Text

/// Texts as ColBERT reads them: with its markers, its masks and without what has no vector.
struct ColBERTTexts: Sendable {
  let settings: ColBERTSettings
  let tokenizer: Tokenizer?
  private let markers: (query: Int32?, passage: Int32?)
  private let mask: Int32?
  private let punctuation: Set<Int32>

  /// Looks the special tokens up; without a tokenizer there are no texts.
  init(
    _ settings: ColBERTSettings, _ tokenizer: Tokenizer?, directory: String
  ) throws(RetortError) {
    self.settings = settings
    self.tokenizer = tokenizer
    mask = tokenizer?.specialIDs.mask
    (markers, punctuation) = try Self.special(settings, tokenizer, directory)
    guard mask != nil || settings.queryMasks.placement == .none || tokenizer == nil else {
      throw RetortError(
        .badData, "has no [MASK] in its vocabulary; choose --query-masks none", path: directory)
    }
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
              + "was trained with, or train the variant without markers (--variant hofstaetter)",
            path: directory)
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

  /// A query as it is encoded.
  func query(_ text: String) -> TermSequence {
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
  func passage(_ text: String) -> TermSequence {
    guard let tokenizer else { return TermSequence([]) }
    let encoded = tokenizer.encode(
      text, maxLength: settings.passageLength - (markers.passage == nil ? 0 : 1))
    var ids = encoded.ids
    if let marker = markers.passage { ids.insert(marker, at: 1) }
    let kept = ids.indices.filter { !punctuation.contains(ids[$0]) }.map { Int32($0) }
    return TermSequence(
      ids: ids, keys: ids.count, kept: kept, isTruncated: encoded.isTruncated)
  }
}
