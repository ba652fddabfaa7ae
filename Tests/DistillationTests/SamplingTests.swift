import Distillation
import Evaluation
import Formats
import Models
import Platform
import TestSupport
import Testing

/// Topic clusters and margin-balanced batches.
@Suite struct SamplingTests {
  @Test func `bins have equal width, and the largest margin lies in the last`() {
    let margins = [0.0, 0.99, 1, 5, 9.99, 10, -0.0]
    #expect(EqualWidthBins.places(margins, count: 10) == [0, 0, 1, 5, 9, 9, 0])
    #expect(EqualWidthBins.places([3, 3, 3], count: 10) == [0, 0, 0])
    #expect(EqualWidthBins.places([-2], count: 10) == [0])
    #expect(EqualWidthBins.places([], count: 10).isEmpty)
    #expect(EqualWidthBins.places([-1, 4, 9], count: 1) == [0, 0, 0])
    // Widths that round: an eleventh bin must not appear.
    var random = SplitMix64(seed: 5)
    for _ in 0..<200 {
      let margins = (0..<20).map { _ in random.normal() * 1e-3 + 7 }
      let places = EqualWidthBins.places(margins, count: 10)
      #expect(places.allSatisfy { (0..<10).contains($0) })
      #expect(places[margins.indices.max { margins[$0] < margins[$1] } ?? 0] == 9)
      #expect(places[margins.indices.min { margins[$0] < margins[$1] } ?? 0] == 0)
    }
    #expect(EqualWidthBins.places([0, .leastNonzeroMagnitude], count: 10) == [0, 0])
  }

  /// 3 clusters of 8, 2 and 1 queries; every query has a bin of 9 triples and one of a single one.
  private static var sampler: BalancedSampler {
    let queries: [[[Int32]]] = (0..<11).map { (query: Int32) -> [[Int32]] in
      let first = query * 10
      return [Array(first..<first + 9), [first + 9]]
    }
    return BalancedSampler(
      clusters: [Array(0..<8), [8, 9], [10]], queries: queries, seed: 3)
  }

  @Test func `a batch takes the queries of one cluster, none twice`() {
    let sampler = Self.sampler
    let clusters = [Set(0..<8), [8, 9], [10]]
    var begun = [0, 0, 0]
    var drawn = [Int](repeating: 0, count: 8)
    for step in 0..<300 {
      let batch = sampler.batch(step, size: 4)
      #expect(batch.count == 4)
      #expect(sampler.batch(step, size: 4) == batch)
      var queries = batch.map { $0 / 10 }[...]
      // A cluster after the other: all of it, or as much as there is room for, and none twice.
      while let first = queries.first,
        let owner = clusters.firstIndex(where: { $0.contains(first) })
      {
        if queries.count == 4 { begun[owner] += 1 }
        let part = queries.prefix(clusters[owner].count)
        #expect(clusters[owner].isSuperset(of: part) && Set(part).count == part.count, "\(batch)")
        if owner == 0 { for query in part { drawn[query] += 1 } }
        queries = queries.dropFirst(part.count)
      }
    }
    // Clusters are as likely as each other, whatever their size, and so are the queries of one.
    #expect(begun.allSatisfy { (80...120).contains($0) }, "\(begun)")
    let mean = Double(drawn.reduce(0, +)) / 8
    #expect(drawn.allSatisfy { abs(Double($0) - mean) < 0.25 * mean }, "\(drawn)")
  }

  @Test func `bins are as likely as each other, whatever they hold`() {
    let sampler = Self.sampler
    let triples = (0..<500).flatMap { sampler.batch($0, size: 8) }
    let rare = triples.count { $0 % 10 == 9 }
    let share = Double(rare) / Double(triples.count)
    #expect((0.45...0.55).contains(share))
    // Triples of the full bin are as likely as each other, too.
    for place in 0..<9 {
      let found = triples.count { $0 % 10 == place }
      let share = Double(found) / Double(triples.count)
      let error = abs(share - 0.5 / 9)
      #expect(error < 0.02)
    }
  }

