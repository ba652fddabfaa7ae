import CKernels
import Graph
import Platform
import Testing

@Suite struct AdjacencyCodecTests {
  @Test func `random lists survive the way to bytes and back`() {
    for seed in 0..<20 as Range<UInt64> {
      var random = SplitMix64(seed: seed)
      let count = 1 + Int(random.next() % 5000)
      var offsets = [0]
      var targets: [UInt32] = []
      for _ in 0..<count {
        let list = Set(
          (0..<(random.next() % 40)).map { _ in UInt32(random.next() % UInt64(count)) })
        targets.append(contentsOf: list.sorted())
        offsets.append(targets.count)
      }
      let slots = (count / 3)..<count
      let bytes = AdjacencyCodec.encode(slots: slots, offsets: offsets, targets: targets)
      let words = AdjacencyCodec.decode(bytes, slots: slots, count: count) ?? []
      #expect(words.count == slots.count + 1 + offsets[count] - offsets[slots.lowerBound])
      for slot in slots where !words.isEmpty {
        let place = slot - slots.lowerBound
        let list = words[Int(words[place])..<Int(words[place + 1])]
        #expect(Array(list) == Array(targets[offsets[slot]..<offsets[slot + 1]]), "seed \(seed)")
      }
    }
  }

  /// Gaps as wide as ids can be, lists without links, and a block that has none at all.
  @Test func `the extremes survive, too`() {
    let last = UInt32(1) << 31 - 2
    for (targets, offsets) in [
      ([0, last, 0, 1, 2, last - 1, last], [0, 2, 2, 7, 7]), ([], [0, 0, 0, 0, 0]),
      ([3], [0, 0, 0, 1, 1]), ([0, 1, 2, 3], [0, 4, 4, 4, 4]),
    ] as [([UInt32], [Int])] {
      let bytes = AdjacencyCodec.encode(slots: 0..<4, offsets: offsets, targets: targets)
      let words = AdjacencyCodec.decode(bytes, slots: 0..<4, count: Int(last) + 1)
      #expect(words.map { Array($0[5...]) } == targets)
      #expect(AdjacencyCodec.decode(bytes + [0], slots: 0..<4, count: Int(last) + 1) == nil)
      #expect(
        AdjacencyCodec.decode(Array(bytes.dropLast()), slots: 0..<4, count: Int(last) + 1) == nil)
    }
  }

  @Test func `damaged bytes never decode to a slot out of range`() {
    var random = SplitMix64(seed: 99)
    let targets: [UInt32] = [1, 2, 3, 0, 2, 3, 0, 1]
    let offsets = [0, 3, 6, 8, 8]
    let good = AdjacencyCodec.encode(slots: 0..<4, offsets: offsets, targets: targets)
    for _ in 0..<2000 {
      var bytes = good
      bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      if random.next() % 4 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count + 1))) }
      guard let words = AdjacencyCodec.decode(bytes, slots: 0..<4, count: 4) else { continue }
      #expect(words[5...].allSatisfy { $0 < 4 })
    }
  }
}

@Suite struct DistanceKernelTests {
  @Test(arguments: [RETORT_LEVEL_SCALAR, RETORT_LEVEL_NEON, RETORT_LEVEL_AVX2, RETORT_LEVEL_AVX512])
  func `every kernel this CPU has agrees with the scalar one at every length`(level: retort_level) {
    guard let dot = retort_dot_f32_at(level) else { return }
    var random = SplitMix64(seed: 17)
    for dimension in [0, 1, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 383, 384, 768, 1025] {
      let a = (0..<dimension).map { _ in Float(random.normal()) }
      let b = (0..<dimension).map { _ in Float(random.normal()) }
      let expected = retort_dot_f32_scalar(a, b, dimension)
      let found = dot(a, b, dimension)
      #expect(abs(found - expected) <= 1e-4 * Float(max(dimension, 1)).squareRoot())
    }
  }

  @Test func `scores of many vectors have the bits of one at a time`() {
    var random = SplitMix64(seed: 18)
    let values = (0..<(50 * 77)).map { _ in Float(random.normal()) }
    let query = (0..<77).map { _ in Float(random.normal()) }
    let ids: [UInt32] = [3, 49, 0, 17, 17, 22]
    var scores = [Float](repeating: 0, count: ids.count)
    retort_dot_many_f32(query, values, 77, ids, ids.count, &scores)
    for (id, score) in zip(ids, scores) {
      let start = Int(id) * 77
      #expect(score == retort_dot_f32(query, Array(values[start..<(start + 77)]), 77))
    }
  }
}
