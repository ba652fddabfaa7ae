import Evaluation
import Platform

/// A passage that may be a negative, and the score by which it is judged.
struct NegativeCandidate: Sendable, Equatable {
  var number: Int
  var score: Float
}

/// Which passages are most likely relevant although nobody judged them: those that score as high as
/// the positive, or nearly (de Souza Moreira et al. 2024, arXiv:2407.15831).
package struct FalseNegativeFilter: Sendable {
  /// The highest score, as a share of the positive's.
  private let maxRatio: Double?
  private let minMargin: Double?

  package init(maxRatio: Double?, minMargin: Double?) {
    self.maxRatio = maxRatio
    self.minMargin = minMargin
  }

  /// What is said of a passage.
  package enum Verdict: Sendable {
    case negative
    case aboveRatio
    case withinMargin
  }

  var isActive: Bool { maxRatio != nil || minMargin != nil }

  /// Judges a passage's score beside the positive's, s⁺: it must not exceed s⁺ − (1 − r)·|s⁺|,
  /// which is r·s⁺ where s⁺ is positive and lies below s⁺ where it is not, nor s⁺ − margin.
  package func verdict(score: Float, positive: Float) -> Verdict {
    let (score, positive) = (Double(score), Double(positive))
    if let maxRatio, score > positive - (1 - maxRatio) * abs(positive) { return .aboveRatio }
    if let minMargin, score > positive - minMargin { return .withinMargin }
    return .negative
  }
}

/// Draws negatives out of what is left.
package struct NegativeDraw: Sendable {
  private let sampling: MiningOptions.Sampling
  private let count: Int
  private let bins: Int

  package init(_ sampling: MiningOptions.Sampling, count: Int, bins: Int) {
    self.sampling = sampling
    self.count = count
    self.bins = bins
  }

  /// Places in `scores`, whose order is that of ranks: different ones, ascending, fewer than asked
  /// for only where there are fewer. A function of the arguments alone.
  package func places(_ scores: [Float], seed: UInt64) -> [Int] {
    guard scores.count > count else { return Array(scores.indices) }
    var random = SplitMix64(seed: Hashing.mix(seed))
    switch sampling {
    case .top: return Array(0..<count)
    case .random:
      return shuffled(Array(scores.indices), first: count, &random).prefix(count).ordered()
    case .bins: return stratified(scores, &random).ordered()
    }
  }

  private func stratified(_ scores: [Float], _ random: inout SplitMix64) -> [Int] {
    var members = [[Int]](repeating: [], count: bins)
    for (place, bin) in EqualWidthBins.places(scores.map(Double.init), count: bins).enumerated() {
      members[bin].append(place)
    }
    members = members.filter { !$0.isEmpty }.map { shuffled($0, first: $0.count, &random) }
    var drawn: [Int] = []
    while drawn.count < count {
      // Where not all bins have their turn any more, chance decides which.
      members = shuffled(members, first: members.count, &random)
      for bin in members.indices where drawn.count < count {
        if let place = members[bin].popLast() { drawn.append(place) }
      }
      members.removeAll(where: \.isEmpty)
    }
    return drawn
  }

  /// The values with the first ones drawn at random.
  private func shuffled<Value>(
    _ values: [Value], first: Int, _ random: inout SplitMix64
  ) -> [Value] {
    var values = values
    for place in 0..<min(first, values.count) {
      let other = random.next().multipliedFullWidth(by: UInt64(values.count - place)).high
      values.swapAt(place, place + Int(other))
    }
    return values
  }
}