  @Test func `clusters that are there are found, at any number of threads`() throws {
    var random = SplitMix64(seed: 9)
    let directions: [[Float]] = (0..<5).map { _ in (0..<24).map { _ in Float(random.normal()) } }
    // Lengths differ widely: only directions count.
    let vectors: [[Float]] = (0..<600).map { (point: Int) -> [Float] in
      let length = Float(exp(2 * random.normal()))
      return directions[point % 5].map { (value: Float) -> Float in
        let noise = Float(0.1 * random.normal())
        return length * (value + noise)
      }
    }
    let flat = vectors.flatMap { $0 }
    let one = try TopicClusters(of: flat, dimension: 24, count: 5, seed: 2, threads: 1)
    let owners = one.assign(flat, threads: 1)
    let groups: [Set<Int32>] = (0..<5).map { (group: Int) -> Set<Int32> in
      Set(stride(from: group, to: 600, by: 5).map { owners[$0] })
    }
    #expect(groups.allSatisfy { $0.count == 1 }, "\(groups)")
    #expect(Set(groups.joined()).count == 5)
    for threads in 2...4 {
      let other = try TopicClusters(of: flat, dimension: 24, count: 5, seed: 2, threads: threads)
      #expect(other.centroids == one.centroids)
      #expect(other.assign(flat, threads: threads) == owners)
    }
    for start in stride(from: 0, to: one.centroids.count, by: 24) {
      let square = one.centroids[start..<start + 24].reduce(0) { $0 + $1 * $1 }
      #expect(abs(square - 1) < 1e-5)
    }
  }

  @Test func `as many clusters as points, copies among them, leave none empty`() throws {
    let points: [Float] = [1, 0, 1, 0, 1, 0, 0, 1, 0, 0]
    let clusters = try TopicClusters(of: points, dimension: 2, count: 5, seed: 1, threads: 2)
    // Each has a point of its own, which is its mean.
    func sorted(_ values: [Float]) -> [[Float]] {
      stride(from: 0, to: values.count, by: 2).map { [values[$0], values[$0 + 1]] }
        .sorted { $0.lexicographicallyPrecedes($1) }
    }
    #expect(sorted(clusters.centroids) == sorted(points))
  }

  // MARK: Runs

  private func options(_ folder: TemporaryFolder, _ name: String) throws -> TrainingOptions {
    let words = TinyEncoder.words
    func text(_ seed: Int, _ count: Int) -> String {
      (0..<count).map { words[(seed * 7 + $0 * 3) % words.count] }.joined(separator: " ")
    }
    let lines: [String] = (0..<60).map { (number: Int) -> String in
      let scores = "\(number % 7)\t\(number % 5)"
      let texts = [text(number % 12, 3), text(number, 5), text(number + 61, 6)]
      return scores + "\t" + texts.joined(separator: "\t") + "\n"
    }
    if FileSystem.kind(of: folder.path + "/start") == .nothing {
      try TinyEncoder.write(to: folder.path + "/start")
      try folder.file("scores.tsv", lines.joined())
    }
    var options = TrainingOptions(
      model: .bertDot, initial: folder.path + "/start", output: folder.path + "/" + name)
    options.teacherScores = folder.path + "/scores.tsv"
    options.batchSize = 4
    options.steps = 6
    options.learningRate = 1e-3
    options.checkpointEvery = 2
    options.threads = 2
    options.topicClusters = 3
    options.marginBins = 4
    return options
  }

  @Test func `a stopped run of balanced batches ends with the same bytes`() throws {
    let folder = try TemporaryFolder("sampling")
    func weights(_ name: String) throws -> [UInt8] {
      try FileSystem.read(folder.path + "/\(name)/model.safetensors")
    }
    _ = try Trainer.train(try options(folder, "whole"), quiet: true)
    var resumed = try options(folder, "resumed")
    resumed.threads = 1
    _ = #expect(throws: RetortError.self) {
      try Trainer.train(resumed, quiet: true) { taken throws(RetortError) in
        if taken == 3 { throw RetortError(.cancelled, "stopped by the test") }
      }
    }
    resumed.resume = true
    #expect(try Trainer.train(resumed, quiet: true).stepsNow == 4)
    #expect(try weights("resumed") == weights("whole"))
    var plain = try options(folder, "plain")
    plain.topicClusters = 0
    plain.marginBins = 0
    _ = try Trainer.train(plain, quiet: true)
    #expect(try weights("plain") != weights("whole"))
  }

  @Test func `clusters and bins that cannot be are refused`() throws {
    let folder = try TemporaryFolder("sampling")
    func message(_ change: (inout TrainingOptions) -> Void) throws -> String {
      var options = try options(folder, "none")
      change(&options)
      do {
        _ = try Trainer.train(options, quiet: true)
        return "no error"
      } catch {
        return "\(error)"
      }
    }
    #expect(try message { $0.topicClusters = 13 }.contains("cannot be made of 12 queries"))
    #expect(try message { $0.model = .bertCat }.contains("leave --topic-clusters out"))
    #expect(
      try message {
        $0.loss = .rankNet
        $0.triples = $0.teacherScores
        $0.teacherScores = nil
      }.contains("leave --margin-bins out"))
    #expect(try message { $0.marginBins = -1 }.contains("must lie in"))
  }
}
