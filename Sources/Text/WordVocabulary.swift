import Platform

/// Whole words with numbers: 0 is nothing's (padding in other programs), 1 stands for all others.
package struct WordVocabulary: Sendable {
  /// By id; the first two are names of what is no word.
  package let words: [String]
  private let ids: [String: Int32]

  /// The name of id 0.
  package static let padding = "[PAD]"
  /// The name of id 1.
  package static let unknown = "[UNK]"
  /// The id of all words that have none of their own.
  package static let unknownID: Int32 = 1

  /// A vocabulary of different words, in the order of their ids from 2.
  package init(words: [String]) {
    self.words = [Self.padding, Self.unknown] + words
    var ids: [String: Int32] = [:]
    ids.reserveCapacity(words.count)
    for (place, word) in words.enumerated() { ids[word] = Int32(place + 2) }
    self.ids = ids
  }

  /// Reads a file of a word a line, the first two of them the names of ids 0 and 1.
  package init(path: String) throws(RetortError) {
    let bytes = try FileSystem.read(path, limit: 1 << 30)
    let lines = String(decoding: bytes, as: UTF8.self).split(
      separator: "\n", omittingEmptySubsequences: false)
    // The last line ends, too.
    let names = (lines.last?.isEmpty == true ? lines.dropLast() : lines[...]).map(String.init)
    guard names.count >= 2, names[0] == Self.padding, names[1] == Self.unknown else {
      throw RetortError(
        .badData,
        "does not begin with the lines \(Self.padding) and \(Self.unknown); it is no vocabulary of "
          + "words: train the model again", path: path)
    }
    self.init(words: Array(names.dropFirst(2)))
    guard ids.count == names.count - 2 else {
      var seen: Set<String> = []
      let double = names.firstIndex { !seen.insert($0).inserted } ?? 0
      throw RetortError(
        .badData, "has the word \"\(names[double])\" twice; train the model again", path: path,
        at: .line(double + 1))
    }
  }

  /// The number of ids.
  package var count: Int { words.count }

  /// What decides ids: equal fingerprints mean equal ids.
  package var fingerprint: String {
    var digest = SHA256Digest()
    for word in words { digest.update(Array(word.utf8) + [10]) }
    return hexadecimalText(digest.finalize())
  }

  /// The file that `init(path:)` reads.
  package var file: [UInt8] { words.flatMap { Array($0.utf8) + [10] } }

  /// The ids of a text's first `maxLength` words, and whether there are more.
  package func encode(_ text: String, maxLength: Int) -> TokenizedText {
    let found = WordSplitter.words(of: text, limit: maxLength + 1)
    return TokenizedText(
      ids: found.prefix(maxLength).map { ids[$0] ?? Self.unknownID },
      isTruncated: found.count > maxLength)
  }
}
