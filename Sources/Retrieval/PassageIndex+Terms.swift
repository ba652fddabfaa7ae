import Platform
import Store
import Terms

/// The stored term vectors of an index for one re-ranker.
package struct StoredTermSets: Sendable {
  /// What they are.
  package let info: Manifest.Terms
  /// The vectors of each segment, and the number of its first passage.
  package let segments: [(base: Int, terms: TermSet)]

  /// The vectors of passage `number`, and its place among them.
  package func place(of number: Int) -> (terms: TermSet, place: Int) {
    var low = 0
    var high = segments.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if segments[middle].base <= number { low = middle } else { high = middle }
    }
    return (segments[low].terms, number - segments[low].base)
  }
}

extension PassageIndex {
  /// The stored term vectors with this fingerprint; nil where there are none.
  package func storedTerms(fingerprint: String) -> StoredTermSets? {
    guard let number = manifest.terms(fingerprint: fingerprint),
      let info = manifest.terms?[number], !opened.segments.isEmpty
    else { return nil }
    return StoredTermSets(
      info: info, segments: opened.segments.map { ($0.base, $0.terms[number].terms) })
  }
}

extension Manifest.Terms {
  /// What tells them from others, in a sentence.
  package var identity: String { name + ", " + Self.identity(dimension, fingerprint) }

  /// What tells term vectors from others, in a sentence.
  package static func identity(_ dimension: Int, _ fingerprint: String) -> String {
    "dimension \(dimension), fingerprint \(fingerprint.prefix(16))"
  }
}
