import Foundation
import Lexical
import Mining
import Models
import Platform
import Retrieval
import TestSupport
import Testing

@Suite struct HardNegativesTests {
  private let fixture: MiningFixture

  init() throws { fixture = try MiningFixture.shared.get() }

  private var passages: [(id: String, text: String)] { fixture.passages }

  /// Ids of the best passages by words.
  private func words(_ query: Int, k: Int) throws -> [String] {
    let index = try PassageIndex(path: fixture.index)
    return try index.searchWords([fixture.queries[query].text], k: k)[0].map {
      try index.id($0.number)
    }
  }

  @Test func `the best by words that are not relevant are the negatives`() throws {
    var options = fixture.options("words", .words(BM25()))
    options.sampling = .top
    options.negatives = 5
    options.ranks = 1...30
    let (report, triples) = try fixture.mine(options)
    #expect(report.queries == 40 && report.positives == 40 && report.triples == triples.count)
    var expected: [String] = []
    for query in 0..<40 {
      let positive = passages[query * 5]
      let left = try words(query, k: 30).filter { id in
        let text = passages.first { $0.id == id }?.text
        return id != positive.id && (text != positive.text || positive.text.isEmpty)
      }
      expected += left.prefix(5).map { "q\(query) \(positive.id) \($0)" }
    }
    #expect(triples.map { "\($0.query) \($0.positive) \($0.negative)" } == expected)
    #expect(report.counts.relevant > 30 && report.counts.truncated == 0)
    // What was judged not relevant may be a negative.
    let judged = Set(fixture.queries.indices.map { "q\($0) \(passages[$0 * 5 + 1].id)" })
    options.ranks = 1...300
    options.negatives = 300
    options.overwrite = true
    let all = try fixture.mine(options).triples
    #expect(all.contains { judged.contains("\($0.query) \($0.negative)") })
  }

