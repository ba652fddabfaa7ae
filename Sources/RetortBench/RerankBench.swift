import ArgumentParser
import Foundation
import Platform
import Store
import Tensors
import Terms

/// MaxSim over stored term vectors by every codec, beside PyTorch over the same vectors in f32, and
/// search through centroids beside scores of every passage.
///
/// Vectors are synthetic: tokens are words of topics, moved by their context; a passage has a few
/// topics, and a query takes its tokens from one passage and moves them again.
struct RerankBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rerank",
    abstract: "Times re-ranking from stored term vectors, and search by them; prints tables.")

  @Option(help: "Passages that are re-ranked for a query.")
  var depth = 1000

  @Option(help: "Passages that are stored to choose them from.")
  var passages = 4000

  @Option(help: "Tokens of a passage in the mean.")
  var tokens = 100

  @Option(name: .customLong("dim"), help: "Components of a vector.")
  var dimension = 128

  @Option(help: "Tokens of a query.")
  var queryTokens = 32

  @Option(help: "Queries.")
  var queries = 20

  @Option(help: "Passages for search through centroids; 0: none.")
  var searchPassages = 0

  @Option(help: "Tokens of each in the mean.")
  var searchTokens = 24

  @Option(help: "Threads.")
  var threads = 2

  @Option(help: "A Python with torch and numpy; without it PyTorch is left out.")
  var python: String?

  @Option(help: "The script that runs PyTorch's MaxSim.")
  var script = "tools/bench-maxsim.py"

  @Option(help: "A folder for files, kept (default: a temporary one, removed).")
  var folder: String?

  func run() throws {
    let work = folder ?? NSTemporaryDirectory() + "retort-bench-\(getpid())"
    try FileSystem.makeFolder(work)
    defer { if folder == nil { try? FileSystem.removeTree(work) } }
    try reranking(in: work)
    if searchPassages > 0 { try searching(in: work) }
  }

  // MARK: - Re-ranking

  private func reranking(in work: String) throws {
    let data = SyntheticTerms(dimension: dimension, tokens: tokens, seed: 1)
    var places: [[Int]] = []
    var random = SplitMix64(seed: 2)
    for _ in 0..<queries {
      places.append((0..<depth).map { _ in Int(random.next() % UInt64(passages)) })
    }
    let questions = (0..<queries).map { data.query($0, of: passages, tokens: queryTokens) }
    print("depth\t\(depth)\npassages\t\(passages)\ttokens\t\(tokens)\tdim\t\(dimension)")
    print("threads\t\(threads)\tqueries\t\(queries) of \(queryTokens) tokens")
    print("what\tbytes a token\tp50 ms\tp95 ms\tmean |error| of a score")
    var reference: [[Float]] = []
    if let python {
      let torch = try pytorch(python, work, data, questions, places)
      reference = torch.scores
      show("PyTorch f32", Double(dimension * 4), torch.milliseconds, 0)
    }
    for codec in [TermCodec.f16, .int8, .residual4, .residual2, .residual1] {
      let stored = try store(data, passages, codec, in: work)
      let file = stored.file
      try file.file.verifyAll()
      var times: [Double] = []
      var error = 0.0
      for round in 0..<2 {
        for (number, question) in questions.enumerated() {
          let start = monotonicSeconds()
          let query = TermQuery(question, for: codec)
          let scores = try scores(file.terms, query, places[number])
          let seconds = monotonicSeconds() - start
          guard round > 0 else { continue }
          times.append(seconds * 1000)
          guard number < reference.count else { continue }
          for (one, other) in zip(scores, reference[number]) { error += Double(abs(one - other)) }
        }
      }
      let bytes = Double(file.file.length) / Double(max(file.terms.rowCount, 1))
      show(codec.rawValue, bytes, times, error / Double(max(queries * depth, 1)))
    }
  }

  private func show(_ name: String, _ bytes: Double, _ times: [Double], _ error: Double) {
    let sorted = times.sorted()
    func percentile(_ share: Int) -> String {
      sorted.isEmpty
        ? "-" : String(format: "%.2f", sorted[min(sorted.count - 1, sorted.count * share / 100)])
    }
    print(
      "\(name)\t\(String(format: "%.2f", bytes))\t\(percentile(50))\t\(percentile(95))\t"
        + String(format: "%.4f", error))
  }

  private func scores(
    _ terms: TermSet, _ query: TermQuery, _ places: [Int]
  ) throws(RetortError) -> [Float] {
    let parts = (places.count + 15) / 16
    let results = OrderedResults<[Float]>(count: parts)
    let scratches = (0..<threads).map { _ in TermScratch() }
    try parallelForThrowing(parts, threads: threads) { part, worker throws(RetortError) in
      var scores: [Float] = []
      for place in places[part * 16..<min(places.count, part * 16 + 16)] {
        scores.append(try terms.score(place, query, scratch: scratches[worker]))
      }
      results.set(part, scores)
    }
    return results.values.flatMap { $0 }
  }

  private func pytorch(
    _ python: String, _ work: String, _ data: SyntheticTerms, _ questions: [Matrix],
    _ places: [[Int]]
  ) throws -> (milliseconds: [Double], scores: [[Float]]) {
    let all = try FileWriter(path: work + "/values.f32", mode: .replace)
    var counts: [Int64] = []
    for passage in 0..<passages {
      let values = data.passage(passage)
      counts.append(Int64(values.count / dimension))
      try all.append(values: values)
    }
    try all.finish()
    for (name, bytes) in [
      ("counts.i64", counts.withUnsafeBytes { Array<UInt8>($0) }),
      (
        "places.i64",
        places.flatMap { $0.map(Int64.init) }.withUnsafeBytes { Array<UInt8>($0) }
      ),
      ("queries.f32", questions.flatMap(\.values).withUnsafeBytes { Array<UInt8>($0) }),
    ] {
      try FileSystem.replace(work + "/" + name, with: bytes)
    }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: python)
    process.arguments = [
      script, work, "\(dimension)", "\(queryTokens)", "\(depth)", "\(threads)",
    ]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw RetortError(.badData, "PyTorch's MaxSim failed", path: script)
    }
    let times = String(decoding: output, as: UTF8.self).split(separator: " ").compactMap {
      Double($0.trimmingCharacters(in: .whitespacesAndNewlines))
    }
    let bytes = try FileSystem.read(work + "/scores.f32")
    let scores = (0..<bytes.count / 4).map { place in
      Float(
        bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[place * 4 + $1]) << UInt32(8 * $1) })
    }
    return (
      times, (0..<queries).map { Array(scores[$0 * depth..<min(scores.count, ($0 + 1) * depth)]) }
    )
  }

  // MARK: - Files

  private func store(
    _ data: SyntheticTerms, _ passages: Int, _ codec: TermCodec, in work: String
  ) throws -> (file: TermFile, seconds: Double) {
    let start = monotonicSeconds()
    var book: ResidualBook?
    var bookPath: String?
    if let bits = codec.bits {
      let rows = data.rows(of: passages)
      let count = TermSampling.centroids(rows: rows, dimension: dimension)
      let wanted = TermSampling.sampled(rows: rows, centroids: count, dimension: dimension)
      let each = max(1, passages * data.tokens / max(wanted, 1))
      var sample: [Float] = []
      for passage in stride(from: 0, to: passages, by: each) { sample += data.passage(passage) }
      book = try ResidualBook.train(
        Matrix(rows: sample.count / dimension, columns: dimension, values: sample), count: count,
        bits: bits, threads: threads)
      bookPath = work + "/book.seg"
      if let book { try TermFile.write(book, to: work + "/book.seg") }
    }
    let path = work + "/terms.seg"
    let writer = try TermFileWriter(
      path: path, codec: codec, dimension: dimension, book: bookPath)
    let coder = try TermRowCoder(codec, dimension: dimension, book: book)
    let block = 64
    for first in stride(from: 0, to: passages, by: block * 8) {
      let last = min(passages, first + block * 8)
      let parts = (last - first + block - 1) / block
      let results = OrderedResults<(counts: [Int], coded: CodedTerms)>(count: parts)
      let dimension = dimension
      try parallelForThrowing(parts, threads: threads) { part, _ throws(RetortError) in
        var counts: [Int] = []
        var values: [Float] = []
        for passage in first + part * block..<min(last, first + (part + 1) * block) {
          let own = data.passage(passage)
          counts.append(own.count / dimension)
          values += own
        }
        guard let halves = TermRowCoder.halves(values) else {
          throw RetortError(.badData, "vectors beyond half precision")
        }
        results.set(part, (counts, try coder.code(halves: halves[...])))
      }
      for part in results.values { try writer.append(counts: part.counts, [part.coded]) }
    }
    try writer.finish()
    let file = try TermFile(
      path: path, book: bookPath, count: passages,
      info: Manifest.Terms(
        kind: "colbert", path: work, fingerprint: "", dimension: dimension, codec: codec))
    return (file, monotonicSeconds() - start)
  }

  // MARK: - Search

  private func searching(in work: String) throws {
    let data = SyntheticTerms(dimension: dimension, tokens: searchTokens, seed: 3)
    let stored = try store(data, searchPassages, .residual2, in: work)
    let terms = stored.file.terms
    print("search\t\(searchPassages) passages\t\(terms.rowCount) vectors")
    print("centroids\t\(terms.book?.count ?? 0)\tmade in s\t\(Int(stored.seconds))")
    let questions = (0..<queries).map {
      TermQuery(
        data.query($0, of: searchPassages, tokens: queryTokens), for: .residual2)
    }
    let space = TermSearchSpace()
    var exact: [[Int]] = []
    let start = monotonicSeconds()
    for question in questions {
      exact.append(
        try terms.search(
          question, k: 100, allowed: nil, parameters: nil, space: space, threads: threads
        ).map(\.place))
    }
    let each = (monotonicSeconds() - start) / Double(max(queries, 1))
    print("candidates\trecall@10\trecall@100\tp50 ms\tp95 ms")
    for candidates in [256, 1024, 4096, 16384] {
      var times: [Double] = []
      var (ten, hundred) = (0, 0)
      for (number, question) in questions.enumerated() {
        let start = monotonicSeconds()
        let found = try terms.search(
          question, k: 100, allowed: nil,
          parameters: TermSearchParameters(k: 100, candidates: candidates), space: space,
          threads: threads
        ).map(\.place)
        times.append((monotonicSeconds() - start) * 1000)
        ten += Set(found.prefix(10)).intersection(exact[number].prefix(10)).count
        hundred += Set(found).intersection(exact[number]).count
      }
      times.sort()
      print(
        "\(candidates)\t\(Double(ten) / Double(10 * queries))\t"
          + "\(Double(hundred) / Double(100 * queries))\t"
          + String(format: "%.2f\t%.2f", times[queries / 2], times[queries * 95 / 100]))
    }
    print("exact\t1.0\t1.0\t" + String(format: "%.2f", each * 1000))
  }
}
