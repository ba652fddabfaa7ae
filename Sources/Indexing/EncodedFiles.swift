import Formats
import Foundation
import Platform
import Store

/// What encoding makes: `NAME.npy` (or `.fvecs`, `.fbin`), `NAME.ids` with an id a line in the order
/// of the vectors, and `NAME.json`, which says what the two are. The last is written last: where it
/// lies, the others are whole.
struct EncodedFiles {
  /// The vectors.
  let vectors: String
  /// How they are written.
  let format: VectorFormat
  /// The ids.
  let ids: String
  /// The description.
  let description: String
  /// Unfinished work; gone when it is finished.
  let staging: IndexFolder

  /// The files of a share of `output`.
  init(_ output: String, shard: Shard) throws(RetortError) {
    let path = FileSystem.resolved(output)
    format = try VectorFormat(ofName: path)
    guard FileSystem.kind(of: path) != .folder else {
      throw RetortError(.usage, "is a folder; name a file of vectors", path: path)
    }
    let ending = path.suffix(format.rawValue.utf8.count + 1)
    let stem = String(path.dropLast(ending.count)) + shard.suffix
    vectors = stem + ending
    ids = stem + ".ids"
    description = stem + ".json"
    staging = IndexFolder(vectors + ".part")
  }

  /// Whether any of the three is there.
  var exist: Bool {
    [vectors, ids, description].contains { FileSystem.kind(of: $0) != .nothing }
  }

  /// The description, nil where there is none.
  func read() throws(RetortError) -> EncodedDescription? {
    guard FileSystem.kind(of: description) == .file else { return nil }
    let bytes = try FileSystem.read(description, limit: 1 << 20)
    do {
      return try JSONDecoder().decode(EncodedDescription.self, from: Data(bytes))
    } catch {
      throw RetortError(
        .badData, "does not describe vectors; add --overwrite to replace it", path: description,
        cause: error)
    }
  }

  /// Writes the description of finished files.
  func write(_ content: EncodedDescription) throws(RetortError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    do {
      let bytes = [UInt8](try encoder.encode(content))
      try FileSystem.replace(description, with: bytes + [10])
    } catch let error as RetortError {
      throw error
    } catch {
      throw RetortError(.io, "the description cannot be written", path: description, cause: error)
    }
  }

  /// CRC-32C of a finished file; answers interruptions.
  static func checksum(_ path: String) throws(RetortError) -> UInt32 {
    let file = try MappedFile(path: path)
    var checksum: UInt32 = 0
    for start in stride(from: 0, to: file.count, by: 8 << 20) {
      try Interruption.check()
      let length = min(8 << 20, file.count - start)
      let part = try file.slice(offset: UInt64(start), length: UInt64(length))
      checksum = withExtendedLifetime(file) { Checksum.crc32c(part, seed: checksum) }
    }
    try file.checkIntact()
    return checksum
  }
}

/// What files of vectors are: which texts, encoded by which model.
struct EncodedDescription: Codable, Equatable {
  var count: Int
  var dimension: Int
  var model: Manifest.Model
  /// What was read: passages, or queries.
  var source: Manifest.Corpus
  var shardID: Int
  var shards: Int
  var vectorsChecksum: UInt32
  var idsChecksum: UInt32
}
