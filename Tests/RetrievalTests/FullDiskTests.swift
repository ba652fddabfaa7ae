import Formats
import Indexing
import Lexical
import Models
import Platform
import Retrieval
import Store
import TestSupport
import Testing

/// A disk that fills up at any write of a change leaves the old index, or the whole new one, and the
/// same command then succeeds.
@Suite struct FullDiskTests {
  /// A change of an index, and what it makes again after it failed.
  private struct Change {
    var name: String
    var apply: (_ index: String, _ isAgain: Bool) throws -> Void
  }

  private let folder: TemporaryFolder
  private let model: String
  private let encoder: TextEncoder
  /// An index of two segments with fields, deletions and lexical data.
  private let before: String

  init() throws {
    folder = try TemporaryFolder("full")
    model = folder.path + "/model"
    try TinyEncoder.write(to: model)
    encoder = try TextEncoder(directory: model)
    try folder.file("more.jsonl", Self.lines("b", 40, seed: 192))
    try folder.file("corpus.jsonl", Self.lines("a", 90, seed: 191))
    before = folder.path + "/before"
    try build(before, resume: false)
    let extra = try folder.file("extra.jsonl", Self.lines("c", 25, seed: 193))
    _ = try IndexAddition.add(
      IndexAdditionOptions(index: before, corpus: extra), encoder: encoder, modelPath: model,
      terms: WordTerms.sources, quiet: true)
    _ = try IndexDeletion.delete(["a4", "c7"], from: before)
  }

  private static func lines(_ prefix: String, _ count: Int, seed: UInt64) -> String {
    passages(prefix, count, seed: seed).enumerated().map {
      "{\"id\": \"\($1.id)\", \"text\": \"\($1.text)\", \"n\": \($0)}\n"
    }.joined()
  }

  private func build(_ path: String, resume: Bool, overwrite: Bool = false) throws {
    var options = IndexBuildOptions(corpus: folder.path + "/corpus.jsonl", output: path)
    options.m = 8
    options.efConstruction = 40
    options.batchSize = 30
    options.threads = 2
    options.lexical = LexicalSettings()
    options.terms = [WordTerms.request(.residual2)]
    options.resume = resume
    options.overwrite = overwrite
    _ = try IndexBuilder.build(options, encoder: encoder, modelPath: model, quiet: true)
  }

  private var changes: [Change] {
    [
      Change(name: "delete") { index, _ in
        _ = try IndexDeletion.delete(["a1", "a50", "c3"], from: index)
      },
      Change(name: "merge") { index, _ in
        _ = try IndexMerge.merge(index, threads: 2, quiet: true)
      },
      Change(name: "add-lexical") { index, _ in
        let settings = LexicalSettings(stemmer: .none, stopWords: .none)
        _ = try LexicalAddition.add(settings, to: index, threads: 2, quiet: true)
      },
      Change(name: "add") { index, isAgain in
        var options = IndexAdditionOptions(index: index, corpus: folder.path + "/more.jsonl")
        options.batchSize = 15
        options.threads = 2
        options.resume = isAgain
        _ = try IndexAddition.add(
          options, encoder: encoder, modelPath: model, terms: WordTerms.sources, quiet: true)
      },
      Change(name: "add-terms") { index, isAgain in
        var options = TermAdditionOptions(index: index, terms: [WordTerms.request(.int8)])
        options.batchSize = 40
        options.threads = 2
        options.resume = isAgain
        _ = try TermAddition.add(options, quiet: true)
      },
      Change(name: "overwrite") { index, isAgain in
        try build(index, resume: isAgain, overwrite: true)
      },
      Change(name: "build") { index, isAgain in
        if !isAgain { try FileSystem.removeTree(index) }
        try build(index, resume: isAgain)
      },
    ]
  }

  /// A copy of the index to work on.
  private func copy(_ name: String) throws -> String {
    let path = folder.path + "/" + name
    try FileSystem.removeTree(path)
    for (file, bytes) in try contents(of: before) where !file.hasSuffix("/") {
      try folder.file(name + "/" + file, bytes)
    }
    return path
  }

  @Test func `a disk that fills up at any write leaves an index that answers`() throws {
    let seed: UInt64 = 194
    var random = SplitMix64(seed: seed)
    let old = try Snapshot(before)
    for change in changes {
      // Once without a limit, to count what there is to fail.
      let reference = try copy(change.name)
      let counter = FullDisk(below: reference, after: .operations(.max))
      try change.apply(reference, false)
      counter.end()
      let new = try Snapshot(reference)
      var limits: [FullDisk.Limit] = [.operations(0), .operations(counter.operations - 1)]
      for _ in 0..<Soak.times(7) {
        limits.append(.operations(Int(random.next() % UInt64(counter.operations))))
      }
      for _ in 0..<Soak.times(7) {
        limits.append(.bytes(Int(random.next() % UInt64(counter.bytes))))
      }
      for limit in limits {
        let note = "\(change.name), full after \(limit), seed \(seed)"
        let path = try copy(change.name + "-full")
        let disk = FullDisk(below: path, after: limit)
        let error = #expect(throws: RetortError.self, "\(note)") { try change.apply(path, false) }
        disk.end()
        let text = "\(try #require(error))"
        #expect(error?.exitCode == 74 && text.contains("No space left on device; free"), "\(text)")
        #expect(disk.failures > 0, "\(note)")
        if change.name != "build" {
          #expect(try Snapshot(path) == old, "\(note)")
        } else {
          #expect(throws: RetortError.self, "\(note)") { try PassageIndex(path: path) }
        }
        try change.apply(path, true)
        #expect(try Snapshot(path) == new, "\(note)")
        #expect(try strangers(in: path) == [], "\(note)")
      }
    }
  }

  /// What an index answers, without how its files are called.
  private struct Snapshot: Equatable {
    var passages: [String]
    var walked: [[SearchHit]]
    var words: [[SearchHit]]
    var terms: [[SearchHit]]

    init(_ path: String) throws {
      let index = try PassageIndex(path: path)
      try index.verify()
      passages = try (0..<index.capacity).map {
        "\(try index.passage($0)) \(try index.fields(of: $0)) \(try index.isDeleted($0))"
      }
      let queries = try noisyQueries(index, count: 2, seed: 195)
      walked = try index.search(queries, k: 10, mode: .graph(efSearch: 30))
      words = try index.searchWords(["gold and water", "river stone"], k: 10)
      terms = try WordTerms.search(index)
    }
  }

  /// Files in an index's folder that do not belong to it.
  private func strangers(in path: String) throws -> [String] {
    let manifest = try PassageIndex(path: path).manifest
    let named = manifest.segments.flatMap { $0.files.values.map(\.name) } + ["manifest.json"]
    return try contents(of: path).keys.filter { !$0.hasSuffix("/") && !named.contains($0) }
  }
}