  @Test func `ranks are a window`() throws {
    var options = fixture.options("window", .words(BM25(k1: 1.2, b: 0.75)))
    options.sampling = .top
    options.negatives = 100
    options.ranks = 4...9
    let (report, triples) = try fixture.mine(options)
    #expect(report.counts.candidates == 240 && report.counts.short == 40)
    let index = try PassageIndex(path: fixture.index)
    let ranked = try index.searchWords(
      [fixture.queries[3].text], k: 9, parameters: BM25(k1: 1.2, b: 0.75))[0]
    let expected = try ranked.dropFirst(3).map { try index.id($0.number) }
    #expect(
      triples.filter { $0.query == "q3" }.map(\.negative)
        == expected.filter {
          $0 != passages[15].id
        })
  }

  @Test func `the student's own best are filtered by their scores`() throws {
    let index = try PassageIndex(path: fixture.index)
    let encoder = try Searcher.encoder(of: index)
    let vectors = try encoder.encode(texts: fixture.queries.map(\.text), threads: 2)
    func score(_ query: Int, _ id: String) throws -> Float {
      let vector = try index.vector(try #require(try index.number(of: id)))
      return zip(vectors[query * 32..<(query + 1) * 32], vector).reduce(0) { $0 + $1.0 * $1.1 }
    }
    for (ratio, margin) in [(0.9, nil), (nil, 4), (nil, nil)] as [(Double?, Double?)] {
      var options = fixture.options("vectors", .vectors(model: nil, mode: .exact))
      options.maxRatio = ratio
      options.minMargin = margin
      options.negatives = 300
      options.ranks = 1...60
      options.overwrite = true
      let (report, triples) = try fixture.mine(options)
      var expected = 0
      for query in 0..<40 {
        let own = try score(query, passages[query * 5].id)
        let hits = try index.search(
          Array(vectors[query * 32..<(query + 1) * 32]), k: 60, mode: .exact)[0]
        for hit in hits {
          let id = try index.id(hit.number)
          let text = passages[hit.number].text
          if id == passages[query * 5].id { continue }
          if text == passages[query * 5].text, !text.isEmpty { continue }
          // Positives beyond the window have a score all the same.
          let highest = min(
            ratio.map { own - Float(1 - $0) * abs(own) } ?? .infinity,
            margin.map { own - Float($0) } ?? .infinity)
          if abs(hit.score - highest) < 1e-3 { continue }
          let isDrawn = triples.contains { $0.query == "q\(query)" && $0.negative == id }
          #expect(isDrawn == (hit.score <= highest), "\(hit.score), \(own), \(ratio ?? 0)")
          if hit.score <= highest { expected += 1 }
        }
      }
      #expect(abs(report.triples - expected) <= 2 && report.triples > 100)
      #expect((report.counts.aboveRatio > 0) == (ratio != nil))
      #expect((report.counts.withinMargin > 0) == (margin != nil))
    }
  }

  @Test func `a run of another system gives negatives, and strangers in it are counted`() throws {
    var options = fixture.options("from-run", .run(try fixture.run("run.trec")))
    options.sampling = .top
    options.ranks = 1...2
    let (_, triples) = try fixture.mine(options)
    #expect(triples.first { $0.query == "q6" }?.negative == passages[6].id)
    options.source = .run(try fixture.run("strange.trec", strangers: 1))
    options.overwrite = true
    #expect(fixture.error(options)?.exitCode == 65)
    options.maxUnknown = 0.5
    #expect(try fixture.mine(options).report.counts.missing == 40)
    // A positive that is not in the run has no score to compare with.
    options.maxRatio = 0.99
    options.ranks = 1...30
    let (report, some) = try fixture.mine(options)
    #expect(report.counts.unscoredPositives > 20 && report.queriesWithout >= 20)
    #expect(!some.isEmpty)
    let ranks = fixture.queries.map { "\($0.id)\t\(passages[3].id)\t1\n" }
    options.source = .run(try fixture.folder.file("ms.run", ranks.joined()))
    #expect(fixture.error(options)?.message.contains("has ranks and no scores") == true)
    options.maxRatio = nil
    #expect(try fixture.mine(options).report.triples == 40)
  }

  @Test func `what has the text of a positive is no negative, nor what has no text`() throws {
    let lines = [7, 8, 9, 10, 11].map { "q0 Q0 \(passages[$0].id) 1 \(20 - $0) x\n" }
    let run = try fixture.folder.file("same.trec", lines.joined())
    var options = fixture.options("same", .run(run))
    options.qrels = try fixture.folder.file("same.qrels", "q0 0 \(passages[7].id) 2\n")
    let (report, triples) = try fixture.mine(options)
    #expect(report.counts.relevant == 1 && report.counts.repeated == 1)
    #expect(triples.map(\.negative) == [9, 10, 11].map { passages[$0].id })
    options.columns = .texts
    options.overwrite = true
    let texts = try fixture.mine(options)
    #expect(texts.report.counts.blank == 1)
    let expected = ["water river lake gold gold water", passages[11].text]
    #expect(texts.triples.map(\.negative) == expected)
    #expect(texts.triples[0].query == fixture.queries[0].text)
    #expect(texts.triples[0].positive == passages[7].text)
  }

  @Test func `grades decide what is positive, and lower ones are no negatives`() throws {
    let run = try fixture.run("graded.trec")
    let grades = [(0, 3), (7, 1), (14, 2), (21, 0)].map { "q0 0 \(passages[$0.0].id) \($0.1)\n" }
    var options = fixture.options("graded", .run(run))
    options.qrels = try fixture.folder.file("graded.qrels", grades.joined())
    options.minGrade = 2
    options.sampling = .top
    options.negatives = 2
    let (report, triples) = try fixture.mine(options)
    #expect(report.positives == 2 && report.unjudgedQueries == 39)
    #expect(Set(triples.map(\.positive)) == [passages[0].id, passages[14].id])
    #expect(Set(triples.map(\.negative)) == [passages[21].id, passages[28].id])
    options.maxPositives = 1
    options.overwrite = true
    #expect(Set(try fixture.mine(options).triples.map(\.positive)).count == 1)
  }

  @Test func `a teacher's file decides what is left, and its scores are written`() throws {
    let run = try fixture.run("taught.trec")
    // Scores for every second passage of the run and for the positives of 30 queries.
    var lines: [String] = []
    for query in 0..<30 {
      for rank in stride(from: 0, to: 30, by: 2) {
        let negative = passages[(query + rank * 7) % 300].id
        if negative == passages[query * 5].id { continue }
        lines.append(
          "\(10 + query)\t\(Float(rank) / 4)\tq\(query)\t\(passages[query * 5].id)\t\(negative)\n")
      }
    }
    let scores = try fixture.folder.file("scores.tsv", lines.joined())
    var options = fixture.options("taught", .run(run))
    options.teacherScores = scores
    options.negatives = 15
    options.minMargin = 5
    let (report, triples) = try fixture.mine(options)
    #expect(report.counts.unscored > 400 && report.counts.unscoredPositives == 10)
    #expect(report.counts.withinMargin > 0 && triples.count > 300)
    let known = Set(lines.map { String($0.dropLast()) })
    for triple in triples {
      let pair = try #require(triple.scores)
      #expect(pair.positive - pair.negative >= 5)
      let line = [
        "\(Int(pair.positive))", "\(Float(pair.negative))", triple.query, triple.positive,
        triple.negative,
      ]
      #expect(known.contains(line.joined(separator: "\t")))
    }
    // The same scores as a run.
    var entries: [String: String] = [:]
    for line in lines {
      let columns = line.dropLast().split(separator: "\t").map(String.init)
      entries["\(columns[2]) Q0 \(columns[3])"] = columns[0]
      entries["\(columns[2]) Q0 \(columns[4])"] = columns[1]
    }
    let asRun = entries.sorted { $0.key < $1.key }.map { "\($0.key) 1 \($0.value) t\n" }
    options.teacherScores = try fixture.folder.file("teacher.trec", asRun.joined())
    options.output += ".again"
    #expect(try fixture.mine(options).triples == triples)
    options.teacherScores = try fixture.folder.file("texts.tsv", "1\t2\ta\tb\tc\n")
    options.overwrite = true
    #expect(fixture.error(options)?.message.contains("must be ids") == true)
  }

  @Test func `a teacher that reads the passages scores them as it does elsewhere`() throws {
    var options = fixture.options("read", .run(try fixture.run("read.trec")))
    options.teacher = fixture.path + "/teacher"
    options.ranks = 1...12
    options.columns = .texts
    let (report, triples) = try fixture.mine(options)
    #expect(report.triples == triples.count && triples.count >= 120)
    let teacher = try CrossEncoder(directory: fixture.path + "/teacher")
    for triple in triples.prefix(40) {
      let pair = try #require(triple.scores)
      let scores = try teacher.score(
        query: triple.query, passages: [triple.positive, triple.negative], threads: 1)
      #expect(abs(pair.positive - Double(scores[0])) < 1e-4)
      #expect(abs(pair.negative - Double(scores[1])) < 1e-4)
    }
  }

  @Test func `the bytes do not depend on threads, and a finished file is left alone`() throws {
    for source in [MiningOptions.Source.words(BM25()), .vectors(model: nil, mode: .exact)] {
      var files: [[UInt8]] = []
      for threads in [1, 3] {
        var options = fixture.options("threads", source)
        options.threads = threads
        options.overwrite = true
        options.maxRatio = 0.95
        _ = try fixture.mine(options)
        files.append(try FileSystem.read(options.output))
        options.overwrite = false
        #expect(fixture.error(options)?.exitCode == 64)
        options.resume = true
        #expect(try HardNegatives.mine(options, quiet: true) == nil)
        options.seed = 2
        options.overwrite = true
        options.resume = false
        _ = try fixture.mine(options)
        #expect(try FileSystem.read(options.output) != files[0])
      }
      #expect(files[0] == files[1] && !files[0].isEmpty)
    }
  }

  private static let mistakes: [(reason: String, change: @Sendable (inout MiningOptions) -> Void)] =
    [
      ("--negatives must lie", { $0.negatives = 0 }),
      ("--max-ratio must lie", { $0.maxRatio = 1.1 }),
      ("--max-ratio must lie", { $0.maxRatio = .nan }),
      ("--min-margin must", { $0.minMargin = -1 }),
      ("--bins must lie", { $0.bins = 0 }), ("--min-grade must", { $0.minGrade = 0 }),
      ("--ranks must lie", { $0.ranks = 0...3 }),
      ("not both", { ($0.teacher, $0.teacherScores) = ("a", "b") }),
      ("standard input", { ($0.queries, $0.qrels) = ("-", "-") }),
      ("--max-positives", { $0.maxPositives = 0 }), ("--max-unknown", { $0.maxUnknown = 2 }),
    ]

  @Test func `wrong usage is named`() {
    for (reason, change) in Self.mistakes {
      var options = fixture.options("wrong", .words(BM25()))
      change(&options)
      let error = fixture.error(options)
      #expect(error?.exitCode == 64 && error?.message.contains(reason) == true, "\(reason)")
    }
  }

  @Test func `files that do not belong together are refused`() throws {
    var options = fixture.options("foreign", .words(BM25()))
    options.qrels = try fixture.folder.file("foreign.qrels", "q1 0 nobody 1\nq2 0 none 1\n")
    #expect(fixture.error(options)?.message.contains("2 of 2 positive passages") == true)
    options.maxUnknown = 1
    #expect(fixture.error(options)?.message.contains("has no positive passage") == true)
    options = fixture.options("foreign", .run(fixture.path + "/nothing.trec"))
    #expect(fixture.error(options)?.exitCode == 66)
    options.source = .run(try fixture.folder.file("other.trec", "z Q0 a 1 1 x\n"))
    #expect(fixture.error(options)?.message.contains("no passage for any of the queries") == true)
    options = fixture.options("foreign", .run(try fixture.run("all.trec")))
    options.maxRatio = 0
    #expect(fixture.error(options)?.message.contains("not one negative is left") == true)
    #expect(FileSystem.kind(of: options.output) == .nothing)
  }
}
