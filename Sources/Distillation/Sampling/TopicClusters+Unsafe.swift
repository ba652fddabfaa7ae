import CKernels
import Models
import Platform
import Tensors

/// Clusters of queries by the direction of their vectors: spherical k-means.
///
/// Vectors are scaled to length 1 and belong to the centroid with the largest inner product; centroids
/// are the means of their members, scaled to length 1. Points are worked on in blocks that do not
/// depend on threads, and sums go in the order of points: the same clusters for every number of threads.
package struct TopicClusters: Sendable {
  /// Unit vectors, [clusters × dimension].
  package private(set) var centroids: [Float]
  private let dimension: Int
  private let count: Int
  private static let block = 256
  private static let rounds = 20
  /// Centroids are found on so many queries a cluster at most; more do not make them better.
  private static let sample = 256

  /// Finds `count` centroids of [points × dimension] vectors; `count` must not exceed the points.
  package init(
    of vectors: [Float], dimension: Int, count: Int, seed: UInt64, threads: Int
  ) throws(RetortError) {
    self.dimension = dimension
    self.count = count
    let points = Self.normalized(vectors, dimension)
    centroids = []
    centroids = try seeds(points, seed: seed, threads: threads)
    var owners: [Int32] = []
    for _ in 0..<Self.rounds {
      try Interruption.check()
      var nearest = assign(unit: points, threads: threads)
      fillEmpty(&nearest.owners, nearest.similarities)
      if nearest.owners == owners { break }
      owners = nearest.owners
      centroids = means(points, owners, threads: threads)
    }
  }

  /// The cluster of every vector, [vectors × dimension].
  package func assign(_ vectors: [Float], threads: Int) -> [Int32] {
    assign(unit: vectors, threads: threads).owners
  }

  /// `count` different numbers below `total`.
  private static func chosen(_ count: Int, of total: Int, seed: UInt64) -> [Int] {
    var numbers = Array(0..<total)
    var random = SplitMix64(seed: Hashing.mix(seed &+ 0x5A3B1))
    for place in 0..<count {
      let other = random.next().multipliedFullWidth(by: UInt64(total - place)).high
      numbers.swapAt(place, place + Int(other))
    }
    return Array(numbers.prefix(count))
  }

  /// Points to begin with, each likely to be far from those before: k-means++ (Arthur and
  /// Vassilvitskii 2007).
  private func seeds(
    _ points: [Float], seed: UInt64, threads: Int
  ) throws(RetortError) -> [Float] {
    let total = points.count / dimension
    var random = SplitMix64(seed: Hashing.mix(seed &+ 0x70B1C))
    let blocks = (total + Self.block - 1) / Self.block
    var nearest = [[Float]](repeating: [], count: blocks)
    var next = Int(random.next().multipliedFullWidth(by: UInt64(total)).high)
    var seeds: [Float] = []
    while true {
      seeds += points[next * dimension..<(next + 1) * dimension]
      guard seeds.count < count * dimension else { return seeds }
      try Interruption.check()
      let (known, added) = (nearest, next)
      let updated = OrderedResults<[Float]>(count: blocks)
      parallelFor(blocks, threads: threads) { number, _ in
        let rows = number * Self.block..<min((number + 1) * Self.block, total)
        let similarities = similarities(points, rows, to: added)
        updated.set(
          number, known[number].isEmpty ? similarities : zip(known[number], similarities).map(max))
      }
      nearest = updated.values
      let weights = nearest.joined().map { Double(max(0, 1 - $0)) }
      var left = random.unit() * weights.reduce(0, +)
      next = weights.lastIndex { $0 > 0 } ?? next
      for (point, weight) in weights.enumerated() where weight > 0 {
        left -= weight
        if left < 0 {
          next = point
          break
        }
      }
    }
  }

  private func similarities(_ points: [Float], _ rows: Range<Int>, to other: Int) -> [Float] {
    points.withUnsafeBufferPointer { points in
      guard let base = points.baseAddress else { return [] }
      return rows.map {
        retort_dot_f32(base + $0 * dimension, base + other * dimension, dimension)
      }
    }
  }

  private static func normalized(_ vectors: [Float], _ dimension: Int) -> [Float] {
    var result = vectors
    for start in stride(from: 0, to: vectors.count, by: dimension) {
      let range = start..<start + dimension
      let norm = range.reduce(0.0) { $0 + Double(vectors[$1]) * Double(vectors[$1]) }.squareRoot()
      if norm > 0 { for place in range { result[place] = Float(Double(vectors[place]) / norm) } }
    }
    return result
  }

  private func assign(
    unit points: [Float], threads: Int
  ) -> (owners: [Int32], similarities: [Float]) {
    let total = points.count / dimension
    let blocks = (total + Self.block - 1) / Self.block
    let results = OrderedResults<[(owner: Int32, similarity: Float)]>(count: blocks)
    parallelFor(blocks, threads: threads) { number, _ in
      let rows = number * Self.block..<min((number + 1) * Self.block, total)
      results.set(number, nearest(points, rows))
    }
    let all = results.values.joined()
    return (all.map(\.owner), all.map(\.similarity))
  }

  /// The centroid with the largest inner product; of equal ones the first.
  private func nearest(
    _ points: [Float], _ rows: Range<Int>
  ) -> [(owner: Int32, similarity: Float)] {
    var scores = [Float](repeating: 0, count: rows.count * count)
    points.withUnsafeBufferPointer { points in
      centroids.withUnsafeBufferPointer { centroids in
        scores.withUnsafeMutableBufferPointer { scores in
          guard let point = points.baseAddress, let centroid = centroids.baseAddress,
            let score = scores.baseAddress
          else { return }
          ScoreProducts.compute(
            queries: point + rows.lowerBound * dimension, count: rows.count, vectors: centroid,
            rows: count, dimension: dimension, into: score)
        }
      }
    }
    return (0..<rows.count).map { row in
      var best = (owner: Int32(0), similarity: -Float.infinity)
      for cluster in 0..<count where scores[row * count + cluster] > best.similarity {
        best = (Int32(cluster), scores[row * count + cluster])
      }
      return best
    }
  }

  /// Gives every empty cluster the point that fits worst where it is.
  private func fillEmpty(_ owners: inout [Int32], _ similarities: [Float]) {
    var sizes = [Int](repeating: 0, count: count)
    for owner in owners { sizes[Int(owner)] += 1 }
    let empty = sizes.indices.filter { sizes[$0] == 0 }
    guard !empty.isEmpty else { return }
    var worst = owners.indices.ordered {
      similarities[$0] != similarities[$1] ? similarities[$0] < similarities[$1] : $0 < $1
    }[...]
    for cluster in empty {
      while let point = worst.popFirst() {
        guard sizes[Int(owners[point])] > 1 else { continue }
        sizes[Int(owners[point])] -= 1
        owners[point] = Int32(cluster)
        break
      }
    }
  }

  private func means(_ points: [Float], _ owners: [Int32], threads: Int) -> [Float] {
    var members = [[Int]](repeating: [], count: count)
    for (point, owner) in owners.enumerated() { members[Int(owner)].append(point) }
    let lists = members
    let results = OrderedResults<[Float]>(count: count)
    parallelFor(count, threads: threads) { cluster, _ in
      var sum = [Double](repeating: 0, count: dimension)
      for point in lists[cluster] {
        for place in 0..<dimension { sum[place] += Double(points[point * dimension + place]) }
      }
      let norm = sum.reduce(0) { $0 + $1 * $1 }.squareRoot()
      results.set(cluster, sum.map { Float($0 / (norm > 0 ? norm : 1)) })
    }
    return results.values.flatMap { $0 }
  }
}

