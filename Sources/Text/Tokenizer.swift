import Platform

/// The token ids of one text, special tokens included.
public struct TokenizedText: Sendable, Hashable {
  /// `[CLS]` text `[SEP]`, never padded.
  public var ids: [Int32]
  /// Whether tokens of the text were left out to keep within the length asked for.
  public var isTruncated: Bool

  /// Makes a value from its parts.
  public init(ids: [Int32], isTruncated: Bool) {
    self.ids = ids
    self.isTruncated = isTruncated
  }
}

/// What strings such as `[SEP]` or `[MASK]` inside a text mean.
public enum SpecialTokenPolicy: String, Sendable, Hashable {
  /// They are ordinary text, split like any other: nothing a user types becomes a special id.
  case ordinaryText
  /// They become the special ids, as Hugging Face's tokenizers do; for parity and for templates
  /// the program itself wrote, not for the text of others.
  case recognised
}

/// Text to token ids, the way a Hugging Face model folder describes it.
///
/// WordPiece (BERT, DistilBERT, MiniLM) and unigram (ALBERT) vocabularies are read. Results are
/// those of the reference tokenizers, except that nothing is ever padded and that special-token
/// strings are ordinary text unless `SpecialTokenPolicy.recognised` is asked for. A value is
/// immutable and may be used from any number of threads at once. Time is linear in the text.
public struct Tokenizer: Sendable {
  enum Model: Sendable {
    case wordPiece(WordPiece)
    case unigram(Unigram)
  }

  /// The lengths a model folder declares for its inputs, in ids including the special tokens.
  ///
  /// They often disagree with each other; the tokenizer follows none of them. Whoever calls
  /// `encode` decides, and can say what was declared.
  public struct DeclaredLengths: Sendable, Hashable {
    /// `model_max_length` of `tokenizer_config.json`; nil if absent or a stand-in for "no limit".
    public var modelMaximum: Int?
    /// `truncation.max_length` of `tokenizer.json`.
    public var truncation: Int?
    /// The fixed length of `padding` in `tokenizer.json`. Retort never pads.
    public var padding: Int?

    /// Nothing declared.
    public init() {}
  }

  /// The ids of the special tokens; nil where the vocabulary has no such token.
  public struct SpecialIDs: Sendable, Hashable {
    /// `[CLS]`, before the text.
    public var classification: Int32
    /// `[SEP]`, after each text.
    public var separator: Int32
    /// `[UNK]`, for what the vocabulary cannot spell.
    public var unknown: Int32
    /// `[MASK]`, for query augmentation.
    public var mask: Int32?
    /// `[PAD]`; never written by this tokenizer.
    public var padding: Int32?
  }

  let model: Model
  let addedTokens: AddedTokenMatcher
  let secondType: Int32

  /// Number of ids: one more than the largest. A model's embedding must have at least as many rows.
  public let vocabularySize: Int
  /// The special tokens' ids.
  public let specialIDs: SpecialIDs
  /// What the folder says about lengths.
  public let declaredMaxLength: DeclaredLengths
  /// What special-token strings in a text mean.
  public let specialTokensInText: SpecialTokenPolicy
  /// What was decided where the folder's files leave room or disagree, one sentence each.
  public let notes: [String]
  /// A hex digest of vocabulary and settings: equal for tokenizers that give equal ids.
  public let fingerprint: String

  /// The kind of vocabulary: `WordPiece` or `Unigram`.
  public var kind: String {
    switch model {
    case .wordPiece: "WordPiece"
    case .unigram: "Unigram"
    }
  }

  /// Reads the tokenizer of a Hugging Face model folder.
  ///
  /// Read are `vocab.txt` with `tokenizer_config.json`, or the same facts from `tokenizer.json`;
  /// where both speak, `tokenizer_config.json` wins, as it does in the reference.
  public init(
    directory: String, specialTokensInText: SpecialTokenPolicy = .ordinaryText
  ) throws(RetortError) {
    let plan = try TokenizerPlan(directory: directory, policy: specialTokensInText)
    model = plan.model
    addedTokens = AddedTokenMatcher(
      specialTokensInText == .recognised ? plan.addedTokens : [])
    secondType = plan.secondType
    vocabularySize = plan.vocabularySize
    specialIDs = plan.specialIDs
    declaredMaxLength = plan.declared
    self.specialTokensInText = specialTokensInText
    notes = plan.notes
    fingerprint = plan.fingerprint
  }

