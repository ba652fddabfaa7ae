import Formats
import Foundation
import Indexing
import Lexical
import Platform
import Retrieval
import Store
import TestSupport
import Testing

/// Indexes whose data may take only so much memory.
@Suite struct MemoryLimitTests {
  private static let large = Result { try ImportedIndex() }

  /// 9,000 vectors of 64 dimensions, 2.3 MB, with compact codes.
  private final class ImportedIndex: Sendable {
    let folder: TemporaryFolder
    let path: String
    let queries: [Float]

    init() throws {
      folder = try TemporaryFolder("memory")
      path = folder.path + "/index"
      var random = SplitMix64(seed: 201)
      var file: [UInt8] = []
      file.appendInteger(UInt32(9000))
      file.appendInteger(UInt32(64))
      for _ in 0..<(9000 * 64) { file.appendInteger(Float(random.normal()).bitPattern) }
      queries = (0..<(60 * 64)).map { _ in Float(random.normal()) }
      var options = VectorImportOptions(
        vectors: try folder.file("v.fbin", file), output: path)
      options.graph = Manifest.GraphSettings(m: 8, efConstruction: 30, seed: 42)
      options.threads = 2
      _ = try VectorImport.build(options, quiet: true)
    }
  }

  /// Everything that reads vectors, codes, lists, ids and texts, as text.
  private func answers(
    _ index: PassageIndex, _ queries: [Float], threads: Int
  ) throws -> [String] {
    var found: [String] = []
    for mode in [SearchMode.graph(efSearch: 40), .graph(efSearch: 300), .exact] {
      let hits = try index.search(queries, k: 12, mode: mode, threads: threads)
      found += try hits.map { "\($0) \(try named($0, in: index))" }
    }
    for number in stride(from: 0, to: index.capacity, by: 131) {
      let passage = try index.passage(number)
      found.append("\(passage) \(try index.number(of: passage.id) ?? -1)")
    }
    return found
  }

