import Mining
import Platform
import Testing

@Suite struct NegativeDrawTests {
  private static let verdicts:
    [(ratio: Double?, margin: Double?, score: Float, positive: Float, isLeft: Bool)] = [
      (0.95, nil, 9.4, 10, true), (0.95, nil, 9.6, 10, false), (0.5, nil, 5, 10, true),
      // A logit below 0: what is left lies below it, not above.
      (0.5, nil, -2, -2, false), (0.5, nil, -2.9, -2, false), (0.5, nil, -3.1, -2, true),
      (nil, 1.5, 8.5, 10, true), (nil, 1.5, 8.6, 10, false), (nil, 0, 10, 10, true),
      (0.9, 2, 8.5, 10, false), (nil, nil, 99, 1, true), (1, nil, 10, 10, true),
    ]

  @Test func `scores near the positive's are judged by ratio and margin`() {
    for (ratio, margin, score, positive, isLeft) in Self.verdicts {
      let filter = FalseNegativeFilter(maxRatio: ratio, minMargin: margin)
      let verdict = filter.verdict(score: score, positive: positive)
      #expect((verdict == .negative) == isLeft, "\(score) beside \(positive): \(verdict)")
    }
  }

  @Test func `the best are those with the best ranks, and few are all`() {
    let draw = NegativeDraw(.top, count: 3, bins: 10)
    #expect(draw.places([5, 4, 3, 2, 1], seed: 1) == [0, 1, 2])
    #expect(draw.places([5, 4], seed: 1) == [0, 1])
    for sampling in MiningOptions.Sampling.allCases {
      #expect(NegativeDraw(sampling, count: 3, bins: 4).places([], seed: 1).isEmpty)
    }
  }

  @Test func `any passage is as likely as the others`() {
    let draw = NegativeDraw(.random, count: 3, bins: 10)
    var counts = [Int](repeating: 0, count: 12)
    for seed in UInt64(0)..<4000 {
      let places = draw.places([Float](repeating: 1, count: 12), seed: seed)
      #expect(places.count == 3 && Set(places).count == 3 && places == places.sorted())
      for place in places { counts[place] += 1 }
    }
    // 1,000 each in the mean, deviation 27.
    #expect(counts.allSatisfy { (850...1150).contains($0) }, "\(counts)")
  }

  @Test func `bins give easy and hard ones equal shares, whatever their number`() {
    // 90 scores in the lowest tenth, one in each of the others.
    let scores = (1...9).reversed().map { Float($0) * 10 + 5 } + (0..<91).map { Float($0) / 10 }
    let draw = NegativeDraw(.bins, count: 10, bins: 10)
    for seed in UInt64(0)..<50 {
      let places = draw.places(scores, seed: seed)
      #expect(places.prefix(9) == [0, 1, 2, 3, 4, 5, 6, 7, 8] && places.count == 10)
    }
    let many = NegativeDraw(.bins, count: 30, bins: 10).places(scores, seed: 7)
    #expect(many.count == 30 && Set(many).count == 30 && many.prefix(9).max() == 8)
    // Fewer than bins: every bin has its turn.
    var counts = [Int](repeating: 0, count: 10)
    for seed in UInt64(0)..<3000 {
      for place in NegativeDraw(.bins, count: 2, bins: 10).places(scores, seed: seed) {
        counts[min(place, 9)] += 1
      }
    }
    #expect(counts.allSatisfy { (480...720).contains($0) }, "\(counts)")
  }

  @Test func `a draw is a function of its seed`() {
    let scores = (0..<100).map { Float($0 * $0 % 37) }
    for sampling in [MiningOptions.Sampling.random, .bins] {
      let draw = NegativeDraw(sampling, count: 5, bins: 4)
      let places = draw.places(scores, seed: 9)
      #expect(draw.places(scores, seed: 9) == places)
      #expect((0..<20).contains { draw.places(scores, seed: $0) != places })
    }
  }
}
