import Foundation
import Graph
import Lexical
import Platform
import Terms

/// How scores are computed; higher is better.
public enum Metric: String, Sendable, Codable, CaseIterable {
  /// The inner product.
  case innerProduct = "ip"
  /// The cosine: the inner product of vectors scaled to length 1.
  case cosine
  /// Euclidean distance; scores are its square, negative so that the nearest comes first.
  case euclidean = "l2"

  /// What the graph and the scans rank by.
  package var graphMetric: GraphMetric { self == .euclidean ? .euclidean : .innerProduct }
}

/// What an index is: which files, made from what, how. The one mutable file of an index; it is
/// written last and replaced atomically, so it never names a file that is not whole.
///
/// It holds nothing that differs between two builds of the same input (no dates, no thread counts).
public struct Manifest: Sendable, Codable, Equatable {
  /// The encoder that made the vectors.
  public struct Model: Sendable, Codable, Equatable {
    /// The model's folder at build time, absolute.
    public var path: String
    /// Identity of weights, tokenizer and the settings below; a search must use the same.
    public var fingerprint: String
    /// The family: bert, distilbert, albert.
    public var architecture: String
    /// cls or mean.
    public var pooling: String
    /// Whether vectors have length 1.
    public var normalized: Bool
    /// Token ids a passage at most, special ones included.
    public var maxLength: Int
    /// The number format the encoder computed in; nil means f32.
    public var precision: String?

    /// Describes an encoder.
    public init(
      path: String, fingerprint: String, architecture: String, pooling: String, normalized: Bool,
      maxLength: Int, precision: String? = nil
    ) {
      self.path = path
      self.fingerprint = fingerprint
      self.architecture = architecture
      self.pooling = pooling
      self.normalized = normalized
      self.maxLength = maxLength
      self.precision = precision
    }
  }

  /// Term vectors that are stored for a re-ranker.
  public struct Terms: Sendable, Codable, Equatable {
    /// The kind of the re-ranker, as in `colbert:MODEL`.
    public var kind: String
    /// The model's folder at build time, absolute.
    public var path: String
    /// Identity of all that decides the vectors of a passage.
    public var fingerprint: String
    /// Components of a vector.
    public var dimension: Int
    /// How vectors are stored.
    public var codec: TermCodec
    /// The number format the model computed in; nil means f32.
    public var precision: String?

    /// Describes stored terms.
    public init(
      kind: String, path: String, fingerprint: String, dimension: Int, codec: TermCodec,
      precision: String? = nil
    ) {
      self.kind = kind
      self.path = path
      self.fingerprint = fingerprint
      self.dimension = dimension
      self.codec = codec
      self.precision = precision
    }

    /// As people write it: `colbert:models/x`.
    public var name: String { "\(kind):\(path)" }
  }

  /// What was read.
  public struct Corpus: Sendable, Codable, Equatable {
    /// The path as it was given.
    public var path: String
    /// Which share of the corpus was read, such as "-00003-of-00016"; nil: all of it.
    public var shard: String?
    /// Passages whose text was longer than the encoder takes: their vectors know only the start.
    public var truncatedTexts: Int
    /// Passages without text.
    public var emptyTexts: Int
    /// Bad lines that were skipped on request.
    public var skippedLines: Int

    /// Describes a corpus.
    public init(
      path: String, shard: String? = nil, truncatedTexts: Int, emptyTexts: Int, skippedLines: Int
    ) {
      self.path = path
      self.shard = shard
      self.truncatedTexts = truncatedTexts
      self.emptyTexts = emptyTexts
      self.skippedLines = skippedLines
    }
  }

  /// How graphs are built.
  public struct GraphSettings: Sendable, Codable, Equatable {
    /// Links a node makes on each layer.
    public var m: Int
    /// Candidates kept while building.
    public var efConstruction: Int
    /// Decides the levels.
    public var seed: UInt64

