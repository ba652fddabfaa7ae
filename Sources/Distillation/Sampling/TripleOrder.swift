import Platform

/// The order of triples: another one every epoch, a function of seed and epoch alone.
struct TripleOrder {
  private let count: Int
  private let seed: UInt64
  private var epoch = -1
  private var order: [Int32] = []

  init(count: Int, seed: UInt64) {
    self.count = count
    self.seed = seed
  }

  /// The triples of `range` of the endless sequence of epochs.
  mutating func triples(_ range: Range<Int>) -> [Int] {
    range.map { position in
      if position / count != epoch { shuffle(epoch: position / count) }
      return Int(order[position % count])
    }
  }

  private mutating func shuffle(epoch: Int) {
    self.epoch = epoch
    order = (0..<Int32(count)).map { $0 }
    var random = SplitMix64(seed: Hashing.mix(seed &+ 0x5EED) ^ UInt64(epoch))
    for last in stride(from: count - 1, to: 0, by: -1) {
      order.swapAt(last, Int(random.next().multipliedFullWidth(by: UInt64(last + 1)).high))
    }
  }
}
