import Formats
import Foundation
import Indexing
import Models
import Platform
import Reranking
import Retrieval
import TestSupport
import Testing

/// Re-ranking of runs by a tiny cross-encoder.
@Suite struct RunRerankingTests {
  private let fixture: RerankFixture
  private var path: String { fixture.folder.path }

  init() throws { fixture = try RerankFixture() }

  private func bytes(_ name: String) throws -> [UInt8] {
    try FileSystem.read(path + "/" + name)
  }

  @Test func `candidates come in the order of the cross-encoder's scores`() throws {
    let report = try #require(try RunReranking.rerank(fixture.options("out"), quiet: true))
    #expect((report.queries, report.candidates, report.behindDepth) == (7, 84, 0))
    #expect((report.missingPassages, report.unknownQueries, report.scoredNow) == (0, 0, 84))
    let model = try CrossEncoder(directory: fixture.model)
    let lines = try fixture.lines("out")
    #expect(lines.count == 84)
    for (number, query) in fixture.queries.enumerated() {
      let candidates = (0..<12).map { fixture.candidate(number, $0) }
      let scores = try model.score(query: query.text, passages: candidates.map(\.text), threads: 1)
      let expected = zip(candidates, scores).sorted { $0.1 > $1.1 }
      let own = lines[number * 12..<number * 12 + 12]
      #expect(own.map { $0[2] } == expected.map(\.0.id))
      #expect(own.map { $0[3] } == (1...12).map(String.init))
      #expect(own.compactMap { Float($0[4]) } == expected.map(\.1))
    }
    #expect(Set(try FileSystem.names(in: path)).isDisjoint(with: ["out.part", "out.part.json"]))
  }

  @Test func `what lies behind the depth follows in its order`() throws {
    var options = fixture.options("out")
    options.depth = 5
    let report = try #require(try RunReranking.rerank(options, quiet: true))
    #expect((report.candidates, report.behindDepth) == (35, 49))
    let lines = try fixture.lines("out")
    for number in fixture.queries.indices {
      let own = lines[number * 12..<number * 12 + 12]
      let first = Set((0..<5).map { fixture.candidate(number, $0).id })
      #expect(Set(own.prefix(5).map { $0[2] }) == first)
      #expect(own.dropFirst(5).map { $0[2] } == (5..<12).map { fixture.candidate(number, $0).id })
      let scores = own.compactMap { Double($0[4]) }
      #expect(zip(scores, scores.dropFirst()).allSatisfy { $0 > $1 })
    }
  }

  @Test func `equal scores of the run are taken as evaluators order them`() throws {
    // a and b tie: evaluators put the larger id first, whatever the rank column says.
    try fixture.folder.file("corpus.tsv", "a\twater\nb\triver\nc\tgold\n")
    try fixture.folder.file("run.trec", "q1 Q0 a 1 2 x\nq1 Q0 b 2 2 x\nq1 Q0 c 3 1 x\n")
    var options = fixture.options("out")
    options.depth = 1
    _ = try RunReranking.rerank(options, quiet: true)
    #expect(try fixture.lines("out").map { $0[2] } == ["b", "a", "c"])
  }

  @Test func `the bytes do not depend on threads, and an MS MARCO run gives the same order`() throws
  {
    for threads in [1, 3] {
      var options = fixture.options("out\(threads)")
      options.threads = threads
      _ = try RunReranking.rerank(options, quiet: true)
    }
    #expect(try bytes("out1") == bytes("out3"))
    let ranks = try fixture.lines("run.trec").map { "\($0[0])\t\($0[2])\t\($0[3])\n" }
    try fixture.folder.file("run.trec", ranks.joined())
    _ = try RunReranking.rerank(fixture.options("ms"), quiet: true)
    #expect(try bytes("ms") == bytes("out1"))
  }

