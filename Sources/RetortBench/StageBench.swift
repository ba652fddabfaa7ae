import ArgumentParser
import Formats
import Foundation
import Indexing
import Models
import Platform
import Retort

/// Re-rankers as stages of a search, over the same candidates of an index: a cross-encoder that reads
/// them, and a PreTTR with as many layers and a TK that find them stored.
///
/// Heads and TK are random, which costs the same: only time is measured. The index has vectors of no
/// meaning, for nothing is searched.
struct StageBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stages",
    abstract: "Times re-rankers over candidates of an index; part of tools/bench cross-encoder.")

  @Option(help: "The cross-encoder's folder, whose encoder PreTTR has, too.")
  var model: String

  @Option(help: "A BEIR folder: its passages are stored, its queries asked.")
  var corpus: String

  @Option(help: "Candidates of the cross-encoder and of PreTTR.")
  var depth = 100

  @Option(help: "Candidates of TK.")
  var tkDepth = 1000

  @Option(help: "Queries.")
  var queries = 5

  @Option(help: "Number formats, by comma.")
  var precisions = "f32,int8"

  @Option(help: "Threads.")
  var threads = 2

  @Option(help: "Times that every query is asked of every stage, in turns.")
  var rounds = 3

  private struct Stage {
    var name: String
    var cascade: RerankCascade
    var wall: [Double] = []
    var processor: [Double] = []
  }

  func run() throws {
    let work = NSTemporaryDirectory() + "retort-stages-\(getpid())"
    try FileSystem.makeFolder(work)
    defer { try? FileSystem.removeTree(work) }
    let count = try makeIndex(in: work)
    try makeModels(in: work)
    var stages: [Stage] = []
    for name in precisions.split(separator: ",").map(String.init) {
      guard let precision = EncoderPrecision(rawValue: name) else {
        throw RetortError(.usage, "there is no precision \"\(name)\"")
      }
      // Stored anew in the same precision, so that each PreTTR reads what it kept itself.
      try store(.prettr, precision, in: work)
      stages.append(try stage(.cat, model, precision, in: work))
      stages.append(try stage(.prettr, work + "/prettr", precision, in: work))
      try time(&stages[(stages.count - 2)...], in: work, passages: count)
    }
    try store(.tk, .f32, in: work)
    stages.append(try stage(.tk, work + "/tk", .f32, in: work))
    try time(&stages[(stages.count - 1)...], in: work, passages: count)
    show(stages)
  }

  // MARK: - What is compared

  private func makeIndex(in work: String) throws -> Int {
    let reader = try CorpusReader(path: corpus, format: .auto)
    var count = 0
    while try reader.next() != nil { count += 1 }
    let writer = try VectorTableWriter(path: work + "/vectors.npy", format: .npy, dimension: 8)
    var random = SplitMix64(seed: 1)
    for _ in 0..<count {
      let vector = (0..<8).map { _ in Float(random.normal()) }
      try writer.append(bytes: vector.withUnsafeBytes { Array($0) })
    }
    try writer.finish()
    var options = VectorImportOptions(vectors: work + "/vectors.npy", output: work + "/index")
    options.corpus = corpus
    _ = try VectorImport.build(options, quiet: true)
    return count
  }

  private func makeModels(in work: String) throws {
    for name in ["prettr", "tk"] { try FileSystem.makeFolder(work + "/" + name) }
    var split = TrainableModel.Options()
    // As long as a pair of the cross-encoder leaves it.
    (split.queryLength, split.passageLength) = (64, 448)
    try TrainablePreTTR(directory: model, options: split).save(to: work + "/prettr")
    var start = TKStart()
    let reader = try CorpusReader(path: corpus, format: .auto)
    while let passage = try reader.next() { start.add(passage.text) }
    try TrainableTK(start).save(to: work + "/tk")
  }

  private func options(_ precision: EncoderPrecision) -> RerankerOptions {
    var options = RerankerOptions()
    options.precision = precision
    return options
  }

  private func store(
    _ kind: RerankerKind, _ precision: EncoderPrecision, in work: String
  ) throws {
    let name = RerankerName(kind: kind, model: work + "/" + kind.rawValue)
    let source = try TermSource(reranker: name, options: options(precision))
    _ = try TermAddition.add(
      TermAdditionOptions(index: work + "/index", terms: [TermRequest(source)]), quiet: true)
  }

  private func stage(
    _ kind: RerankerKind, _ model: String, _ precision: EncoderPrecision, in work: String
  ) throws -> Stage {
    let depth = kind == .tk ? tkDepth : depth
    let reranker = try RerankerName(kind: kind, model: model).load(options(precision))
    return Stage(
      name: "\(kind.rawValue)\t\(precision.rawValue)\t\(depth)",
      cascade: try RerankCascade([RerankCascade.Stage(reranker, depth: depth)]))
  }

  // MARK: - Time

  private func time(
    _ stages: inout ArraySlice<Stage>, in work: String, passages: Int
  ) throws {
    let index = try PassageIndex(path: work + "/index")
    let questions = try readQueries(path: corpus).prefix(queries)
    for round in 0...rounds {
      var random = SplitMix64(seed: 7)
      for question in questions {
        let candidates = (0..<passages).map { ($0, random.next()) }.sorted { $0.1 < $1.1 }
          .map { SearchHit(number: $0.0, score: 0) }
        for place in stages.indices {
          let hits = Array(candidates.prefix(stages[place].cascade.depth))
          let (wall, processor) = (monotonicSeconds(), processorSeconds())
          _ = try stages[place].cascade.rerank(question.text, hits, in: index, threads: threads)
          // The first round brings the index into memory.
          guard round > 0 else { continue }
          stages[place].wall.append((monotonicSeconds() - wall) * 1e3)
          stages[place].processor.append((processorSeconds() - processor) * 1e3)
        }
      }
    }
  }

  private func show(_ stages: [Stage]) {
    func middle(_ values: [Double]) -> String {
      String(format: "%.1f", values.sorted()[values.count / 2])
    }
    print("stage\tprecision\tdepth\tp50 ms\tp50 ms of processor time")
    for stage in stages where !stage.wall.isEmpty {
      print("\(stage.name)\t\(middle(stage.wall))\t\(middle(stage.processor))")
    }
  }

  /// Seconds that all threads of the process have worked.
  private func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
