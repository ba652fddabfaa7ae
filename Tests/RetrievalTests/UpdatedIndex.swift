import Formats
import Foundation
import Indexing
import Lexical
import Models
import Platform
import Retrieval
import Store
import TestSupport

/// An index that tests change, beside what it should hold.
final class UpdatedIndex {
  let folder: TemporaryFolder
  var path: String { folder.path + "/index" }
  /// What the index should hold, in the order of its numbers.
  private(set) var passages: [Passage] = []
  private static let model = Result { try Model() }

  private final class Model: Sendable {
    let folder: TemporaryFolder
    let encoder: TextEncoder

    init() throws {
      folder = try TemporaryFolder("model")
      try TinyEncoder.write(to: folder.path)
      encoder = try TextEncoder(directory: folder.path)
    }
  }

  init(
    _ passages: [Passage], lexical: LexicalSettings? = nil, terms: [TermRequest] = []
  ) throws {
    folder = try TemporaryFolder("updated")
    self.passages = passages
    try Self.build(passages, at: path, in: folder, lexical: lexical, terms: terms)
  }

  static func build(
    _ passages: [Passage], at path: String, in folder: TemporaryFolder,
    lexical: LexicalSettings? = nil, terms: [TermRequest] = []
  ) throws {
    let model = try model.get()
    var options = IndexBuildOptions(
      corpus: try folder.file("build.jsonl", jsonl(passages)), output: path)
    options.m = 8
    options.efConstruction = 60
    options.batchSize = 100
    options.threads = 2
    options.lexical = lexical
    options.terms = terms
    _ = try IndexBuilder.build(
      options, encoder: model.encoder, modelPath: model.folder.path, quiet: true)
  }

  @discardableResult
  func add(_ added: [Passage]) throws -> IndexBuildReport {
    let model = try Self.model.get()
    var options = IndexAdditionOptions(
      index: path, corpus: try folder.file("add.jsonl", Self.jsonl(added)))
    options.batchSize = 30
    options.threads = 2
    let report = try IndexAddition.add(
      options, encoder: model.encoder, modelPath: model.folder.path, terms: WordTerms.sources,
      quiet: true)
    let changed = added.filter { !passages.contains($0) }
    let ids = Set(changed.map(\.id))
    passages = passages.filter { !ids.contains($0.id) } + changed
    return report
  }

  @discardableResult
  func delete(_ ids: [String]) throws -> IndexDeletionReport {
    let report = try IndexDeletion.delete(ids, from: path)
    let gone = Set(ids)
    passages.removeAll { gone.contains($0.id) }
    return report
  }

  @discardableResult
  func merge() throws -> IndexMergeReport {
    try IndexMerge.merge(path, threads: 2, quiet: true)
  }

  func opened() throws -> PassageIndex { try PassageIndex(path: path) }

  private static func jsonl(_ passages: [Passage]) throws -> String {
    try passages.map { passage in
      var object: [String: Any] = ["id": passage.id, "text": passage.text]
      for (name, values) in passage.fields {
        let plain = values.map { value -> Any in
          switch value {
          case .flag(let flag): flag
          case .number(let number): number
          case .text(let text): text
          }
        }
        object[name] = plain.count == 1 ? plain[0] : plain
      }
      let line = try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])
      return String(decoding: line, as: UTF8.self) + "\n"
    }.joined()
  }
}

/// Passages of random words with ids from `prefix`.
func passages(_ prefix: String, _ count: Int, seed: UInt64) -> [Passage] {
  SyntheticCorpus(count: count, seed: seed).passages.enumerated().map {
    Passage(id: "\(prefix)\($0.offset)", text: $0.element.text)
  }
}

/// What a search found, by id.
func named(_ hits: [SearchHit], in index: PassageIndex) throws -> [String] {
  try hits.map { try index.id($0.number) }
}
