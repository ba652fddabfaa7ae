import Indexing
import Platform
import Reranking

extension TermSource {
  /// Loads the model whose term vectors an index is to store; its `model` must be a folder.
  public init(
    reranker name: RerankerName, options: RerankerOptions = .init()
  ) throws(RetortError) {
    guard let reranker = try name.load(options) as? any TermReranker else {
      throw RetortError(
        .usage,
        "\(name.kind.rawValue) has no term vectors to store; "
          + "name a re-ranker that has, such as colbert:MODEL")
    }
    self.init(
      kind: name.kind.rawValue, path: name.model, fingerprint: reranker.termFingerprint,
      dimension: reranker.termDimension, precision: reranker.precision
    ) { passages, threads throws(RetortError) in
      try reranker.terms(of: passages, threads: threads)
    }
  }
}
