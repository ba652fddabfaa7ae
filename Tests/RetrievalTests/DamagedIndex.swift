import Formats
import Platform
import Retrieval
import Store
import TestSupport

/// A copy of an index whose files are damaged one after the other.
final class DamagedIndex {
  let folder: TemporaryFolder
  let files: [String: [UInt8]]
  private let queries: [Float]
  private let reference: Answers
  private let filter: Filter?

  /// All that an index can be asked.
  private struct Answers {
    var manifest: Manifest
    var walked: [[SearchHit]]
    var exact: [[SearchHit]]
    /// With their fields.
    var passages: [Passage]
    var numbers: [Int?]
    var filtered: [[SearchHit]]
    /// By words; nil where there is no lexical data.
    var words: [[SearchHit]]?
    /// By stored terms; none where there are none.
    var terms: [[SearchHit]]
  }

  /// What became of the damage.
  enum Outcome: Equatable {
    /// Opening or verifying threw an error.
    case noticed
    /// Everything answered as before.
    case harmless
    /// An answer differs: the one thing that must not be.
    case wrong(String)
  }

  init(of path: String, filter: String? = nil) throws {
    self.filter = try filter.map { try Filter($0) }
    folder = try TemporaryFolder("damaged")
    files = try contents(of: path).filter { !$0.key.hasSuffix("/") }
    for (name, bytes) in files { try folder.file(name, bytes) }
    let index = try PassageIndex(path: path)
    queries = try noisyQueries(index, count: 4, seed: 51)
    reference = Answers(
      manifest: index.manifest,
      walked: try index.search(queries, k: 20, mode: .graph(efSearch: 400)),
      exact: try index.search(queries, k: 20, mode: .exact),
      passages: try (0..<index.capacity).map { try Self.passage($0, of: index) },
      numbers: try (0..<index.capacity).map { try index.number(of: index.id($0)) },
      filtered: try Self.filtered(queries, self.filter, in: index),
      words: try Self.words(in: index),
      terms: try WordTerms.search(index))
    try index.verify()
  }

  private static func passage(
    _ number: Int, of index: PassageIndex
  ) throws(RetortError) -> Passage {
    var passage = try index.passage(number)
    passage.fields = try index.fields(of: number)
    return passage
  }

  private static func filtered(
    _ queries: [Float], _ filter: Filter?, in index: PassageIndex
  ) throws(RetortError) -> [[SearchHit]] {
    guard let filter else { return [] }
    return try index.search(
      queries, k: 15, mode: .graph(efSearch: 50), among: index.select(filter))
  }

  private static func words(in index: PassageIndex) throws(RetortError) -> [[SearchHit]]? {
    guard index.manifest.lexical != nil else { return nil }
    return try index.searchWords(
      ["gold and water", "what is the river", "water water", "nowhere"], k: 20)
  }

  /// The files that the manifest names.
  var segments: [String] { files.keys.filter { $0.hasSuffix(".seg") }.sorted() }

  /// The path, within the index, of the file with this role.
  func name(_ role: String) -> String { "segments/000001/\(role).seg" }

  /// Puts `bytes` in the place of the file `name`, asks everything, and puts the old file back.
  ///
  /// With `adaptManifest` the manifest is rewritten to name the new length and checksum.
  func outcome(
    _ name: String, _ bytes: [UInt8], adaptManifest: Bool = false
  ) throws -> Outcome {
    guard adaptManifest else {
      try put(name, bytes)
      defer { try? put(name, files[name] ?? []) }
      return ask()
    }
    return try replacing(withDependents(name, bytes)) { ask(allowing: $0) }
  }

  /// The file `name` as `bytes`, with the files of terms that must name its checksum if it is a book:
  /// else they would be refused before anybody reads it.
  private func withDependents(_ name: String, _ bytes: [UInt8]) -> [String: [UInt8]] {
    var changed = [name: bytes]
    for segment in reference.manifest.segments {
      for (role, file) in segment.files where file.name == name && role.hasPrefix("book") {
        guard let terms = segment.files["terms" + role.dropFirst(4)]?.name,
          let bytes = files[terms]
        else { continue }
        var image = SegmentImage(bytes)
        image["shape"].set(Checksum.crc32c(Array(changed[name]?.prefix(4096) ?? [])), at: 24)
        changed[terms] = image.encoded()
      }
    }
    return changed
  }

  /// Calls `body` while `bytes` are in the place of the file `name` and the manifest names them.
  func replacing<Result>(
    _ name: String, _ bytes: [UInt8], _ body: (Manifest) throws -> Result
  ) throws -> Result {
    try replacing([name: bytes], body)
  }

  private func replacing<Result>(
    _ changed: [String: [UInt8]], _ body: (Manifest) throws -> Result
  ) throws -> Result {
    defer { for name in changed.keys { try? put(name, files[name] ?? []) } }
    for (name, bytes) in changed { try put(name, bytes) }
    var manifest = reference.manifest
    for place in manifest.segments.indices {
      for (role, file) in manifest.segments[place].files {
        guard let bytes = changed[file.name] else { continue }
        manifest.segments[place].files[role]?.bytes = bytes.count
        manifest.segments[place].files[role]?.headerChecksum =
          Checksum.crc32c(Array(bytes.prefix(4096)))
      }
    }
    try put("manifest.json", try manifest.encoded())
    defer { try? put("manifest.json", files["manifest.json"] ?? []) }
    return try body(manifest)
  }

  /// A new file each time: the old one may still be mapped.
  private func put(_ name: String, _ bytes: [UInt8]) throws {
    try FileSystem.remove(folder.path + "/" + name)
    try folder.file(name, bytes)
  }

  private func ask(allowing manifest: Manifest? = nil) -> Outcome {
    let index: PassageIndex
    do throws(RetortError) {
      index = try PassageIndex(path: folder.path)
    } catch {
      return .noticed
    }
    var errors = 0
    var wrong: String?
    func compare<Value: Equatable>(
      _ what: String, _ expected: Value, _ ask: () throws(RetortError) -> Value
    ) {
      do throws(RetortError) {
        if try ask() != expected { wrong = what }
      } catch {
        errors += 1
      }
    }
    compare("manifest", manifest ?? reference.manifest) { index.manifest }
    compare("graph", reference.walked) { () throws(RetortError) in
      try index.search(queries, k: 20, mode: .graph(efSearch: 400), threads: 2)
    }
    compare("exact", reference.exact) { () throws(RetortError) in
      try index.search(queries, k: 20, mode: .exact)
    }
    for (number, passage) in reference.passages.enumerated() {
      compare("passage \(number)", passage) { () throws(RetortError) in
        try Self.passage(number, of: index)
      }
      compare("number of \(passage.id)", reference.numbers[number]) { () throws(RetortError) in
        try index.number(of: passage.id)
      }
    }
    compare("filtered", reference.filtered) { () throws(RetortError) in
      try Self.filtered(queries, filter, in: index)
    }
    compare("words", reference.words) { () throws(RetortError) in try Self.words(in: index) }
    compare("terms", reference.terms) { () throws(RetortError) in try WordTerms.search(index) }
    if let wrong { return .wrong(wrong) }
    do throws(RetortError) { try index.verify() } catch { errors += 1 }
    return errors > 0 ? .noticed : .harmless
  }
}
