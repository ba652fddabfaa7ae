import Formats
import Foundation
import Indexing
import Platform
import Retrieval
import Store
import TestSupport
import Testing

@Suite struct VectorImportTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder("import") }

  /// Random vectors of lengths from 0.5 to 4, and one of zeros.
  private static func vectors(_ count: Int, seed: UInt64) -> [[Float]] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { number in
      let length = Float(0.5 + 3.5 * random.unit())
      return (0..<24).map { _ in number == 5 ? 0 : length * Float(random.normal()) }
    }
  }

  private func file(_ name: String, _ vectors: [[Float]]) throws -> String {
    let path = folder.path + "/" + name
    let writer = try VectorTableWriter(
      path: path, format: VectorFormat(ofName: name), dimension: vectors[0].count)
    for vector in vectors { try writer.append(bytes: vector.littleEndianBytes) }
    try writer.finish()
    return path
  }

  private func options(_ vectors: String) -> VectorImportOptions {
    var options = VectorImportOptions(vectors: vectors, output: folder.path + "/index")
    options.graph = Manifest.GraphSettings(m: 8, efConstruction: 60, seed: 42)
    options.threads = 2
    return options
  }

  /// The order that plain arithmetic gives.
  private func ranked(
    _ query: [Float], _ vectors: [[Float]], _ metric: Metric
  ) -> [(Int, Double)] {
    func dot(_ a: [Float], _ b: [Float]) -> Double {
      zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    return vectors.enumerated().map { number, vector in
      let product = dot(query, vector)
      switch metric {
      case .innerProduct: return (number, product)
      case .cosine:
        let lengths = (dot(query, query) * dot(vector, vector)).squareRoot()
        return (number, lengths > 0 ? product / lengths : 0)
      case .euclidean:
        let difference = zip(query, vector).map { $0 - $1 }
        return (number, -dot(difference, difference))
      }
    }.sorted { $0.1 > $1.1 }
  }

  @Test(arguments: Metric.allCases, ["v.npy", "v.fvecs", "v.fbin"])
  func `vectors from elsewhere are found by the metric asked for`(
    metric: Metric, name: String
  ) throws {
    let vectors = Self.vectors(500, seed: 131)
    var options = options(try file(name, vectors))
    options.metric = metric
    let report = try VectorImport.build(options, quiet: true)
    #expect(report.passages == 500 && report.reachable == 500)
    let index = try PassageIndex(path: options.output)
    try index.verify()
    #expect(index.manifest.model == nil && index.manifest.metric == metric)
    let queries = try QueryVectors(path: file("q.npy", Self.vectors(20, seed: 132)))
    #expect(queries.count == 20 && queries.id(7) == "7")
    let rows = try queries.rows(0..<20)
    for mode in [SearchMode.exact, .graph(efSearch: 500)] {
      for (number, hits) in try index.search(rows, k: 10, mode: mode).enumerated() {
        let query = Array(rows[(number * 24)..<(number * 24 + 24)])
        let expected = ranked(query, vectors, metric).prefix(10)
        #expect(hits.map(\.number) == expected.map(\.0))
        for (hit, one) in zip(hits, expected) {
          #expect(abs(Double(hit.score) - one.1) <= 1e-4 * max(1, abs(one.1)))
        }
        #expect(try index.id(hits[0].number) == "\(hits[0].number)")
      }
    }
  }

  @Test func `Euclidean distance survives deletions and a merge`() throws {
    // Enough vectors for codes; their lengths differ, so that inner products would rank otherwise.
    let vectors = Self.vectors(1500, seed: 141)
    var options = options(try file("v.npy", vectors))
    options.metric = .euclidean
    _ = try VectorImport.build(options, quiet: true)
    let gone = Set((0..<100).map { $0 * 3 })
    _ = try IndexDeletion.delete(gone.map(String.init), from: options.output)
    for isMerged in [false, true] {
      if isMerged { _ = try IndexMerge.merge(options.output, threads: 2, quiet: true) }
      let index = try PassageIndex(path: options.output)
      try index.verify()
      var found = 0
      for query in Self.vectors(20, seed: 142) {
        let nearest = ranked(query, vectors, .euclidean).filter { !gone.contains($0.0) }.prefix(10)
        let exact = try index.search(query, k: 10, mode: .exact)[0]
        #expect(try exact.map { try index.id($0.number) } == nearest.map { String($0.0) })
        for (hit, one) in zip(exact, nearest) {
          #expect(abs(Double(hit.score) - one.1) <= 1e-4 * max(1, abs(one.1)))
        }
        let walked = try index.search(query, k: 10, mode: .graph(efSearch: 200))[0]
        found += walked.count { exact.contains($0) }
      }
      #expect(found >= 198, "\(found) of 200, merged: \(isMerged)")
    }
  }

  @Test func `ids come from a file, and ids, texts and fields from a corpus`() throws {
    let path = try file("v.npy", Self.vectors(3, seed: 133))
    var named = options(path)
    named.ids = try folder.file("ids", "x\ny\nz\n")
    _ = try VectorImport.build(named, quiet: true)
    #expect(try PassageIndex(path: named.output).id(1) == "y")
    var told = options(path)
    told.corpus = try folder.file(
      "corpus.jsonl",
      (0..<3).map { "{\"id\": \"c\($0)\", \"text\": \"t\($0)\", \"n\": \($0)}\n" }.joined())
    told.overwrite = true
    _ = try VectorImport.build(told, quiet: true)
    let index = try PassageIndex(path: told.output)
    #expect(try index.passage(2) == Passage(id: "c2", text: "t2"))
    #expect(try index.fields(of: 2) == ["n": [.number(2)]])
    #expect(index.manifest.generation == 2)
    try index.verify()
  }

  @Test func `vectors and their names must match`() throws {
    let path = try file("v.npy", Self.vectors(3, seed: 134))
    for (text, isCorpus, message) in [
      ("x\ny\n", false, "has 2 ids for 3 vectors"),
      ("x\ny\nx\n", false, "the id \"x\" occurs twice"),
      ("x\tt\ny\tt\n", true, "has 2 passages for 3 vectors"),
      ("x\tt\ny\tt\nz\tt\nw\tt\n", true, "has more passages than the 3 vectors"),
    ] {
      var options = options(path)
      let names = try folder.file("names.tsv", text)
      if isCorpus { options.corpus = names } else { options.ids = names }
      let error = #expect(throws: RetortError.self) { try VectorImport.build(options, quiet: true) }
      #expect(error?.exitCode == 65 && error?.message.contains(message) == true, "\(error as Any)")
      #expect(FileSystem.kind(of: options.output) == .nothing)
    }
    let empty = try file("e.npy", [[0]])
    try folder.file("e.fvecs", [UInt8]())
    #expect(throws: RetortError.self) {
      try VectorImport.build(options(folder.path + "/e.fvecs"), quiet: true)
    }
    _ = try VectorImport.build(options(empty), quiet: true)
    let again = #expect(throws: RetortError.self) {
      try VectorImport.build(options(path), quiet: true)
    }
    #expect(again?.message.contains("is a finished index; add --overwrite") == true)
  }

  @Test func `what is exported is what was there, and builds the same index`() throws {
    let corpus = folder.path + "/passages.jsonl"
    let passages = (0..<40).map { number -> Passage in
      var passage = Passage(id: "p\(number)\"", text: "text \(number)\n\u{1F30A}")
      if number % 3 != 0 {
        passage.fields = ["n": [.number(Double(number) / 4)], "t": [.flag(true), .text("\\")]]
      }
      return passage
    }
    let subject = try UpdatedIndex(passages)
    try subject.delete(["p7\""])
    let index = try subject.opened()
    #expect(try IndexExport.passages(of: index, to: corpus) == 39)
    let reader = try CorpusReader(path: corpus, fields: .all)
    var read: [Passage] = []
    while let passage = try reader.next() { read.append(passage) }
    #expect(read == subject.passages)
    let vectors = folder.path + "/v.fbin"
    #expect(try IndexExport.vectors(of: index, to: vectors, ids: folder.path + "/v.ids") == 39)
    #expect(try readIDs(path: folder.path + "/v.ids") == subject.passages.map(\.id))

    var options = options(vectors)
    options.corpus = corpus
    _ = try VectorImport.build(options, quiet: true)
    try subject.merge()
    for name in ["vectors.seg", "passages.seg", "metadata.seg", "graph.seg"] {
      #expect(
        try FileSystem.read(subject.path + "/segments/000003/" + name)
          == FileSystem.read(options.output + "/segments/000001/" + name), "\(name)")
    }
    let graph = folder.path + "/graph.jsonl"
    #expect(try IndexExport.graph(of: subject.opened(), to: graph) == 39)
    let first = String(decoding: try FileSystem.read(graph), as: UTF8.self).split(separator: "\n")[
      0]
    #expect(first.hasPrefix(#"{"_id": "p0\"", "links": ["#))
  }
}

