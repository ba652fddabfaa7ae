import Foundation
import Lexical
import Platform
import TestSupport
import Testing

/// Texts whose words follow Zipf's law, in runs of passages that share a topic.
func zipfTexts(_ count: Int, seed: UInt64) -> [String] {
  var random = SplitMix64(seed: seed)
  return (0..<count).map { number in
    let length = Int(random.next() % 60)
    return (0..<length).map { _ in
      let rank = Int(pow(3000, random.unit()))
      let topic = random.next() % 3 == 0 ? "t\(number / 50)x" : ""
      return topic + "w\(rank)"
    }.joined(separator: " ")
  }
}

/// BM25 as its formula stands, over the terms of texts.
struct PlainBM25 {
  var documents: [[String: Int]]
  var lengths: [Int]
  var parameters: BM25

  init(_ texts: [String], _ analyzer: Analyzer, _ parameters: BM25) {
    let terms = texts.map { analyzer.terms(of: $0.utf8) }
    lengths = terms.map(\.count)
    documents = terms.map { Dictionary($0.map { ($0, 1) }, uniquingKeysWith: +) }
    self.parameters = parameters
  }

  func scores(_ query: [String]) -> [Double] {
    let average = Double(lengths.reduce(0, +)) / Double(lengths.count)
    var scores = [Double](repeating: 0, count: documents.count)
    for term in query {
      let frequency = Double(documents.count { $0[term] != nil })
      let weight = log(1 + (Double(documents.count) - frequency + 0.5) / (frequency + 0.5))
      for (place, document) in documents.enumerated() {
        guard let count = document[term] else { continue }
        let norm = 1 - parameters.b + parameters.b * Double(lengths[place]) / average
        scores[place] += weight * Double(count) / (Double(count) + parameters.k1 * norm)
      }
    }
    return scores
  }
}

@Suite struct InvertedFileTests {
  private static let settings = LexicalSettings(stemmer: .none, stopWords: .none)

  /// The best passages over several files, one after the other, as a segmented index has them.
  private static func search(
    _ files: [InvertedFile], _ terms: [String], k: Int, _ parameters: BM25 = BM25(),
    allowed: [[UInt64]?]? = nil, isExhaustive: Bool = false
  ) throws -> [LexicalHit] {
    let statistics = CollectionStatistics(
      passages: files.reduce(0) { $0 + $1.count },
      totalLength: files.reduce(0) { $0 + Double($1.totalLength) })
    let query = try WeightedQuery(terms, parameters, statistics) { term throws(RetortError) in
      var frequency = 0
      for file in files { frequency += try file.frequency(of: term) }
      return frequency
    }
    var top = TopPassages(capacity: k)
    var base = 0
    for (place, file) in files.enumerated() {
      try file.search(
        query, base: base, allowed: allowed?[place], isExhaustive: isExhaustive, into: &top)
      base += file.count
    }
    return top.hits(scale: query.scale)
  }

  private static func queries(_ seed: UInt64, _ texts: [String]) -> [[String]] {
    var random = SplitMix64(seed: seed)
    let analyzer = Analyzer(settings)
    return (0..<40).map { number in
      if number % 3 == 0 {
        let text = texts[Int(random.next() % UInt64(texts.count))]
        return Array(analyzer.terms(of: text.utf8).prefix(12))
      }
      return (0..<(1 + number % 9)).map { _ in "w\(Int(pow(3000, random.unit())))" } + ["absent"]
    }
  }

  @Test(arguments: [BM25(), BM25(k1: 2, b: 0.75), BM25(k1: 0, b: 0), BM25(k1: 1.2, b: 1)])
  func `scores are those of the formula, best first, equal ones by passage`(
    parameters: BM25
  ) throws {
    let texts = zipfTexts(700, seed: 1)
    let file = try MemorySections(texts, Self.settings).opened()
    let plain = PlainBM25(texts, Analyzer(Self.settings), parameters)
    for terms in Self.queries(2, texts) {
      let expected = plain.scores(terms)
      let hits = try Self.search([file], terms, k: 50, parameters)
      #expect(hits.count == min(50, expected.count { $0 > 0 }))
      let best = expected.sorted(by: >)
      for (rank, hit) in hits.enumerated() {
        let tolerance = 1e-5 * max(1, best[0])
        #expect(abs(Double(hit.score) - expected[hit.number]) < tolerance, "\(terms)")
        #expect(abs(Double(hit.score) - best[rank]) < tolerance, "\(terms)")
      }
      for (one, next) in zip(hits, hits.dropFirst()) {
        #expect(one.score > next.score || (one.score == next.score && one.number < next.number))
      }
    }
  }

