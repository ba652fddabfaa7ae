import Formats
import Platform
import Retrieval
import Store
import TestSupport
import Testing

@Suite struct PassageIndexTests {
  private let small: SmallIndex
  private let index: PassageIndex

  init() throws {
    small = try SmallIndex.large.get()
    index = try PassageIndex(path: small.path)
  }

  @Test func `exact search is a scan in double precision`() throws {
    let seed: UInt64 = 31
    let queries = try noisyQueries(index, count: 70, seed: seed)
    let vectors = try (0..<index.count).map { try index.vector($0) }
    for k in [1, 10, 300] {
      let found = try index.search(queries, k: k, mode: .exact, threads: 2)
      for (q, hits) in found.enumerated() {
        let query = queries[(q * index.dimension)..<((q + 1) * index.dimension)]
        let scores = vectors.map { vector in
          zip(query, vector).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        let bound = scores.sorted(by: >)[k - 1]
        #expect(hits.count == k)
        #expect(Set(hits.map(\.number)).count == k)
        for (hit, next) in zip(hits, hits.dropFirst() + hits.suffix(1)) {
          #expect(
            abs(Double(hit.score) - scores[hit.number]) < 1e-4 && hit.score >= next.score
              && scores[hit.number] >= bound - 1e-4, "seed \(seed), query \(q), k \(k)")
        }
      }
    }
  }

  @Test func `a walk that keeps every candidate gives the exact answer, bit for bit`() throws {
    let seed: UInt64 = 32
    let queries = try noisyQueries(index, count: 40, seed: seed)
    for k in [1, 10, 500] {
      let exact = try index.search(queries, k: k, mode: .exact)
      let walked = try index.search(queries, k: k, mode: .graph(efSearch: index.count))
      #expect(exact == walked, "seed \(seed), k \(k)")
    }
  }

  @Test func `a walk with efSearch 100 finds nearly all of the exact answer`() throws {
    let queries = try noisyQueries(index, count: 100, seed: 33)
    let exact = try index.search(queries, k: 10, mode: .exact)
    let walked = try index.search(queries, k: 10, mode: .graph(efSearch: 100))
    let found = zip(exact, walked).reduce(0) {
      $0 + Set($1.0.map(\.number)).intersection($1.1.map(\.number)).count
    }
    #expect(found >= 970, "\(found) of 1000")
  }

  @Test(arguments: [SearchMode.exact, .graph(efSearch: 50)])
  func `answers depend neither on threads nor on the batch`(mode: SearchMode) throws {
    let queries = try noisyQueries(index, count: 150, seed: 34)
    let reference = try index.search(queries, k: 20, mode: mode, threads: 1)
    for threads in [2, 3, 5] {
      #expect(try index.search(queries, k: 20, mode: mode, threads: threads) == reference)
    }
    for q in stride(from: 0, to: 150, by: 7) {
      let query = Array(queries[(q * index.dimension)..<((q + 1) * index.dimension)])
      #expect(try index.search(query, k: 20, mode: mode) == [reference[q]])
    }
  }

  @Test(arguments: [SearchMode.exact, .graph(efSearch: 10)])
  func `more than there is gives all there is`(mode: SearchMode) throws {
    let queries = try noisyQueries(index, count: 3, seed: 35)
    for hits in try index.search(queries, k: .max, mode: mode, threads: 2) {
      #expect(hits.count == index.count)
      #expect(Set(hits.map(\.number)).count == index.count)
    }
    #expect(try index.search(queries, k: 0, mode: mode) == [[], [], []])
    #expect(try index.search([], k: 10, mode: mode).isEmpty)
  }

  @Test(arguments: [SearchMode.exact, .graph(efSearch: 3000)])
  func `copies of a passage score alike and keep the order of the corpus`(mode: SearchMode) throws {
    let original = try #require(try index.number(of: "p21-7"))
    let copies = small.corpus.passages.indices.filter {
      small.corpus.passages[$0].text == small.corpus.passages[original].text
    }
    #expect(copies.count == 121)
    let query = try index.vector(original)
    let hits = try #require(try index.search(query, k: 1500, mode: mode).first)
    let ties = hits.filter { copies.contains($0.number) }
    #expect(ties.map(\.number) == copies)
    #expect(Set(ties.map(\.score)).count == 1)
    for (hit, next) in zip(hits, hits.dropFirst()) {
      #expect(hit.score > next.score || (hit.score == next.score && hit.number < next.number))
    }
    // Where the cut goes through the ties, the earliest stay.
    let cut = try #require(try index.search(query, k: 50, mode: mode).first)
    #expect(cut.map(\.number) == hits.prefix(50).map(\.number))
  }

  @Test func `ids, numbers and texts lead to each other`() throws {
    for (number, passage) in small.corpus.passages.enumerated() {
      #expect(try index.id(number) == passage.id)
      #expect(try index.number(of: passage.id) == number)
      #expect(
        try index.passage(number) == Passage(id: passage.id, text: passage.text))
    }
    for unknown in ["", "p21-", "P21-7", "nobody", "p21-7 "] {
      #expect(try index.number(of: unknown) == nil)
    }
    for number in [-1, index.count, .max] {
      let error = #expect(throws: RetortError.self) { try index.passage(number) }
      #expect(error?.code == .usage)
    }
  }

  @Test func `queries that are none are refused`() throws {
    func code(_ query: [Float], _ mode: SearchMode = .exact) -> RetortError.Code? {
      #expect(throws: RetortError.self) { try index.search(query, k: 1, mode: mode) }?.code
    }
    let query = [Float](repeating: 1, count: index.dimension)
    #expect(code(Array(query.dropLast())) == .dimensionMismatch)
    #expect(code(query.dropLast() + [.nan]) == .badData)
    #expect(code(query.dropLast() + [.infinity]) == .badData)
    #expect(code(query, .graph(efSearch: 0)) == .usage)
  }

  @Test func `a query without direction ties all passages, in the order of the corpus`() throws {
    let zero = [Float](repeating: 0, count: index.dimension)
    for mode in [SearchMode.exact, .graph(efSearch: index.count)] {
      let hits = try #require(try index.search(zero, k: 100, mode: mode).first)
      #expect(hits.map(\.number) == Array(0..<100))
    }
  }

  @Test func `an undamaged index verifies and reaches every passage`() throws {
    try index.verify()
    #expect(index.manifest.sources[0].emptyTexts == 1)
    #expect(index.manifest.segments[0].graph.reachable == index.count)
  }

  @Test func `a text question finds its own passage`() throws {
    let searcher = try Searcher(path: small.path)
    let texts = [100, 900, 2000].map { small.corpus.passages[$0].text }
    let answer = try searcher.search(texts, k: 1, mode: .exact, threads: 2)
    for (text, hits) in zip(texts, answer.hits) {
      let own = try #require(small.corpus.passages.firstIndex { $0.text == text })
      let best = try #require(hits.first)
      let ownVector = try searcher.index.vector(own)
      let score = try #require(
        try searcher.index.search(ownVector, k: 1, mode: .exact).first?.first)
      #expect(best == score, "the vector of the text is the passage's")
    }
    #expect(answer.truncated == 0)
  }
}