@Suite struct GraphExportTests {
  /// Nodes of a coded graph are not numbered like passages; what is written must be about passages.
  @Test func `links name the passages that are near, in the order of the corpus`() throws {
    let folder = try TemporaryFolder("graph-export")
    let index = try PassageIndex(path: try SmallIndex.coded.get().path)
    let path = folder.path + "/graph.jsonl"
    #expect(try IndexExport.graph(of: index, to: path) == index.count)
    struct Line: Decodable {
      var _id: String
      var links: [String]
    }
    let lines = try String(decoding: try FileSystem.read(path), as: UTF8.self)
      .split(separator: "\n").map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
    #expect(try lines.map(\._id) == (0..<index.count).map { try index.id($0) })
    func similarity(_ a: Int, _ b: Int) throws -> Float {
      zip(try index.vector(a), try index.vector(b)).reduce(0) { $0 + $1.0 * $1.1 }
    }
    var (linked, random) = (Float(0), Float(0))
    var count: Float = 0
    for number in stride(from: 0, to: index.count, by: 10) {
      for link in lines[number].links {
        linked += try similarity(number, try #require(try index.number(of: link)))
        random += try similarity(number, (number * 31 + 7) % index.count)
        count += 1
      }
      let nearest = try index.search(index.vector(number), k: 2, mode: .exact)[0]
      let other = try #require(nearest.first { $0.number != number })
      // The nearest may have been passed over for one nearer to it, but not for strangers.
      let best = try lines[number].links.map {
        try similarity(number, try #require(try index.number(of: $0)))
      }.max()
      #expect(try #require(best) >= other.score * 0.9)
    }
    #expect(linked / count > random / count + 0.05)
  }
}

@Suite struct IndexJoinTests {
  private func join(_ subjects: [UpdatedIndex], _ folder: TemporaryFolder) throws -> PassageIndex {
    let path = folder.path + "/joined"
    try FileSystem.removeTree(path)
    _ = try IndexJoin.join(subjects.map(\.path), into: path, quiet: true)
    return try PassageIndex(path: path)
  }

  @Test func `a joined index answers as merging the answers of its parts would`() throws {
    let folder = try TemporaryFolder("join")
    let parts = try (0..<3).map { part in
      try UpdatedIndex(passages("s\(part)-", 80 + 20 * part, seed: UInt64(140 + part)))
    }
    try parts[1].delete(["s1-3", "s1-4"])
    try parts[2].add(passages("more", 10, seed: 144))
    let before = try parts.map { try contents(of: $0.path) }
    let index = try join(parts, folder)
    try index.verify()
    #expect(index.count == 80 + 98 + 130 && index.manifest.segments.count == 4)
    let queries = try noisyQueries(index, count: 8, seed: 145)
    for mode in [SearchMode.exact, .graph(efSearch: 30)] {
      let found = try index.search(queries, k: 20, mode: mode)
      var expected: [[(String, Float)]] = Array(repeating: [], count: 8)
      for part in parts {
        let opened = try part.opened()
        for (query, hits) in try opened.search(queries, k: 20, mode: mode).enumerated() {
          expected[query] += try hits.map { (try opened.id($0.number), $0.score) }
        }
      }
      for (query, hits) in found.enumerated() {
        let best = expected[query].sorted { $0.1 > $1.1 }.prefix(20)
        #expect(try named(hits, in: index) == best.map(\.0))
        #expect(hits.map(\.score) == best.map(\.1))
      }
    }
    #expect(try parts.map { try contents(of: $0.path) } == before)
    // The joined index is one like any other.
    let path = folder.path + "/joined"
    _ = try IndexDeletion.delete(["s0-1"], from: path)
    #expect(try IndexMerge.merge(path, threads: 2, quiet: true).passages == 307)
    try PassageIndex(path: path).verify()
    try parts.forEach { try $0.opened().verify() }
  }

  @Test func `indexes that differ, or share an id, are not joined`() throws {
    let folder = try TemporaryFolder("join")
    let one = try UpdatedIndex(passages("a", 20, seed: 151))
    let same = try UpdatedIndex([Passage(id: "a7", text: "x"), Passage(id: "b", text: "y")])
    let twice = #expect(throws: RetortError.self) { try join([one, same], folder) }
    #expect(twice?.message.contains("holds the id \"a7\"") == true)
    var manifest = try same.opened().manifest
    manifest.graph.m = 9
    try FileSystem.replace(same.path + "/manifest.json", with: manifest.encoded())
    let other = #expect(throws: RetortError.self) { try join([one, same], folder) }
    #expect(other?.message.contains("in the settings of its graph") == true)
    #expect(FileSystem.kind(of: folder.path + "/joined") == .nothing)
    let exists = #expect(throws: RetortError.self) {
      try IndexJoin.join([one.path], into: same.path, quiet: true)
    }
    #expect(exists?.exitCode == 64)
  }
}
