import Platform

/// A unigram language model over pieces: the tokenizer of ALBERT and other SentencePiece models.
///
/// Kudo 2018, "Subword Regularization", section 3.2: of all ways to spell a word with pieces, the
/// one with the largest sum of log probabilities is taken. A character that no piece covers costs
/// the smallest score less 10, and neighbouring ones become one unknown token, as in Hugging
/// Face's `tokenizers`.
struct Unigram: Sendable {
  /// How much worse than the worst piece an unknown character is.
  static let unknownPenalty = 10.0

  let normalizer: TextNormalizer
  let splitter: MetaspaceSplitter
  let trie: ByteTrie
  /// Log probability by id.
  let scores: [Double]
  let unknown: Int32
  let unknownScore: Double
  /// The ids of the 256 byte pieces, if unknown characters are spelled in bytes.
  let byteIDs: [Int32]?
  /// Length in bytes of the longest piece: how far the search looks ahead.
  let longestPiece: Int

  /// `pieces` in the order of their ids; those in `hidden` never match text.
  init(
    pieces: [(text: String, score: Double)], unknown: Int32, usesBytes: Bool, hidden: Set<Int32>,
    normalizer: TextNormalizer, splitter: MetaspaceSplitter, path: String
  ) throws(RetortError) {
    var builder = ByteTrie.Builder(roots: 1, edges: pieces.count * 4)
    var longest = 4
    var smallest = Double.infinity
    var bytes: [String: Int32] = [:]
    for (index, piece) in pieces.enumerated() {
      // Far beyond any log probability; sums over a text must stay finite.
      guard let id = Int32(exactly: index), abs(piece.score) <= 1e6 else {
        throw RetortError(
          .badData,
          "gives the piece \"\(piece.text)\" the score \(piece.score), which is no log probability",
          path: path)
      }
      smallest = min(smallest, piece.score)
      if usesBytes, piece.text.utf8.count == 6, piece.text.hasPrefix("<0x") {
        bytes[piece.text] = id
      }
      guard !hidden.contains(id), !piece.text.isEmpty else { continue }
      guard piece.text.utf8.count <= Int(UInt16.max),
        builder.insert(piece.text.utf8, value: id)
      else {
        throw RetortError(
          .limitExceeded, "holds a piece of more than \(UInt16.max) bytes or too many pieces",
          path: path)
      }
      longest = max(longest, piece.text.utf8.count)
    }
    self.normalizer = normalizer
    self.splitter = splitter
    self.unknown = unknown
    trie = ByteTrie(builder)
    scores = pieces.map(\.score)
    unknownScore = smallest - Self.unknownPenalty
    longestPiece = longest
    let spelled = (0..<256).compactMap { byte in
      let digits = String(byte, radix: 16, uppercase: true)
      return bytes["<0x" + (digits.count == 1 ? "0" : "") + digits + ">"]
    }
    byteIDs = spelled.count == 256 ? spelled : nil
  }

  /// Appends the ids of `text` (valid UTF-8) until there are more than `limit`.
  ///
  /// `isFirst` says whether this stretch begins the whole text. Long texts are worked on in parts
  /// cut at a space between ASCII letters or digits, where no normalisation step looks across.
  func encode(
    _ text: UnsafeBufferPointer<UInt8>, isFirst: Bool, limit: Int, into ids: inout [Int32]
  ) {
    var search = UnigramSearch(longestPiece: longestPiece)
    var start = 0
    while start < text.count, ids.count <= limit {
      let end = normalizer.looksAcrossSpaces ? text.count : Self.partEnd(text, from: start)
      let part = normalizer.apply(Array(text[start..<end]))
      splitter.forEachWord(of: part, isFirst: isFirst && start == 0) { word in
        search.run(self, on: word, into: &ids)
        return ids.count <= limit
      }
      start = end
    }
  }

  private static let partLength = 1 << 16

  private static func partEnd(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
    func isPlain(_ byte: UInt8) -> Bool {
      switch byte {
      case 48...57, 65...90, 97...122: true
      default: false
      }
    }
    var end = start + partLength
    while end + 1 < text.count {
      if text[end] == 32, isPlain(text[end - 1]), isPlain(text[end + 1]) { return end }
      end += 1
    }
    return text.count
  }
}
