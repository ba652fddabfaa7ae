import Formats
import Indexing
import Lexical
import Platform
import Retrieval
import Store
import TestSupport
import Testing

/// Searches by words over indexes that change.
@Suite struct LexicalIndexTests {
  private static let questions = [
    "gold water river", "what is the water of a river", "the gold", "absent", "", "gold gold water",
  ]

  /// Ids and scores: numbers differ where passages were deleted.
  private func found(_ index: PassageIndex, k: Int = 50) throws -> [[String]] {
    try index.searchWords(Self.questions, k: k, threads: 2).map {
      try $0.map { "\(try index.id($0.number)) \($0.score)" }
    }
  }

  @Test func `segments answer as one index does, and a merged index as a fresh one`() throws {
    let (a, b, c) = (
      passages("a", 300, seed: 1), passages("b", 200, seed: 2), passages("c", 1, seed: 3)
    )
    let subject = try UpdatedIndex(a, lexical: LexicalSettings())
    try subject.add(b)
    try subject.add(c)
    let one = try UpdatedIndex(a + b + c, lexical: LexicalSettings())
    let index = try subject.opened()
    try index.verify()
    #expect(index.manifest.segments.count == 3)
    let expected = try found(one.opened())
    #expect(try found(index) == expected)
    #expect(expected[0].count == 50 && expected[3].isEmpty && expected[4].isEmpty)

    // Deleted passages are not found; their words count until they are merged away.
    let gone = Set(expected[0].prefix(7).map { String($0.prefix { $0 != " " }) })
    try subject.delete(gone.sorted())
    let left = try found(subject.opened(), k: 600)
    for (before, now) in zip(try found(one.opened(), k: 600), left) {
      #expect(now == before.filter { line in !gone.contains(String(line.prefix { $0 != " " })) })
    }
    try subject.merge()
    let fresh = try UpdatedIndex(
      (a + b + c).filter { !gone.contains($0.id) }, lexical: LexicalSettings())
    #expect(try found(subject.opened()) == found(fresh.opened()))
    func postings(_ path: String) throws -> [UInt8]? {
      try contents(of: path + "/segments").first { $0.key.hasSuffix("lexical.seg") }?.value
    }
    let merged = try #require(try postings(subject.path))
    #expect(try merged == postings(fresh.path))
    try subject.opened().verify()
  }

  @Test func `lexical data added later is that of a build, at any number of threads`() throws {
    let all = passages("p", 700, seed: 4)
    let built = try UpdatedIndex(all, lexical: LexicalSettings())
    let expected = try contents(of: built.path)["segments/000001/lexical.seg"]
    #expect(expected != nil)
    for threads in [1, 3] {
      let later = try UpdatedIndex(all)
      let error = #expect(throws: RetortError.self) { try later.opened().searchWords(["x"], k: 1) }
      #expect(error?.code == .usage && error?.message.contains("retort index add-lexical") == true)
      let report = try LexicalAddition.add(
        LexicalSettings(), to: later.path, threads: threads, quiet: true)
      #expect(report.segments == 1 && report.passages == 700 && report.generation == 2)
      #expect(try contents(of: later.path)["segments/000002/lexical-000001.seg"] == expected)
      #expect(try found(later.opened()) == found(built.opened()))
      try later.opened().verify()
      let again = try LexicalAddition.add(
        LexicalSettings(), to: later.path, threads: threads, quiet: true)
      #expect(again.segments == 0 && again.generation == 2)
      let other = try LexicalAddition.add(
        LexicalSettings(stemmer: .none, stopWords: .none), to: later.path, threads: 2, quiet: true)
      #expect(other.generation == 3)
      #expect(try contents(of: later.path)["segments/000002/lexical-000001.seg"] == nil)
      #expect(try !found(later.opened())[2].isEmpty)
      // What is added afterwards is inverted alike; so are segments with deleted passages.
      try later.add(passages("q", 30, seed: 5))
      try later.delete(["p3", "q7"])
      try later.opened().verify()
      #expect(try later.opened().manifest.segments.allSatisfy { $0.files["lexical"] != nil })
    }
  }

