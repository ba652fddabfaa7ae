import Formats
import Platform
import Store

/// What an index holds already: passages that need not be added again, and vectors of texts that
/// need not be encoded again.
struct KnownPassages: Sendable {
  let index: OpenedIndex

  /// Whether the index has this passage, under this id and with this text.
  func holds(_ passage: Passage) throws(RetortError) -> Bool {
    guard let number = try index.number(of: passage.id) else { return false }
    let segment = index.segment(of: number)
    let text = try segment.passages.text(number - segment.base)
    return text.utf8.elementsEqual(passage.text.utf8)
  }

  /// The vector of a text that some passage has or had, nil where none did.
  func vector(ofText text: String) throws(RetortError) -> [Float]? {
    guard let number = try index.number(ofText: text) else { return nil }
    let segment = index.segment(of: number)
    return try segment.vectors.vectors.vector(number - segment.base)
  }
}
