import Platform

/// BERT's tokenizer: cleaning, splitting into words and punctuation, greedy longest pieces.
///
/// Devlin et al. 2019, section 3 and appendix A.2; the pieces are those of Wu et al. 2016. The
/// result is that of Hugging Face's BertNormalizer, BertPreTokenizer and WordPiece.
struct WordPiece: Sendable {
  /// The switches of the basic tokenizer.
  struct Settings: Sendable, Hashable {
    /// Drop control characters; whitespace of all kinds becomes a space.
    var cleanText = true
    /// Set CJK ideographs off as words of their own.
    var splitCJK = true
    /// Decompose (NFD) and drop non-spacing marks.
    var stripAccents = true
    var lowercase = true
    /// Longer words become one unknown token; in characters after normalisation.
    var maximumWordLength = 100
    /// What pieces inside a word begin with in the vocabulary.
    var continuation = "##"
  }

  /// Roots of the two trees: pieces that begin a word, and pieces inside one.
  static let initialRoot: Int32 = 0
  static let continuationRoot: Int32 = 1

  let settings: Settings
  let unknown: Int32
  let trie: ByteTrie
  let shortPieces: ShortPieceTable
  /// For the bytes 0…127 one of the `asciiX` classes.
  let asciiClasses: [UInt8]
  /// For the bytes 0…127 the byte itself or its lower case.
  let asciiMapping: [UInt8]

  static let asciiWord: UInt8 = 0
  static let asciiPunctuation: UInt8 = 1
  static let asciiWhitespace: UInt8 = 2
  static let asciiDropped: UInt8 = 3

  /// `pieces` with their ids; those in `hidden` never match text.
  init(
    pieces: some Collection<Vocabulary.Piece>, unknown: Int32, hidden: Set<Int32>,
    settings: Settings,
    path: String
  ) throws(RetortError) {
    self.settings = settings
    self.unknown = unknown
    var builder = ByteTrie.Builder(roots: 2, edges: pieces.count * 4)
    var short: [Vocabulary.Piece] = []
    short.reserveCapacity(pieces.count)
    let prefix = Array(settings.continuation.utf8)
    // Hidden ids lie together; a look into the set for each piece would cost as much as the trie.
    let range = (hidden.min() ?? 0)...(hidden.max() ?? 0)
    for piece in pieces where !piece.bytes.isEmpty {
      if range.contains(piece.id), hidden.contains(piece.id) { continue }
      var fits = builder.insert(piece.bytes, value: piece.id, root: Self.initialRoot)
      if piece.bytes.count <= ShortPieceTable.longest { short.append(piece) }
      if piece.bytes.count > prefix.count, piece.bytes.starts(with: prefix) {
        fits =
          fits
          && builder.insert(
            piece.bytes.dropFirst(prefix.count), value: piece.id, root: Self.continuationRoot)
      }
      guard fits else {
        throw RetortError(
          .limitExceeded,
          "holds more than \(ByteTrie.Builder.maximumNodes) distinct prefixes; "
            + "this is no WordPiece vocabulary", path: path)
      }
    }
    trie = ByteTrie(builder)
    shortPieces = ShortPieceTable(short)
    var classes = [UInt8](repeating: Self.asciiWord, count: 128)
    var mapping = (0..<128).map { UInt8($0) }
    for byte in 0..<128 {
      switch byte {
      case 9, 10, 13, 32: classes[byte] = Self.asciiWhitespace
      case 11, 12: classes[byte] = settings.cleanText ? Self.asciiDropped : Self.asciiWhitespace
      case 0..<32, 127: classes[byte] = settings.cleanText ? Self.asciiDropped : Self.asciiWord
      case 33...47, 58...64, 91...96, 123...126: classes[byte] = Self.asciiPunctuation
      case 65...90: if settings.lowercase { mapping[byte] = UInt8(byte + 32) }
      default: break
      }
    }
    asciiClasses = classes
    asciiMapping = mapping
  }
}
