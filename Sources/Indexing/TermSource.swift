import Models
import Platform
import Store
import Terms

/// A re-ranker whose term vectors an index is to store.
///
/// `TermSource(reranker:)` of the library Retort makes one of a model's name.
public struct TermSource: Sendable {
  /// The kind of the re-ranker, as in `colbert:MODEL`.
  public let kind: String
  /// The model's folder, absolute.
  public let path: String
  /// Identity of all that decides the vectors of a passage.
  public let fingerprint: String
  /// Components of a vector.
  public let dimension: Int
  /// The number format the model computes in.
  public let precision: EncoderPrecision
  /// The vectors of passages, by a number of threads.
  package let terms: @Sendable ([String], Int) throws(RetortError) -> PassageTerms

  /// A re-ranker.
  package init(
    kind: String, path: String, fingerprint: String, dimension: Int,
    precision: EncoderPrecision = .f32,
    terms: @escaping @Sendable ([String], Int) throws(RetortError) -> PassageTerms
  ) {
    self.kind = kind
    self.path = path
    self.fingerprint = fingerprint
    self.dimension = dimension
    self.precision = precision
    self.terms = terms
  }

  /// How its terms are stored unless somebody says otherwise: ColBERT's vectors survive residual codes,
  /// of the states and words of others too little would be left.
  public var usualCodec: TermCodec { kind == "colbert" ? .residual2 : .f16 }

  /// This source, as one that goes on with the terms that an index stores.
  ///
  /// - Throws: `.usage` where it computes in another precision: the manifest tells of one for all.
  func continuing(_ stored: Manifest.Terms, of path: String) throws(RetortError) -> TermSource {
    let kept = stored.precision ?? EncoderPrecision.f32.rawValue
    guard precision.rawValue == kept else {
      throw RetortError(
        .usage,
        "stores term vectors of \(stored.name) computed in \(kept), and the model was loaded to compute "
          + "in \(precision.rawValue); load it for \(kept)", path: path)
    }
    return self
  }

  /// What the manifest says of its terms.
  func described(_ codec: TermCodec) -> Manifest.Terms {
    Manifest.Terms(
      kind: kind, path: path, fingerprint: fingerprint, dimension: dimension, codec: codec,
      // Indexes of f32 go on saying nothing about it: they are the same bytes as ever.
      precision: precision == .f32 ? nil : precision.rawValue)
  }
}

/// Term vectors to store, and how.
public struct TermRequest: Sendable {
  /// Where they come from.
  public var source: TermSource
  /// How they are stored.
  public var codec: TermCodec

  /// A request; without a codec the source's usual one.
  public init(_ source: TermSource, codec: TermCodec? = nil) {
    self.source = source
    self.codec = codec ?? source.usualCodec
  }

  var described: Manifest.Terms { source.described(codec) }
}

extension [Manifest.Terms]? {
  /// What is stored, for people.
  var name: String {
    map {
      $0.map { "\($0.name) as \($0.codec.rawValue), computed in \($0.precision ?? "f32")" }
        .joined(separator: ", ")
    } ?? "none"
  }
}
