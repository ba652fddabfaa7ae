import Platform
import Synchronization

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
  /// For the bytes 0…127 one of the `asciiX` classes.
  let asciiClasses: [UInt8]
  /// For the bytes 0…127 the byte itself or its lower case.
  let asciiMapping: [UInt8]
  /// What finds pieces in a short text.
  let search: PieceSearch
  private let lazy: LazyTables

  static let asciiWord: UInt8 = 0
  static let asciiPunctuation: UInt8 = 1
  static let asciiWhitespace: UInt8 = 2
  static let asciiDropped: UInt8 = 3

  /// The pieces of `vocabulary`; those in `hidden` never match text.
  init(
    _ vocabulary: Vocabulary, unknown: Int32, hidden: Set<Int32>, settings: Settings, path: String
  ) throws(RetortError) {
    self.settings = settings
    self.unknown = unknown
    search = PieceSearch(vocabulary, hidden: hidden, continuation: settings.continuation)
    lazy = LazyTables(vocabulary, hidden: hidden, continuation: settings.continuation)
    // A piece adds at most two nodes a byte: smaller vocabularies need not be tried.
    if vocabulary.bytes > ByteTrie.Builder.maximumNodes / 2 - 2, lazy.tables(adding: .max) == nil {
      throw RetortError(
        .limitExceeded,
        "holds more than \(ByteTrie.Builder.maximumNodes) distinct prefixes; "
          + "this is no WordPiece vocabulary", path: path)
    }
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

  /// The tables for a text of `bytes` bytes; nil as long as building them would take longer than they
  /// save.
  func tables(for bytes: Int) -> Tables? { lazy.tables(adding: bytes) }
}

extension WordPiece {
  /// What finds pieces fastest, at the price of some ten milliseconds once.
  final class Tables: Sendable {
    let trie: ByteTrie
    let shortPieces: ShortPieceTable

    /// Nil where the pieces have too many prefixes.
    init?(_ vocabulary: Vocabulary, hidden: Set<Int32>, continuation: String) {
      let pieces = vocabulary.pieces
      var builder = ByteTrie.Builder(roots: 2, edges: pieces.count * 4)
      var short: [Vocabulary.Piece] = []
      short.reserveCapacity(pieces.count)
      let prefix = Array(continuation.utf8)
      // Hidden ids lie together; a look into the set for each piece would cost as much as the trie.
      let range = (hidden.min() ?? 0)...(hidden.max() ?? 0)
      for piece in pieces where !piece.bytes.isEmpty {
        if range.contains(piece.id), hidden.contains(piece.id) { continue }
        guard builder.insert(piece.bytes, value: piece.id, root: WordPiece.initialRoot) else {
          return nil
        }
        if piece.bytes.count <= ShortPieceTable.longest { short.append(piece) }
        if piece.bytes.count > prefix.count, piece.bytes.starts(with: prefix) {
          let rest = piece.bytes.dropFirst(prefix.count)
          guard builder.insert(rest, value: piece.id, root: WordPiece.continuationRoot) else {
            return nil
          }
        }
      }
      trie = ByteTrie(builder)
      shortPieces = ShortPieceTable(short)
    }
  }

  /// Tables that are built when enough text has come.
  ///
  /// A program that answers one question would spend more time on them than on its answer.
  private final class LazyTables: Sendable {
    /// As many bytes are tokenized without the tables in about the time that building them takes.
    private static let patience = 1 << 15

    private struct State {
      var seen = 0
      var isBuilt = false
      var tables: Tables?
    }

    private let state = Mutex(State())
    private let vocabulary: Vocabulary
    private let hidden: Set<Int32>
    private let continuation: String

    init(_ vocabulary: Vocabulary, hidden: Set<Int32>, continuation: String) {
      self.vocabulary = vocabulary
      self.hidden = hidden
      self.continuation = continuation
    }

    func tables(adding bytes: Int) -> Tables? {
      state.withLock { state in
        if !state.isBuilt {
          state.seen += min(bytes, Self.patience)
          guard state.seen >= Self.patience else { return nil }
          state.tables = Tables(vocabulary, hidden: hidden, continuation: continuation)
          state.isBuilt = true
        }
        return state.tables
      }
    }
  }
}