  /// `[CLS] text [SEP]` of at most `maxLength` ids, the special tokens counted.
  ///
  /// A long text is read only as far as needed. Below 2 not even the special tokens fit: then as
  /// many of them as fit are returned and the text counts as truncated.
  public func encode(_ text: String, maxLength: Int) -> TokenizedText {
    let room = maxLength > 2 ? maxLength - 2 : 0
    var ids = [specialIDs.classification]
    append(text, limit: room + 1, into: &ids)
    var isTruncated = ids.count > room + 1
    if isTruncated { ids.removeSubrange((room + 1)...) }
    ids.append(specialIDs.separator)
    if maxLength < 2 {
      ids.removeSubrange(max(maxLength, 0)...)
      isTruncated = true
    }
    return TokenizedText(ids: ids, isTruncated: isTruncated)
  }

  /// `[CLS] first [SEP] second [SEP]` of at most `maxLength` ids, with their token types.
  ///
  /// Types are 0 up to the first `[SEP]` and 1 after it. Overflow is taken from the end of
  /// whichever text is longer, one token at a time; when both are cut to equal shares and one token
  /// is left over, it goes to the text that was longer (the second on a tie), as in the reference.
  /// Below 3 not even the special tokens fit: as many as fit are returned, marked truncated.
  public func encodePair(
    _ first: String, _ second: String, maxLength: Int
  ) -> (ids: [Int32], types: [Int32], isTruncated: Bool) {
    let room = maxLength > 3 ? maxLength - 3 : 0
    var left: [Int32] = []
    var right: [Int32] = []
    append(first, limit: room, into: &left)
    append(second, limit: room, into: &right)
    if left.count > room, right.count > room, room % 2 == 1 {
      // Which of the two gets the odd token depends on their full lengths.
      left = []
      right = []
      append(first, limit: .max, into: &left)
      append(second, limit: .max, into: &right)
    }
    let kept = Self.shares(left.count, right.count, room: room)
    var isTruncated = kept.first < left.count || kept.second < right.count
    var ids = [specialIDs.classification]
    ids.reserveCapacity(kept.first + kept.second + 3)
    ids += left[..<kept.first]
    ids.append(specialIDs.separator)
    var types = [Int32](repeating: 0, count: ids.count)
    ids += right[..<kept.second]
    ids.append(specialIDs.separator)
    types += [Int32](repeating: secondType, count: ids.count - types.count)
    if maxLength < 3 {
      ids.removeSubrange(max(maxLength, 0)...)
      types.removeSubrange(max(maxLength, 0)...)
      isTruncated = true
    }
    return (ids, types, isTruncated)
  }

  /// How many tokens of two texts stay when `room` are allowed in all.
  private static func shares(_ first: Int, _ second: Int, room: Int) -> (first: Int, second: Int) {
    if first <= room, second <= room - first { return (first, second) }
    let half = room / 2
    if min(first, second) <= half {
      return first <= second ? (first, room - first) : (room - second, second)
    }
    return first <= second ? (half, room - half) : (room - half, half)
  }

  /// Appends the ids of a text without special tokens around it, until there are more than `limit`.
  func append(_ text: String, limit: Int, into ids: inout [Int32]) {
    var text = text
    text.withUTF8 { bytes in
      addedTokens.forEachSegment(of: bytes) { segment, token, isFirst in
        switch model {
        case .wordPiece(let wordPiece):
          wordPiece.encode(segment, limit: limit, into: &ids)
        case .unigram(let unigram):
          unigram.encode(segment, isFirst: isFirst, limit: limit, into: &ids)
        }
        if let token { ids.append(token) }
        return ids.count <= limit
      }
    }
  }
}
