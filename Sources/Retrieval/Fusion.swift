import Lexical
import Platform

/// What ranks the passages.
public enum Ranking: Sendable, Equatable {
  /// Inner products of vectors.
  case dense
  /// MaxSim over stored term vectors: ColBERT from end to end.
  case terms
  /// BM25 over words; needs no model.
  case lexical(BM25 = BM25())
  /// Both, fused.
  case hybrid(Fusion, BM25 = BM25())
}

/// How two rankings become one. Equal scores come by passage number.
public enum Fusion: Sendable, Equatable {
  /// Σ 1 / (60 + rank) over the rankings that hold a passage (Cormack, Clarke and Büttcher 2009).
  case reciprocalRank
  /// weight · lexical + (1 − weight) · dense; the scores of each ranking are brought to 0…1 by its
  /// lowest and highest before, and a passage that a ranking does not hold has 0 there.
  case linear(weight: Double)

  /// The fusion that a text names: `rrf`, or `linear:` and a weight from 0 to 1.
  public init?(_ text: String) {
    if text == "rrf" {
      self = .reciprocalRank
    } else if text.hasPrefix("linear:"), let weight = Double(text.dropFirst(7)),
      (0...1).contains(weight)
    {
      self = .linear(weight: weight)
    } else {
      return nil
    }
  }

  /// How many passages of each ranking are fused for the `k` best.
  static func depth(_ k: Int) -> Int { max(k, 100) }

  /// The `k` best of two rankings.
  package func fuse(dense: [SearchHit], lexical: [SearchHit], k: Int) -> [SearchHit] {
    var scores: [Int: Double] = [:]
    func add(_ hits: [SearchHit], weight: Double) {
      let highest = Double(hits.first?.score ?? 0)
      let lowest = Double(hits.last?.score ?? 0)
      for (rank, hit) in hits.enumerated() {
        let score =
          switch self {
          case .reciprocalRank: 1 / Double(60 + rank + 1)
          case .linear:
            weight * (highest > lowest ? (Double(hit.score) - lowest) / (highest - lowest) : 1)
          }
        scores[hit.number, default: 0] += score
      }
    }
    var weight = 0.5
    if case .linear(let chosen) = self { weight = chosen }
    add(dense, weight: 1 - weight)
    add(lexical, weight: weight)
    // Rounded before sorting, so that what is reported as equal is in order.
    let fused = scores.map { SearchHit(number: $0.key, score: Float($0.value)) }
    return Array(
      fused.ordered { $0.score == $1.score ? $0.number < $1.number : $0.score > $1.score }.prefix(k)
    )
  }
}
