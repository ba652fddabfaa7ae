import DefaultEncoder
import Platform
import Testing
import Text

/// A sentence with the ids that were published for it with BERT's uncased vocabulary.
struct PublishedSentence: Sendable {
  let text: String
  let ids: [Int32]

  static let all = [
    PublishedSentence(
      text: "what is the transformers library", ids: [101, 2054, 2003, 1996, 19081, 3075, 102]),
    PublishedSentence(
      text: "We are very happy to show you the 🤗 Transformers library for pre-trained language "
        + "models. We are helping the community work together towards the goal of advancing "
        + "NLP 🔥.",
      ids: [
        101, 2057, 2024, 2200, 3407, 2000, 2265, 2017, 1996, 100, 19081, 3075, 2005, 3653, 1011,
        4738, 2653, 4275, 1012, 2057, 2024, 5094, 1996, 2451, 2147, 2362, 2875, 1996, 3125, 1997,
        10787, 17953, 2361, 100, 1012, 102,
      ]),
    PublishedSentence(
      text: "Hmm I don't like this new movie about transformers that i got from my local library. "
        + "Those transformers are robots?",
      ids: [
        101, 17012, 1045, 2123, 1005, 1056, 2066, 2023, 2047, 3185, 2055, 19081, 2008, 1045, 2288,
        2013, 2026, 2334, 3075, 1012, 2216, 19081, 2024, 13507, 1029, 102,
      ]),
  ]

  /// Expects the published ids, whole and cut to every length.
  func check(by tokenizer: Tokenizer) {
    #expect(tokenizer.encode(text, maxLength: 512).ids == ids)
    // Cut: the start of the same ids, closed by [SEP].
    for length in 2..<ids.count {
      let cut = tokenizer.encode(text, maxLength: length)
      #expect(cut.ids == Array(ids.prefix(length - 1)) + [102])
      #expect(cut.isTruncated)
    }
    #expect(!tokenizer.encode(text, maxLength: ids.count).isTruncated)
  }
}

/// The vocabulary that comes with the program is the reference's, so that its ids can be checked
/// without the reference's files.
struct ShippedVocabularyTests {
  @Test func `The shipped vocabulary is BERT's uncased one, to the byte`() throws {
    var digest = SHA256Digest()
    digest.update(try FileSystem.read(try DefaultEncoder.folder() + "/vocab.txt"))
    #expect(
      hexadecimalText(digest.finalize())
        == "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3")
    let tokenizer = try Tokenizer(directory: DefaultEncoder.folder())
    #expect(tokenizer.kind == "WordPiece")
    #expect(tokenizer.vocabularySize == 30_522)
    #expect(tokenizer.declaredMaxLength.modelMaximum == 512)
  }

  @Test(arguments: PublishedSentence.all)
  func `Published sentences give the published ids`(sentence: PublishedSentence) throws {
    sentence.check(by: try Tokenizer(directory: DefaultEncoder.folder()))
  }

  @Test func `A pair joins the published ids of its texts`() throws {
    let tokenizer = try Tokenizer(directory: DefaultEncoder.folder())
    for first in PublishedSentence.all {
      for second in PublishedSentence.all {
        let pair = tokenizer.encodePair(first.text, second.text, maxLength: 512)
        #expect(pair.ids == first.ids + second.ids.dropFirst())
        let types = [Int32](repeating: 0, count: first.ids.count)
        #expect(pair.types == types + [Int32](repeating: 1, count: second.ids.count - 1))
        #expect(!pair.isTruncated)
      }
    }
  }

  @Test func `Strings of special tokens have their ids only when asked for`() throws {
    let folder = try DefaultEncoder.folder()
    let text = "[CLS] [SEP] [MASK] [PAD] [UNK]"
    let parity = try Tokenizer(directory: folder, specialTokensInText: .recognised)
    #expect(parity.encode(text, maxLength: 100).ids == [101, 101, 102, 103, 0, 100, 102])
    let plain = try Tokenizer(directory: folder)
    let inside = plain.encode(text, maxLength: 100).ids.dropFirst().dropLast()
    #expect(inside.count >= 15)
    #expect(!inside.contains { (100...103).contains($0) || $0 == 0 })
  }
}
