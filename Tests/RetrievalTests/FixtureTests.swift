import Foundation
import Lexical
import Retrieval
import Testing

/// An index that lies in the repository as it was written: a change of the format that forgets to say so
/// is found here.
@Suite struct FixtureTests {
  /// 1,000 vectors of 32 components in 20 clusters, texts of 3 to 8 of 25 words, fields, words, 59
  /// passages deleted. What it answered when it was made was checked with NumPy.
  @Test func `an index of format 3, the current one, opens and answers as it did`() throws {
    let index = try PassageIndex(
      path: try #require(Bundle.module.resourcePath) + "/Fixtures/index-3")
    #expect(index.manifest.formatVersion == 3)
    try index.verify()
    #expect(index.count == 941 && index.capacity == 1000 && index.dimension == 32)
    let nearest: [Int: [String]] = [
      3: ["p3", "p528", "p266", "p27", "p808"], 250: ["p250", "p164", "p600", "p296", "p378"],
      502: ["p502", "p266", "p966", "p699", "p592"], 997: ["p997", "p97", "p207", "p64", "p359"],
    ]
    for (number, expected) in nearest {
      let query = try index.vector(number)
      for mode in [SearchMode.exact, .graph(efSearch: 100)] {
        let hits = try index.search(query, k: 5, mode: mode)[0]
        #expect(try hits.map { try index.id($0.number) } == expected, "\(mode)")
      }
    }
    let recent = try index.select(Filter("year >= 2015 and lang = \"en\""))
    #expect(recent.count == 31)
    let filtered = try index.search(
      index.vector(3), k: 5, mode: .graph(efSearch: 100), among: recent)[0]
    let passing = ["p27", "p987", "p537", "p657", "p237"]
    #expect(try filtered.map { try index.id($0.number) } == passing)
    let words = try index.searchWords(["copper river"], k: 4)[0]
    #expect(try words.map { try index.id($0.number) } == ["p889", "p480", "p542", "p593"])
    #expect(abs(words[0].score - 2.233_537_7) < 1e-6)
  }
}
