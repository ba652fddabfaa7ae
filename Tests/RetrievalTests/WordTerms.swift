import Indexing
import Models
import Platform
import Retrieval
import Store
import Tensors
import Terms

/// Term vectors without a model: a word's vector follows from its letters.
enum WordTerms {
  static let dimension = 16
  private static let codecs: [TermCodec] = [.residual2, .int8, .f16]

  /// A source of terms for each codec, so that an index can store them all.
  static func source(_ codec: TermCodec) -> TermSource {
    TermSource(
      kind: "colbert", path: "/nowhere", fingerprint: "words \(codec.rawValue)",
      dimension: dimension
    ) { texts, _ throws(RetortError) in
      var terms = PassageTerms()
      for text in texts {
        let vectors = vectors(text)
        terms.values += vectors.values
        terms.offsets.append((terms.offsets.last ?? 0) + vectors.rows)
      }
      return terms
    }
  }

  static func request(_ codec: TermCodec) -> TermRequest {
    TermRequest(source(codec), codec: codec)
  }

  static var sources: [TermSource] { codecs.map(source) }
  static var requests: [TermRequest] { codecs.map(request) }

  /// The vectors of the words of a text, [words × dimension].
  static func vectors(_ text: String) -> Matrix {
    let words = text.split(separator: " ")
    var values: [Float] = []
    for word in words {
      let seed = word.utf8.reduce(UInt64(7)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
      var random = SplitMix64(seed: seed)
      let row = (0..<dimension).map { _ in Float(random.normal()) }
      let length: Float = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
      values += row.map { $0 / length }
    }
    return Matrix(rows: words.count, columns: dimension, values: values)
  }

  /// What searches by all stored terms find, through centroids where there are any, and by scoring
  /// every passage; nothing where none are stored.
  static func search(_ index: PassageIndex) throws(RetortError) -> [[SearchHit]] {
    var found: [[SearchHit]] = []
    let queries = ["gold and water", "the river"].map(vectors)
    for stored in index.manifest.terms ?? [] {
      guard let sets = index.storedTerms(fingerprint: stored.fingerprint) else { continue }
      guard sets.info.dimension == dimension else {
        throw RetortError(.dimensionMismatch, "terms of \(sets.info.dimension) dimensions")
      }
      found += try index.searchTerms(queries, in: sets, k: 5, candidates: 10, threads: 2)
      found += try index.searchTerms(queries, in: sets, k: 15, isExhaustive: true)
    }
    return found
  }
}