  @Test(arguments: [0, 1, 11, 12, 30, 84])
  func `a run that was cut after some lines goes on and ends with the same bytes`(
    kept: Int
  ) throws {
    _ = try RunReranking.rerank(fixture.options("whole"), quiet: true)
    // What a killed run leaves, half a line included. The plan is that of an interrupted run.
    let process = ResumedRun(fixture)
    try process.cut("cut", after: kept)
    var options = fixture.options("cut")
    #expect(fixture.error(options)?.message.contains("--resume") == true)
    options.resume = true
    let report = try #require(try RunReranking.rerank(options, quiet: true))
    #expect(report.scoredNow == 84 - kept / 12 * 12)
    #expect(try bytes("cut") == bytes("whole"))
    // And again: nothing is left to do.
    #expect(try RunReranking.rerank(options, quiet: true) == nil)
    // Another depth does not go on with it.
    try process.cut("other", after: kept)
    var other = fixture.options("other")
    other.resume = true
    other.depth = 3
    #expect(fixture.error(other)?.message.contains("another re-ranker") == true)
  }

  @Test func `a run that was cut goes on in its precision only`() throws {
    var options = fixture.options("whole")
    options.settings.precision = .int8
    _ = try RunReranking.rerank(options, quiet: true)
    try ResumedRun(fixture).cut("cut", after: 24, precision: .int8)
    options.output = path + "/cut"
    options.resume = true
    options.settings.precision = .f32
    #expect(fixture.error(options)?.message.contains("another re-ranker") == true)
    options.settings.precision = .int8
    let report = try #require(try RunReranking.rerank(options, quiet: true))
    #expect(report.scoredNow == 60 && report.precision == .int8)
    #expect(try bytes("cut") == bytes("whole"))
  }

  @Test func `scores kept for other candidates are refused`() throws {
    _ = try RunReranking.rerank(fixture.options("whole"), quiet: true)
    try ResumedRun(fixture).cut("out", after: 24)
    let part = path + "/out.part"
    let lines = String(decoding: try FileSystem.read(part), as: UTF8.self).split(separator: "\n")
    let first = lines.prefix(24).map(String.init)
    let swapped = [first[1], first[0]] + first.dropFirst(2)
    let holed = [first[0], ""] + first.dropFirst(2)
    for damaged in [swapped, holed] {
      try fixture.folder.file("out.part", damaged.joined(separator: "\n") + "\n")
      var options = fixture.options("out")
      options.resume = true
      #expect(fixture.error(options)?.message.contains("is damaged") == true)
      #expect(FileSystem.kind(of: path + "/out") == .nothing)
    }
  }

  @Test func `unknown ids are counted up to a share`() throws {
    let more = "q0 Q0 nobody 13 1 x\nq99 Q0 \(fixture.corpus.passages[0].id) 1 5 x\n"
    try fixture.folder.file("run.trec", fixture.run(perQuery: 12) + more)
    var options = fixture.options("out")
    let error = fixture.error(options)
    #expect(error?.exitCode == 65)
    let message = "\(try #require(error))"
    #expect(message.contains("of 86 candidates 1 name a query that"), "\(message)")
    #expect(message.contains("1 name a passage that"), "\(message)")
    #expect(message.contains("(first: \"nobody\")"), "\(message)")
    #expect(FileSystem.kind(of: path + "/out") == .nothing)
    options.maxUnknown = 0.1
    let report = try #require(try RunReranking.rerank(options, quiet: true))
    #expect((report.unknownQueries, report.missingPassages, report.candidates) == (1, 1, 84))
  }

  @Test func `a run about another collection is refused whatever the share`() throws {
    try fixture.folder.file("run.trec", "q0 Q0 nobody 1 1 x\n")
    var options = fixture.options("out")
    options.maxUnknown = 1
    #expect(fixture.error(options)?.exitCode == 65)
  }

