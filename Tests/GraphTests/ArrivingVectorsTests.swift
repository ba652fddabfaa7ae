import Graph
import Platform
import Synchronization
import Testing

/// Vectors that become visible in steps, however the builder asks for them.
private final class Steps: VectorSource, Sendable {
  private let values: [Float]
  private let dimension: Int
  private let seed: UInt64
  private let state: Mutex<(there: Int, random: SplitMix64, batches: Int, ended: Int)>

  init(_ values: [Float], dimension: Int, seed: UInt64) {
    self.values = values
    self.dimension = dimension
    self.seed = seed
    state = Mutex((0, SplitMix64(seed: seed), 0, 0))
  }

  var batches: (taken: Int, ended: Int) { state.withLock { ($0.batches, $0.ended) } }

  func take(upTo count: Int) -> (vectors: VectorSet, threads: Int) {
    state.withLock { state in
      let total = values.count / dimension
      let more = Int(state.random.next() % 200)
      state.there = min(total, max(state.there, count) + more)
      state.batches += 1
      // New memory every time: nothing may be kept from one batch to the next.
      return (
        VectorSet(Array(values[..<(state.there * dimension)]), dimension: dimension),
        1 + state.batches % 3
      )
    }
  }

  func finished(next: Int) { state.withLock { $0.ended += 1 } }
}

@Suite struct ArrivingVectorsTests {
  @Test(arguments: [1, 2, 3] as [UInt64])
  func `a graph over vectors that arrive bit by bit is that over all of them`(seed: UInt64) throws {
    let values = clusteredVectors(count: 1500, dimension: 16, centres: 20, seed: 61)
    let parameters = HNSWParameters(m: 6, efConstruction: 40)
    let whole = try HNSWBuilder.build(
      VectorSet(values, dimension: 16), parameters: parameters, threads: 2)
    let steps = Steps(values, dimension: 16, seed: seed)
    let built = try HNSWBuilder.build(from: steps, parameters: parameters)
    #expect(built.entryPoint == whole.entryPoint && built.reachability == whole.reachability)
    #expect(built.layers.map(\.nodes) == whole.layers.map(\.nodes))
    #expect(built.layers.map(\.offsets) == whole.layers.map(\.offsets))
    #expect(built.layers.map(\.targets) == whole.layers.map(\.targets))
    #expect(steps.batches.taken == steps.batches.ended)
  }

  @Test func `no vectors at all make an empty graph`() throws {
    let built = try HNSWBuilder.build(
      from: Steps([], dimension: 4, seed: 1), parameters: HNSWParameters())
    #expect(built.layers.isEmpty && built.reachability.reachable == 0)
  }

  @Test func `a vector that is not finite ends the build wherever it comes`() throws {
    var values = clusteredVectors(count: 700, dimension: 8, centres: 5, seed: 62)
    values[650 * 8 + 3] = .nan
    let error = #expect(throws: RetortError.self) {
      try HNSWBuilder.build(
        from: Steps(values, dimension: 8, seed: 63), parameters: HNSWParameters())
    }
    #expect(error?.message.hasPrefix("vector 650 is not finite") == true)
  }
}