    /// Settings of all graphs of an index.
    public init(m: Int, efConstruction: Int, seed: UInt64) {
      self.m = m
      self.efConstruction = efConstruction
      self.seed = seed
    }
  }

  /// What came of building a segment's graph.
  public struct GraphInfo: Sendable, Codable, Equatable {
    /// The number of layers.
    public var layers: Int
    /// The number of links on layer 0.
    public var links: Int
    /// Nodes reachable over layer 0 before the reachability pass, linked by it, and after it.
    public var reachedBefore, linkedByPass, reachable: Int

    /// Describes a graph.
    public init(layers: Int, links: Int, reachedBefore: Int, linkedByPass: Int, reachable: Int) {
      self.layers = layers
      self.links = links
      self.reachedBefore = reachedBefore
      self.linkedByPass = linkedByPass
      self.reachable = reachable
    }
  }

  /// Passages that were added together, and the files that hold them. A segment never changes;
  /// which of its passages are deleted is said by a file of its own.
  public struct Segment: Sendable, Codable, Equatable {
    /// The name of the segment's folder: the generation that made it.
    public var name: String
    /// Passages stored, deleted ones included.
    public var passages: Int
    /// Passages deleted since.
    public var deleted: Int
    /// What the passages were read from.
    public var sources: [Corpus]
    /// The graph.
    public var graph: GraphInfo
    /// The names of the fields that some passages have, ascending.
    public var fields: [String]
    /// The files by role: "vectors", "passages", "graph", and where there are such things "metadata",
    /// "lexical" and "deleted".
    public var files: [String: File]

    /// Passages that searches find.
    public var live: Int { passages - deleted }

    /// Describes a segment.
    public init(
      name: String, passages: Int, deleted: Int = 0, sources: [Corpus], graph: GraphInfo,
      fields: [String] = [], files: [String: File]
    ) {
      self.name = name
      self.passages = passages
      self.deleted = deleted
      self.sources = sources
      self.graph = graph
      self.fields = fields
      self.files = files
    }
  }

  /// A file of the index.
  public struct File: Sendable, Codable, Equatable {
    /// The path within the index folder.
    public var name: String
    /// Its length in bytes.
    public var bytes: Int
    /// CRC-32C of its first 4,096 bytes, which cover the checksums of all the rest.
    public var headerChecksum: UInt32

    /// Describes a file.
    public init(name: String, bytes: Int, headerChecksum: UInt32) {
      self.name = name
      self.bytes = bytes
      self.headerChecksum = headerChecksum
    }
  }

  /// The version of the index format.
  public var formatVersion: Int
  /// Counts up with every change of the index.
  public var generation: Int
  /// The number of passages that searches find.
  public var passages: Int
  /// Components a vector.
  public var dimension: Int
  /// How scores are computed.
  public var metric: Metric
  /// The encoder; nil where the vectors came from elsewhere.
  public var model: Model?
  /// How the graphs are built.
  public var graph: GraphSettings
  /// The metadata fields that are kept; nil: all.
  public var keptFields: [String]?
  /// How texts became the terms of inverted files; nil where there are none.
  public var lexical: LexicalSettings?
  /// The term vectors that are stored, in the order of their files; nil where there are none.
  public var terms: [Terms]?
  /// The parts of the index, oldest first. Passages are numbered through them in this order.
  public var segments: [Segment]

  /// Describes an index.
  public init(
    generation: Int, dimension: Int, metric: Metric = .innerProduct, model: Model?,
    graph: GraphSettings,
    keptFields: [String]? = nil, lexical: LexicalSettings? = nil, terms: [Terms]? = nil,
    segments: [Segment]
  ) {
    formatVersion = Self.currentVersion
    self.generation = generation
    passages = segments.reduce(0) { $0 + $1.live }
    self.dimension = dimension
    self.metric = metric
    self.model = model
    self.graph = graph
    self.keptFields = keptFields
    self.lexical = lexical
    self.terms = terms
    self.segments = segments
  }