extension TopicClusters {
  /// Clusters of the queries with the given numbers, by the vectors of the weights to start from.
  static func find(
    of queries: [Int], _ data: TrainingData, _ model: some Ranker, _ options: TrainingOptions,
    _ reporter: ProgressReporter
  ) throws(RetortError) -> [[Int]] {
    guard options.topicClusters <= queries.count else {
      throw RetortError(
        .usage,
        "\(options.topicClusters) topic clusters cannot be made of \(queries.count) queries; lower "
          + "--topic-clusters")
    }
    let snapshot = model.snapshot()
    func vectors(_ numbers: some Collection<Int>) throws(RetortError) -> [Float] {
      let texts = numbers.map { data.query($0) }
      return try snapshot.vectors(
        model.sequences(texts, .query, threads: options.threads).map(\.ids),
        threads: options.threads)
    }
    let few = min(queries.count, Self.sample * options.topicClusters)
    let sample = chosen(few, of: queries.count, seed: options.seed).ordered()
    let clusters = try TopicClusters(
      of: try vectors(sample.map { queries[$0] }), dimension: snapshot.dimension,
      count: options.topicClusters, seed: options.seed, threads: options.threads)
    var result = [[Int]](repeating: [], count: options.topicClusters)
    reporter.begin("clustering", unit: "queries", total: queries.count)
    for start in stride(from: 0, to: queries.count, by: 8192) {
      let part = queries[start..<min(start + 8192, queries.count)]
      let owners = clusters.assign(try vectors(part), threads: options.threads)
      for (query, owner) in zip(part, owners) { result[Int(owner)].append(query) }
      reporter.update(start + part.count)
    }
    reporter.finishPhase()
    return result
  }
}
