import Formats
import Platform
import Store

/// What an index holds already: passages that need not be added again, and vectors of texts that
/// need not be encoded again.
struct KnownPassages: Sendable {
  private let index: OpenedIndex
  /// By the number of the segment's first passage.
  private var metadata: [Int: MetadataReader] = [:]

  init(_ index: OpenedIndex) throws(RetortError) {
    self.index = index
    for segment in index.segments {
      if let file = segment.metadata { metadata[segment.base] = try MetadataReader(file) }
    }
  }

  /// Whether the index has this passage, under this id, with this text and these fields.
  func holds(_ passage: Passage) throws(RetortError) -> Bool {
    guard let number = try index.number(of: passage.id) else { return false }
    let segment = index.segment(of: number)
    let text = try segment.passages.text(number - segment.base)
    guard text.utf8.elementsEqual(passage.text.utf8) else { return false }
    return try metadata[segment.base]?.fields(of: number - segment.base) ?? [:] == passage.fields
  }

  /// The vector of a text that some passage has or had, nil where none did.
  func vector(ofText text: String) throws(RetortError) -> [Float]? {
    guard let number = try index.number(ofText: text) else { return nil }
    let segment = index.segment(of: number)
    return try segment.vectors.vectors.vector(number - segment.base)
  }
}