  @Test func `an index gives the same texts, and deleted passages are counted apart`() throws {
    let index = path + "/index"
    try TinyEncoder.write(to: path + "/encoder")
    let encoder = try TextEncoder(directory: path + "/encoder")
    var build = IndexBuildOptions(corpus: path + "/corpus.tsv", output: index)
    build.m = 8
    build.efConstruction = 40
    _ = try IndexBuilder.build(build, encoder: encoder, modelPath: path + "/encoder")
    _ = try RunReranking.rerank(fixture.options("corpus"), quiet: true)
    _ = try RunReranking.rerank(fixture.options("indexed", source: .index(index)), quiet: true)
    #expect(try bytes("corpus") == bytes("indexed"))
    let gone = fixture.candidate(2, 4).id
    _ = try IndexDeletion.delete([gone], from: index)
    let report = try #require(
      try RunReranking.rerank(fixture.options("later", source: .index(index)), quiet: true))
    let holders = try fixture.lines("run.trec").count { $0[2] == gone }
    #expect((report.deletedPassages, report.missingPassages) == (holders, 0))
    #expect(try fixture.lines("later").allSatisfy { $0[2] != gone })
  }

  @Test func `an empty query and passages of one token or none are scored`() throws {
    try fixture.folder.file("topics.tsv", "e\t\n")
    try fixture.folder.file("corpus.tsv", "one\twater\nnone\t\nlong\twater river lake ocean\n")
    try fixture.folder.file(
      "run.trec", "e Q0 one 1 3 x\ne Q0 none 2 2 x\ne Q0 long 3 1 x\n")
    let report = try #require(try RunReranking.rerank(fixture.options("out"), quiet: true))
    #expect(report.candidates == 3)
    #expect(Set(try fixture.lines("out").map { $0[2] }) == ["one", "none", "long"])
  }

  @Test func `scores that are no numbers are refused before they are kept`() throws {
    let weights = path + "/cat/model.safetensors"
    var writer = SafeTensorsWriter()
    let file = try SafeTensors(path: weights)
    for tensor in file.tensors {
      let values = try file.floats(tensor)
      writer.add(
        tensor.name, shape: tensor.shape,
        values: tensor.name == "classifier.weight" ? values.map { _ in 3e38 } : values)
    }
    try writer.write(to: path + "/nan")
    try FileSystem.rename(path + "/nan", to: weights)
    let error = try #require(fixture.error(fixture.options("out")))
    #expect(error.message.contains("its weights are damaged"), "\(error)")
  }

  @Test func `a corpus that names a candidate twice is refused`() throws {
    let twice = fixture.candidate(0, 0)
    try fixture.folder.file("corpus.tsv", fixture.corpus.tsv + "\(twice.id)\tother\n")
    let error = try #require(fixture.error(fixture.options("out")))
    #expect(error.message.contains("occurs twice") && error.position == .line(61), "\(error)")
  }

  @Test func `what would fail at the end fails before anything is scored`() throws {
    try FileSystem.makeFolder(path + "/out")
    var options = fixture.options("out")
    options.overwrite = true
    #expect(fixture.error(options)?.message.contains("is a folder") == true)
    options = fixture.options("run")
    options.tag = "two words"
    #expect(fixture.error(options)?.message.contains("must be one word") == true)
    #expect(
      try FileSystem.names(in: path).sorted()
        == ["cat", "corpus.tsv", "out", "run.trec", "topics.tsv"])
  }

  @Test(arguments: ["cat", "cat:", "dog:x", ":x", ""])
  func `a name that is no re-ranker says what one looks like`(name: String) {
    let error = #expect(throws: RetortError.self) { try RerankerName(name) }
    #expect(error?.exitCode == 64 && error?.message.contains("cat:MODEL") == true)
  }
}

/// Leaves behind what a killed run would.
private struct ResumedRun {
  let fixture: RerankFixture

  init(_ fixture: RerankFixture) { self.fixture = fixture }

  /// The scores of the run `whole`, cut after some lines and a bit, with the plan of such a run.
  func cut(_ name: String, after kept: Int, precision: EncoderPrecision = .f32) throws {
    var scores: [String: String] = [:]
    for line in try fixture.lines("whole") { scores[line[0] + "\t" + line[2]] = line[4] }
    let lines = try fixture.lines("run.trec").map { line in
      let key = line[0] + "\t" + line[2]
      return "\(key)\t\(try #require(scores[key]))\n"
    }
    #expect(lines.count == 84)
    try fixture.folder.file("\(name).part", lines.prefix(kept).joined() + "q6\tp")
    var options = fixture.options(name)
    options.settings.precision = precision
    try fixture.folder.file("\(name).part.json", RunReranking.plan(options))
  }
}