  @Test func `only selected passages are found, and exhaustive search agrees`() throws {
    let all = passages("p", 900, seed: 6).enumerated().map { place, passage in
      var passage = passage
      passage.fields = ["year": [.number(Double(place % 90))]]
      return passage
    }
    let subject = try UpdatedIndex(all, lexical: LexicalSettings())
    try subject.delete(["p10", "p100"])
    let index = try subject.opened()
    let selection = try index.select(Filter("year = 10 or year = 11"))
    let hits = try index.searchWords(Self.questions, k: 5, among: selection)
    #expect(
      try hits == index.searchWords(Self.questions, k: 5, among: selection, isExhaustive: true))
    for hit in hits.flatMap({ $0 }) {
      #expect([10, 11].contains(hit.number % 90) && ![10, 100].contains(hit.number))
    }
    #expect(hits[0].count == 5)
  }

  @Test func `joining needs the same lexical data in all`() throws {
    let one = try UpdatedIndex(passages("a", 60, seed: 7), lexical: LexicalSettings())
    let other = try UpdatedIndex(passages("b", 50, seed: 8), lexical: LexicalSettings())
    let without = try UpdatedIndex(passages("c", 5, seed: 9))
    let error = #expect(throws: RetortError.self) {
      try IndexJoin.join([one.path, without.path], into: one.folder.path + "/x", quiet: true)
    }
    #expect(error?.message.contains("lexical data") == true)
    let path = one.folder.path + "/joined"
    _ = try IndexJoin.join([one.path, other.path], into: path, quiet: true)
    let joined = try PassageIndex(path: path)
    try joined.verify()
    let whole = try UpdatedIndex(
      passages("a", 60, seed: 7) + passages("b", 50, seed: 8), lexical: LexicalSettings())
    #expect(try found(joined) == found(whole.opened()))
  }

  @Test func `damage to lexical data is noticed as other damage is`() throws {
    let subject = try UpdatedIndex(passages("a", 400, seed: 10), lexical: LexicalSettings())
    let index = try DamagedIndex(of: subject.path)
    for (name, bytes) in index.files {
      #expect(try index.outcome(name, bytes) == .harmless)
    }
    try index.expectCutsNoticed("lexical", random: 20)
    try index.expectFlipsNoticed("lexical", random: 100, perSection: 8)
  }

  /// Files whose checksums match and whose manifest knows them, but that say something else.
  @Test func `forged lexical data is an error or harmless, never a crash`() throws {
    let subject = try UpdatedIndex(passages("a", 400, seed: 11), lexical: LexicalSettings())
    let index = try DamagedIndex(of: subject.path)
    let name = index.name("lexical")
    let original = SegmentImage(try #require(index.files[name]))
    #expect(try index.outcome(name, original.encoded(), adaptManifest: true) == .harmless)
    var random = SplitMix64(seed: 12)
    var noticed = 0
    for round in 0..<60 {
      var forged = original
      let part = round % forged.parts.count
      let place = Int(random.next() % UInt64(forged.parts[part].bytes.count))
      forged.parts[part].bytes[place] ^= UInt8(1 + random.next() % 255)
      if try index.outcome(name, forged.encoded(), adaptManifest: true) != .harmless {
        noticed += 1
      }
    }
    #expect(noticed > 45, "\(noticed)")
    for missing in original.parts.map(\.name) {
      var forged = original
      forged.parts.removeAll { $0.name == missing }
      #expect(try index.outcome(name, forged.encoded(), adaptManifest: true) == .noticed)
    }
  }
}

@Suite struct FusionTests {
  private static let dense = [(3, 0.9), (1, 0.5), (7, 0.1)].map {
    SearchHit(number: $0.0, score: Float($0.1))
  }
  private static let lexical = [(1, 12.0), (9, 7.0), (3, 2.0)].map {
    SearchHit(number: $0.0, score: Float($0.1))
  }

  private func fused(_ text: String, k: Int = 10) throws -> [(number: Int, score: Double)] {
    let fusion = try #require(Fusion(text))
    return fusion.fuse(dense: Self.dense, lexical: Self.lexical, k: k).map {
      ($0.number, Double($0.score))
    }
  }

  @Test func `reciprocal ranks add up`() throws {
    let hits = try fused("rrf")
    #expect(hits.map(\.number) == [1, 3, 9, 7])
    let expected = [1.0 / 62 + 1.0 / 61, 1.0 / 61 + 1.0 / 63, 1.0 / 62, 1.0 / 63]
    for (hit, score) in zip(hits, expected) { #expect(abs(hit.score - score) < 1e-8) }
    #expect(try fused("rrf", k: 2).map(\.number) == [1, 3])
  }

  @Test func `weighted scores are brought to one scale before`() throws {
    let hits = try fused("linear:0.3")
    // 3: 0.7·1 + 0.3·0, 1: 0.7·0.5 + 0.3·1, 9: 0.3·0.5, 7: 0.
    #expect(hits.map(\.number) == [3, 1, 9, 7])
    for (hit, score) in zip(hits, [0.7, 0.65, 0.15, 0]) { #expect(abs(hit.score - score) < 1e-7) }
    #expect(try fused("linear:1").map(\.number) == [1, 9, 3, 7])
    #expect(try fused("linear:0").map(\.number) == [3, 1, 7, 9])
    let equal = [4, 2].map { SearchHit(number: $0, score: 1) }
    let fusion = try #require(Fusion("linear:0.5"))
    #expect(fusion.fuse(dense: equal, lexical: [], k: 5).map(\.number) == [2, 4])
    #expect(fusion.fuse(dense: [], lexical: [], k: 5).isEmpty)
  }

  @Test(arguments: [
    "", "RRF", "linear", "linear:", "linear:x", "linear:1.5", "linear:nan", "rrf:1",
  ])
  func `other fusions are refused`(text: String) { #expect(Fusion(text) == nil) }
}
