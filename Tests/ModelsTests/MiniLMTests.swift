import Foundation
import Models
import Platform
import Tensors
import Testing

/// The folder with real data, or nil.
let dataFolder = ProcessInfo.processInfo.environment["RETORT_DATA"]

/// Real weights against reference outputs.
@Suite(.enabled(if: dataFolder != nil, "set RETORT_DATA to the folder that holds models/"))
struct MiniLMTests {
  struct Golden: Decodable {
    struct Item: Decodable {
      var text: String
      var ids: [Int32]
      var cls: [Float]
      var mean: [Float]
      var normalized: [Float]
    }
    struct Layers: Decodable {
      var ids: [Int32]
      var hiddenStates: [[[Float]]]
    }
    var items: [Item]
    var layers: Layers
  }

  static let directory = (dataFolder ?? "") + "/models/all-MiniLM-L6-v2"

  static func golden() throws -> Golden {
    let path = (dataFolder ?? "") + "/models/all-MiniLM-L6-v2-golden/minilm_l6.json"
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Golden.self, from: Data(contentsOf: URL(filePath: path)))
  }

  static func cosine(_ a: some Sequence<Float>, _ b: [Float]) -> Double {
    var (dot, aa, bb) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      dot += Double(x) * Double(y)
      aa += Double(x) * Double(x)
      bb += Double(y) * Double(y)
    }
    return dot / (aa * bb).squareRoot()
  }

  @Test func `every layer gives the stored hidden states`() throws {
    let golden = try Self.golden().layers
    let transformer = try EncoderModel(directory: Self.directory).transformer
    let ops = InferenceOperators(workspace: Workspace())
    let batch = RaggedBatch([golden.ids])
    var x = transformer.embed(ops, batch)
    #expect(golden.hiddenStates.count == transformer.layers.count + 1)
    for (index, expected) in golden.hiddenStates.enumerated() {
      let difference = zip(x.values, expected.joined()).map { abs($0 - $1) }.max() ?? .infinity
      #expect(x.count == expected.joined().count)
      #expect(difference <= 1e-4, "layer \(index)")
      if index < transformer.layers.count {
        x = transformer.apply(layer: index, ops, x, batch)
      }
    }
  }

  @Test func `embeddings match the stored ones`() throws {
    let items = try Self.golden().items
    let model = try EncoderModel(directory: Self.directory)
    #expect(model.pooling == .mean)
    #expect(model.normalize)
    let vectors = try model.encode(items.map(\.ids), threads: 2)
    for (index, item) in items.enumerated() {
      let row = vectors[index * 384..<(index + 1) * 384]
      #expect(Self.cosine(row, item.normalized) >= 0.99999, "\(item.text)")
      let difference = zip(row, item.normalized).map { abs($0 - $1) }.max() ?? .infinity
      #expect(difference <= 1e-5, "\(item.text)")
    }
  }

  @Test(arguments: Pooling.allCases)
  func `raw pooling matches the stored vectors`(pooling: Pooling) throws {
    let items = try Self.golden().items
    var options = EncoderOptions()
    options.pooling = pooling
    options.normalize = false
    let vectors = try EncoderModel(directory: Self.directory, options: options)
      .encode(items.map(\.ids), threads: 2)
    for (index, item) in items.enumerated() {
      let expected = pooling == .cls ? item.cls : item.mean
      let row = vectors[index * 384..<(index + 1) * 384]
      let difference = zip(row, expected).map { abs($0 - $1) }.max() ?? .infinity
      #expect(difference <= 1e-4, "\(item.text)")
    }
  }

  @Test func `the number of threads does not change a bit`() throws {
    let sequences = try Self.golden().items.prefix(60).map(\.ids)
    let model = try EncoderModel(directory: Self.directory)
    let one = try model.encode(sequences, threads: 1)
    for threads in [2, 3] {
      let several = try model.encode(sequences, threads: threads)
      #expect(one.map(\.bitPattern) == several.map(\.bitPattern), "\(threads) threads")
    }
  }

  @Test func `a sequence gives the same vector alone and in a batch`() throws {
    let sequences = try Self.golden().items.map(\.ids)
    let model = try EncoderModel(directory: Self.directory)
    let together = try model.encode(sequences, threads: 2)
    for (index, sequence) in sequences.enumerated() where index % 4 == 0 {
      let alone = try model.encode([sequence], threads: 1)
      let row = together[index * 384..<(index + 1) * 384]
      let difference = zip(row, alone).map { abs($0 - $1) }.max() ?? .infinity
      #expect(difference <= 1e-5, "sequence \(index)")
    }
  }

  @Test func `texts give the reference's ids and vectors`() throws {
    // Texts at least as long as the reference's limit of 128 ids are cut there.
    var options = EncoderOptions()
    options.maxLength = 128
    let items = try Self.golden().items
    let encoder = try TextEncoder(directory: Self.directory, options: options)
    for item in items { #expect(encoder.tokenize(item.text).ids == item.ids, "\(item.text)") }
    let vectors = try encoder.encode(texts: items.map(\.text), threads: 2)
    #expect(vectors.count == items.count * encoder.dimension)
    for (index, item) in items.enumerated() {
      let row = vectors[index * 384..<(index + 1) * 384]
      #expect(Self.cosine(row, item.normalized) >= 0.99999, "\(item.text)")
    }
  }

  @Test func `the summary says what was decided and why`() throws {
    let encoder = try TextEncoder(directory: Self.directory)
    let summary = encoder.summary
    #expect(encoder.dimension == 384)
    #expect(encoder.maxLength == 256)
    #expect(summary.maxLength.reason.contains("sentence_bert_config.json"))
    #expect(summary.maxLength.reason.contains("128"))
    #expect(summary.layers == 6)
    #expect(summary.attentionHeads == 12)
    #expect(summary.pooling.value == .mean)
    #expect(summary.normalize.value)
    #expect(summary.parameters == 22_565_376)
    #expect(summary.ignoredTensors.contains("embeddings.position_ids"))
    #expect(summary.tokenizer == "WordPiece")
  }

  @Test func `the fingerprint depends on settings and not on the path`() throws {
    let folder = "\(temporaryFolder())/retort-link-\(UInt64.random(in: 0 ... .max))"
    #expect(symlink(Self.directory, folder) == 0)
    defer { unlink(folder) }
    let original = try TextEncoder(directory: Self.directory).fingerprint
    #expect(try TextEncoder(directory: folder).fingerprint == original)
    #expect(original.count == 32)
    var seen: Set<String> = [original]
    for change in [
      { (options: inout EncoderOptions) in options.pooling = .cls },
      { $0.normalize = false },
      { $0.maxLength = 200 },
    ] {
      var options = EncoderOptions()
      change(&options)
      let other = try TextEncoder(directory: Self.directory, options: options).fingerprint
      #expect(seen.insert(other).inserted)
    }
  }
}