  /// The same index with other segments, as the generation after this one or a later one.
  package func next(_ generation: Int, segments: [Segment]) -> Manifest {
    Manifest(
      generation: generation, dimension: dimension, metric: metric, model: model, graph: graph,
      keptFields: keptFields, lexical: lexical, terms: terms, segments: segments)
  }

  /// What all passages were read from, in order.
  public var sources: [Corpus] { segments.flatMap(\.sources) }

  /// Bytes of all files.
  public var bytes: Int {
    var seen = Set<String>()
    // Segments may share a file.
    return segments.reduce(0) { sum, segment in
      segment.files.values.reduce(sum) { seen.insert($1.name).inserted ? $0 &+ $1.bytes : $0 }
    }
  }

  /// The format version this program writes and reads.
  public static let currentVersion = 3
}

extension Manifest {
  /// The role of the file of terms `number`, from 0.
  package static func terms(_ number: Int) -> String { "terms-\(number + 1)" }

  /// The role of the file of their centroids.
  package static func book(_ number: Int) -> String { "book-\(number + 1)" }

  /// The place among the stored terms of those with this fingerprint.
  package func terms(fingerprint: String) -> Int? {
    terms?.firstIndex { $0.fingerprint == fingerprint }
  }
}

// MARK: - On disk

// manifest.json is one JSON object, {"crc32c":"xxxxxxxx","manifest":{…}}, where the checksum covers
// the bytes of the inner object as written. Any JSON reader reads it; a changed byte is noticed.

extension Manifest {
  private static let prefix = "{\"crc32c\":\""
  private static let middle = "\",\"manifest\":"
  private static let suffix = "}\n"

  /// The bytes of manifest.json.
  package func encoded() throws(RetortError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    let inner: [UInt8]
    do {
      inner = [UInt8](try encoder.encode(self))
    } catch {
      throw RetortError(.badData, "the manifest cannot be written as JSON", cause: error)
    }
    let checksum = Checksum.crc32c(inner)
    let digits = String(checksum, radix: 16)
    let padded = String(repeating: "0", count: 8 - digits.count) + digits
    return Array((Self.prefix + padded + Self.middle).utf8) + inner + Array(Self.suffix.utf8)
  }

  /// Reads and checks manifest.json.
  package static func read(_ path: String) throws(RetortError) -> Manifest {
    let bytes = try FileSystem.read(path, limit: 1 << 26)
    let start = prefix.utf8.count + 8 + middle.utf8.count
    let damaged = RetortError(
      .checksumMismatch,
      "the manifest is damaged; restore it from a copy or build the index again", path: path)
    guard bytes.count > start + suffix.utf8.count, bytes.starts(with: prefix.utf8),
      bytes[(prefix.utf8.count + 8)..<start].elementsEqual(middle.utf8),
      bytes.suffix(suffix.utf8.count).elementsEqual(suffix.utf8),
      let stored = UInt32(
        String(decoding: bytes[prefix.utf8.count..<(prefix.utf8.count + 8)], as: UTF8.self),
        radix: 16)
    else { throw damaged }
    let inner = Array(bytes[start..<(bytes.count - suffix.utf8.count)])
    guard Checksum.crc32c(inner) == stored else { throw damaged }
    struct Version: Decodable { var formatVersion: Int }
    do {
      let version = try JSONDecoder().decode(Version.self, from: Data(inner)).formatVersion
      guard version == currentVersion else {
        throw RetortError(
          .unsupportedVersion,
          "the index has format version \(version), this program reads \(currentVersion); use the "
            + "matching release or build the index again", path: path)
      }
      return try JSONDecoder().decode(Manifest.self, from: Data(inner))
    } catch let error as RetortError {
      throw error
    } catch {
      throw RetortError(
        .badData, "the manifest lacks what this version needs; build the index again", path: path,
        cause: error)
    }
  }
}
