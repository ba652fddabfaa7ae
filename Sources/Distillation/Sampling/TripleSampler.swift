import Platform

/// Which triples a step learns from: a function of the seed and the step.
enum TripleSampler {
  /// All triples in random order, once an epoch.
  case epochs(TripleOrder)
  /// Queries of one topic, margins in equal shares.
  case balanced(BalancedSampler)

  init(
    _ options: TrainingOptions, _ data: TrainingData, _ model: some Ranker,
    _ reporter: ProgressReporter
  ) throws(RetortError) {
    guard options.topicClusters > 0 || options.marginBins > 0 else {
      self = .epochs(TripleOrder(count: data.count, seed: options.seed))
      return
    }
    let queries = MarginBins.byQuery(data, bins: options.marginBins)
    var clusters = [queries.indices.filter { !queries[$0].isEmpty }]
    if options.topicClusters > 0 {
      clusters = try TopicClusters.find(
        of: clusters[0], data, model, options, reporter
      ).filter { !$0.isEmpty }
      let sizes = clusters.map(\.count).ordered()
      reporter.note(
        "\(sizes.count) topic clusters of \(sizes[0]) to \(sizes[sizes.count - 1]) queries "
          + "(median \(sizes[sizes.count / 2]))")
    }
    self = .balanced(BalancedSampler(clusters: clusters, queries: queries, seed: options.seed))
  }

  /// The triples of a step, counted from 0.
  mutating func batch(_ step: Int, size: Int) -> [Int] {
    switch self {
    case .epochs(var order):
      let batch = order.triples(step * size..<(step + 1) * size)
      self = .epochs(order)
      return batch
    case .balanced(let sampler):
      return sampler.batch(step, size: size)
    }
  }
}

/// Batches of TAS-Balanced (Hofstätter et al. 2021, arXiv:2104.06967): the queries of one cluster, and
/// of each query a triple out of one of its bins, all bins equally likely.
///
/// There are no epochs: every step draws anew, from a generator of its own.
package struct BalancedSampler: Sendable {
  private let clusters: [[Int]]
  private let queries: [[[Int32]]]
  private let seed: UInt64

  /// - Parameters:
  ///   - clusters: numbers of queries; none is empty, and each of these queries has a triple.
  ///   - queries: by query its bins, none of them empty.
  package init(clusters: [[Int]], queries: [[[Int32]]], seed: UInt64) {
    self.clusters = clusters
    self.queries = queries
    self.seed = seed
  }

  /// The triples of a step. A cluster that is too small is used up, and another one is drawn.
  package func batch(_ step: Int, size: Int) -> [Int] {
    var random = SplitMix64(seed: Hashing.mix(Hashing.mix(seed &+ 0x7A5B) ^ UInt64(step)))
    func draw(_ count: Int) -> Int {
      Int(random.next().multipliedFullWidth(by: UInt64(count)).high)
    }
    var batch: [Int] = []
    while batch.count < size {
      var members = clusters[draw(clusters.count)]
      for place in 0..<min(size - batch.count, members.count) {
        members.swapAt(place, place + draw(members.count - place))
        let bins = queries[members[place]]
        let bin = bins[draw(bins.count)]
        batch.append(Int(bin[draw(bin.count)]))
      }
    }
    return batch
  }
}