  @Test func `a passage with a word that all have is found beside one with a rare word`() throws {
    // So common that its weight on the rare word's scale rounds to nothing.
    var texts = [String](repeating: "page", count: 400_000)
    texts[7] = "page zyzzyva"
    let file = try MemorySections(texts, Self.settings).opened()
    for isExhaustive in [false, true] {
      let hits = try Self.search([file], ["page", "zyzzyva"], k: 5, isExhaustive: isExhaustive)
      #expect(hits.map(\.number) == [7, 0, 1, 2, 3])
      #expect(hits.allSatisfy { $0.score > 0 })
    }
  }

  @Test(arguments: [UInt64(11), 12])
  func `pruning finds what scoring everything finds, also in segments and among some`(
    seed: UInt64
  ) throws {
    // Copies of passages, so that there are ties; lists of one block, of several, of none.
    var texts = zipfTexts(6000, seed: seed)
    for place in stride(from: 5, to: texts.count, by: 7) { texts[place] = texts[place - 4] }
    let whole = try MemorySections(texts, Self.settings).opened()
    let cuts = [0, 1, 130, 4096, 4200, texts.count]
    let parts = try zip(cuts, cuts.dropFirst()).map {
      try MemorySections(Array(texts[$0..<$1]), Self.settings).opened()
    }
    var random = SplitMix64(seed: seed)
    var odd = [UInt64](repeating: 0, count: (texts.count + 63) / 64)
    for place in odd.indices where random.next() % 4 == 0 { odd[place] = random.next() }
    odd[odd.count - 1] &= (1 << UInt64(texts.count % 64)) - 1
    for terms in Self.queries(seed, texts) {
      for k in [1, 10, 10_000] {
        for parameters in [BM25(), BM25(k1: 1.5, b: 0.9)] {
          let all = try Self.search([whole], terms, k: k, parameters, isExhaustive: true)
          #expect(try Self.search([whole], terms, k: k, parameters) == all, "\(seed), \(terms)")
          #expect(try Self.search(parts, terms, k: k, parameters) == all, "\(seed), \(terms)")
        }
        let some = try Self.search([whole], terms, k: k, allowed: [odd], isExhaustive: true)
        #expect(try Self.search([whole], terms, k: k, allowed: [odd]) == some, "\(seed), \(terms)")
        #expect(some.allSatisfy { odd[$0.number / 64] >> UInt64($0.number % 64) & 1 == 1 })
      }
    }
  }

  @Test func `the bytes do not depend on where chunks end`() throws {
    let texts = zipfTexts(1000, seed: 3) + ["", "Ünïcödé 漢字", "lonely"]
    let reference = try MemorySections(texts, LexicalSettings()).sections
    for chunk in [1, 7, 500, 1002] {
      #expect(try MemorySections(texts, LexicalSettings(), chunk: chunk).sections == reference)
    }
    let file = try MemorySections(texts, LexicalSettings()).opened()
    try file.verify()
    #expect(file.settings == LexicalSettings() && file.count == 1003)
    #expect(try file.frequency(of: "lone") == 1 && file.frequency(of: "lonely") == 0)
    #expect(try Self.search([file], ["漢"], k: 5).map(\.number) == [1001])
  }

  @Test func `passages without terms, and queries without any that occur, find nothing`() throws {
    let empty = try MemorySections(["", " ", "?"], LexicalSettings()).opened()
    try empty.verify()
    #expect(empty.termCount == 0)
    #expect(try Self.search([empty], ["word"], k: 5).isEmpty)
    let file = try MemorySections(["one", "two"], LexicalSettings()).opened()
    #expect(try Self.search([file], [], k: 5).isEmpty)
    #expect(try Self.search([file], ["three"], k: 5).isEmpty)
    #expect(try Self.search([file], ["one"], k: 0).isEmpty)
  }

  @Test func `a forged file is an error or harmless, never a crash`() throws {
    let texts = zipfTexts(1500, seed: 4)
    let original = try MemorySections(texts, Self.settings)
    let queries = Self.queries(5, texts).prefix(12)
    var random = SplitMix64(seed: 6)
    var noticed = 0
    let names = original.sections.keys.sorted()
    for round in 0..<400 {
      var forged = original
      let name = names[round % names.count]
      var bytes = forged.sections[name] ?? []
      switch round / names.count % 3 {
      case 0: bytes.removeLast(min(bytes.count, 1 + Int(random.next() % 40)))
      case 1:
        for _ in 0..<8 {
          bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(random.next() % 256)
        }
      default: bytes[Int(random.next() % UInt64(bytes.count))] = [0, 0x7F, 0x80, 0xFF][round % 4]
      }
      forged.sections[name] = bytes
      do throws(RetortError) {
        let file = try forged.opened()
        for terms in queries { _ = try? Self.search([file], terms, k: 10) }
        try file.verify()
      } catch {
        noticed += 1
      }
    }
    // What is left: a byte that was what it became, a bound too high, other stop words.
    #expect(noticed > 340, "\(noticed)")
  }
}