  @Test(arguments: [1 << 16, 1 << 19, 1 << 22])
  func `answers are the same under every limit, at any number of threads`(limit: Int) throws {
    let subject = try Self.large.get()
    let expected = try answers(try PassageIndex(path: subject.path), subject.queries, threads: 1)
    let index = try PassageIndex(path: subject.path, memoryLimit: limit)
    for threads in [1, 4] {
      #expect(try answers(index, subject.queries, threads: threads) == expected)
    }
    let use = try #require(index.memoryUse)
    // What one count adds at most: a block of codes, or of one with all its ids.
    #expect(use.mapped + use.decoded <= limit + (1 << 17), "\(use)")
    if limit < 1 << 20 { #expect(use.givenBack > 10 && use.drops > 5, "\(use)") }
    try index.verify()
    try index.warm()
    #expect(try answers(index, subject.queries, threads: 2) == expected)
  }

  @Test func `answers are the same when the system holds none of the files`() throws {
    let subject = try Self.large.get()
    let expected = try answers(try PassageIndex(path: subject.path), subject.queries, threads: 1)
    // A copy on a disk, which nobody else has mapped.
    let copy = try TemporaryFolder("forgotten", in: "/var/tmp")
    for (name, bytes) in try contents(of: subject.path) where !name.hasSuffix("/") {
      try copy.file(name, bytes)
    }
    let index = try PassageIndex(path: copy.path, memoryLimit: 1 << 19)
    for threads in [1, 3] {
      for (name, _) in try contents(of: copy.path) where !name.hasSuffix("/") {
        try forget(copy.path + "/" + name)
      }
      #expect(try answers(index, subject.queries, threads: threads) == expected)
    }
  }

  @Test func `a damaged vector is noticed where vectors are read one by one`() throws {
    let copy = try TemporaryFolder("damaged")
    var (damaged, blocks) = (0, 0)
    for (name, bytes) in try contents(of: try Self.large.get().path) where !name.hasSuffix("/") {
      var bytes = bytes
      if name.contains("vectors") {
        blocks = bytes.count >> 16
        bytes[bytes.count / 2] ^= 16
        damaged += 1
      }
      try copy.file(name, bytes)
    }
    try #require(damaged == 1 && blocks > 20)
    let index = try PassageIndex(path: copy.path, memoryLimit: 1 << 19)
    let queries = try Self.large.get().queries
    let good = try PassageIndex(path: try Self.large.get().path)
    var failures = 0
    for start in stride(from: 0, to: queries.count, by: 64) {
      let query = Array(queries[start..<(start + 64)])
      let mode = SearchMode.graph(efSearch: 20)
      do throws(RetortError) {
        let found = try index.search(query, k: 5, mode: mode)
        #expect(try good.search(query, k: 5, mode: mode) == found)
      } catch {
        #expect(error.code == .checksumMismatch && "\(error)".contains("vectors"), "\(error)")
        failures += 1
      }
    }
    #expect(failures > 10 && failures < 60, "\(failures)")
  }

  @Test func `words, terms, filters and texts answer alike under a limit`() throws {
    let labelled = passages("a", 400, seed: 202).enumerated().map { place, passage in
      var passage = passage
      passage.fields["n"] = [.number(Double(place))]
      return passage
    }
    let subject = try UpdatedIndex(
      labelled, lexical: LexicalSettings(), terms: WordTerms.requests)
    try subject.delete(["a7"])
    func ask(_ index: PassageIndex) throws -> [String] {
      let queries = try noisyQueries(index, count: 3, seed: 203)
      let some = try index.select(Filter("n < 300"), ids: (0..<350).map { "a\($0)" })
      let found = [
        try index.search(queries, k: 9, mode: .graph(efSearch: 50), among: some, threads: 2),
        try index.searchWords(["gold water", "the stone river"], k: 9, among: some, threads: 2),
      ]
      let texts = try (0..<index.capacity).map { "\(try index.passage($0))" }
      return (found + [try WordTerms.search(index)]).map { "\($0)" } + texts
    }
    let index = try PassageIndex(path: subject.path, memoryLimit: 1 << 16)
    #expect(try ask(index) == ask(try subject.opened()))
    #expect((index.memoryUse?.givenBack ?? 0) > 0)
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: "/proc/self/smaps"), "needs Linux"))
  func `what the system holds of the mapped files stays near the limit`() throws {
    let subject = try Self.large.get()
    let limit = 1 << 20
    let free = try PassageIndex(path: subject.path)
    _ = try answers(free, subject.queries, threads: 2)
    // Copies, so that the mappings of the two can be told apart.
    let copy = try TemporaryFolder("bounded")
    for (name, bytes) in try contents(of: subject.path) where !name.hasSuffix("/") {
      try copy.file(name, bytes)
    }
    let index = try PassageIndex(path: copy.path, memoryLimit: limit)
    var most = 0
    for start in stride(from: 0, to: subject.queries.count, by: 10 * 64) {
      let part = Array(subject.queries[start..<(start + 10 * 64)])
      for mode in [SearchMode.graph(efSearch: 100), .exact] {
        _ = try index.search(part, k: 50, mode: mode, threads: 2)
        most = max(most, try residentBytes(below: copy.path))
      }
    }
    let unbounded = try residentBytes(below: subject.path)
    #expect(unbounded > 3 << 20, "\(unbounded)")
    #expect(most <= limit + limit / 2, "\(most)")
  }

  /// Bytes of this process's memory that are pages of files below `path`.
  private func residentBytes(below path: String) throws -> Int {
    let maps = String(decoding: try FileSystem.read("/proc/self/smaps"), as: UTF8.self)
    var isOurs = false
    var kilobytes = 0
    for line in maps.split(separator: "\n") {
      if let slash = line.firstIndex(of: "/") {
        isOurs = line[slash...].hasPrefix(path)
      } else if line.contains("-"), line.first?.isHexDigit == true {
        isOurs = false
      } else if isOurs, line.hasPrefix("Rss:") {
        kilobytes += Int(line.split(whereSeparator: \.isWhitespace)[1]) ?? 0
      }
    }
    return kilobytes << 10
  }

  @Test func `threads that share a small cache read what they should`() throws {
    let subject = try Self.large.get()
    let expected = try PassageIndex(path: subject.path).search(
      subject.queries, k: 10, mode: .graph(efSearch: 60))
    let index = try PassageIndex(path: subject.path, memoryLimit: 1 << 17)
    for _ in 0..<Soak.times(4) {
      let found = try index.search(
        subject.queries, k: 10, mode: .graph(efSearch: 60), threads: 8)
      #expect(found == expected)
    }
    #expect((index.memoryUse?.drops ?? 0) > 50)
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: "/proc/self/maps"), "needs Linux"))
  func `an index with a limit is let go with its files`() throws {
    let copy = try TemporaryFolder("let-go")
    for (name, bytes) in try contents(of: try Self.large.get().path) where !name.hasSuffix("/") {
      try copy.file(name, bytes)
    }
    func isMapped() throws -> Bool {
      let maps = try FileSystem.read("/proc/self/maps")
      return String(decoding: maps, as: UTF8.self).contains(copy.path)
    }
    do {
      let index = try PassageIndex(path: copy.path, memoryLimit: 1 << 18)
      _ = try index.search(try Self.large.get().queries, k: 3, mode: .graph(efSearch: 20))
      #expect(try isMapped())
    }
    #expect(try !isMapped())
  }
}
