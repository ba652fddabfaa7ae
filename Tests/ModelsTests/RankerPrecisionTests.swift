import CKernels
import Formats
import Foundation
import Models
import Platform
import TestSupport
import Testing

/// A re-ranker of any kind, as far as precisions concern it.
private struct Ranker {
  var score: (_ query: String, _ passages: [String], _ threads: Int) throws -> [Float]
  var summary: RankerSummary
  var fingerprint: String
  /// What decides stored vectors; empty of a cross-encoder.
  var termFingerprint: String

  init(_ kind: ModelKind, _ directory: String, _ precision: EncoderPrecision) throws {
    switch kind {
    case .colbert:
      var options = ColBERTOptions()
      options.precision = precision
      let model = try ColBERT(directory: directory, options: options)
      score = { try model.score(query: $0, passages: $1, threads: $2).scores }
      (summary, fingerprint) = (model.summary, model.fingerprint)
      termFingerprint = model.termFingerprint
    case .prettr:
      let model = try PreTTR(directory: directory, precision: precision)
      score = { try model.score(query: $0, passages: $1, threads: $2).scores }
      (summary, fingerprint) = (model.summary, model.fingerprint)
      termFingerprint = model.termFingerprint
    default:
      let model = try CrossEncoder(directory: directory, precision: precision)
      score = { try model.score(query: $0, passages: $1, threads: $2) }
      (summary, fingerprint, termFingerprint) = (model.summary, model.fingerprint, "")
    }
  }
}

/// The correlation of two lists of scores.
private func correlation(_ a: [Float], _ b: [Float]) -> Double {
  func centred(_ values: [Float]) -> [Float] {
    let mean = values.reduce(0, +) / Float(values.count)
    return values.map { $0 - mean }
  }
  return MiniLMTests.cosine(centred(a), centred(b))
}

/// Re-rankers in bf16 and int8, quantised copies of them, and the choice that `auto` makes.
@Suite struct RankerPrecisionTests {
  private let folder: TemporaryFolder
  private let texts = SyntheticCorpus(count: 60, seed: 8).passages.map(\.text)
  private let query = "what is the water of a river"

  private static let models: [(name: String, kind: ModelKind)] = [
    ("cat", .crossEncoder), ("distil", .crossEncoder), ("original", .colbert),
    ("hofstaetter", .colbert), ("prettr", .prettr), ("small", .prettr),
  ]

  init() throws {
    folder = try TemporaryFolder("ranker-precision")
    try TinyEncoder.write(to: path("cat"), head: .classifier)
    try TinyEncoder.write(to: path("distil"), head: .classifier, body: .distilbert)
    try TinyEncoder.write(to: path("original"), head: .projection)
    try TinyEncoder.write(to: path("hofstaetter"), head: .compressor)
    try TinyEncoder.write(to: path("encoder"))
    for (name, compression) in [("prettr", nil), ("small", 8)] as [(String, Int?)] {
      var options = TrainableModel.Options()
      (options.queryLength, options.compression) = (12, compression)
      try FileSystem.makeFolder(path(name))
      try TrainablePreTTR(directory: path("encoder"), options: options).save(to: path(name))
    }
  }

  private func path(_ name: String) -> String { folder.path + "/" + name }

  private func scores(_ ranker: Ranker, threads: Int = 1) throws -> [Float] {
    try ranker.score(query, texts, threads)
  }

  @Test func `scores in bf16 and int8 are near those of f32, and are not the same`() throws {
    for (name, kind) in Self.models {
      let reference = try Ranker(kind, path(name), .f32)
      let expected = try scores(reference)
      for (precision, least) in [(EncoderPrecision.bf16, 0.999), (.int8, 0.98)] {
        let ranker = try Ranker(kind, path(name), precision)
        let found = try scores(ranker)
        let likeness = correlation(found, expected)
        #expect(likeness >= least, "\(name) in \(precision): \(likeness)")
        #expect(found != expected, "\(name) in \(precision) computes what f32 does")
        #expect(ranker.summary.precision.value == precision)
        #expect(
          ranker.summary.description.contains("precision:     \(precision.rawValue) (as asked"))
        // Scores of another precision are others; what is stored of passages may be compared.
        #expect(ranker.fingerprint != reference.fingerprint)
        #expect(ranker.termFingerprint == reference.termFingerprint)
      }
    }
  }

  @Test(arguments: PrecisionTests.precisions)
  func `scores depend on neither the other passages nor threads`(
    precision: EncoderPrecision
  ) throws {
    for (name, kind) in Self.models {
      let ranker = try Ranker(kind, path(name), precision)
      let together = try scores(ranker)
      #expect(together.allSatisfy { $0.isFinite })
      for threads in [2, 5] {
        let several = try scores(ranker, threads: threads)
        #expect(several == together, "\(name), \(threads) threads")
      }
      for size in [1, 7] {
        var parts: [Float] = []
        for start in stride(from: 0, to: texts.count, by: size) {
          parts += try ranker.score(query, Array(texts[start..<min(start + size, texts.count)]), 1)
        }
        #expect(parts == together, "\(name), \(size) at a time")
      }
    }
  }

  @Test(arguments: PrecisionTests.precisions)
  func `PreTTR scores what it kept of passages as it scores the passages`(
    precision: EncoderPrecision
  ) throws {
    for name in ["prettr", "small"] {
      let model = try PreTTR(directory: path(name), precision: precision)
      let expected = try model.score(query: query, passages: texts, threads: 1).scores
      let terms = try model.terms(of: texts, threads: 2)
      let question = model.sequence(query, .query)
      let found = try model.score(question, terms: terms, threads: 2)
      #expect(found == expected, "\(name)")
      // What another precision kept is read, too: eight bits err twice then, once each way.
      let kept = try PreTTR(directory: path(name)).terms(of: texts, threads: 2)
      let mixed = try model.score(question, terms: kept, threads: 2)
      #expect(correlation(mixed, expected) >= 0.98, "\(name)")
    }
  }

  // MARK: auto

  @Test func `auto takes what keeps the scores and says so`() throws {
    let hasInt8 = retort_level_in_use() != RETORT_LEVEL_SCALAR
    for (name, kind) in Self.models {
      let ranker = try Ranker(kind, path(name), .auto)
      let choice = ranker.summary.precision
      #expect(choice.reason.hasPrefix("auto: "), "\(choice)")
      #expect(choice.reason.contains("correlation of scores with f32 of") || !hasInt8, "\(choice)")
      let fixed = try Ranker(kind, path(name), choice.value)
      #expect(fixed.fingerprint == ranker.fingerprint)
      #expect(try scores(fixed) == scores(ranker))
    }
  }

  @Test func `auto keeps f32 where eight bits lose the scores`() throws {
    // One huge weight in every output of the layers leaves the others one code or none.
    for (name, kind) in Self.models where kind != .prettr {
      try rewrite(path(name)) { tensor, shape, values in
        guard shape.count == 2, tensor.contains("layer.") else { return }
        for row in 0..<shape[0] { values[row * shape[1] + row % 3] = 60 }
      }
      let choice = try Ranker(kind, path(name), .auto).summary.precision
      #expect(choice.value != .int8, "\(name): \(choice)")
      if retort_level_in_use() != RETORT_LEVEL_SCALAR {
        #expect(choice.reason.contains("int8 has only a correlation"), "\(choice)")
      }
    }
  }

  @Test func `auto is what stored vectors of the model were computed in`() throws {
    for stored in PrecisionTests.precisions {
      var options = ColBERTOptions()
      options.precision = .auto
      options.storedPrecisions = [
        try Ranker(.colbert, path("original"), .f32).termFingerprint: stored
      ]
      let colbert = try ColBERT(directory: path("original"), options: options)
      #expect(colbert.precision == stored)
      #expect(colbert.summary.precision.reason == "auto: as the stored term vectors")
      let prettr = try PreTTR(
        directory: path("prettr"), precision: .auto,
        stored: [try Ranker(.prettr, path("prettr"), .f32).termFingerprint: stored])
      #expect(prettr.precision == stored)
    }
  }

  // MARK: Weights that are not what they should be

  @Test(arguments: [Float.nan, .infinity], PrecisionTests.precisions + [.auto])
  func `weights that are not finite are one error, in the layers and in the head`(
    value: Float, precision: EncoderPrecision
  ) throws {
    for (name, kind, head) in [
      ("cat", ModelKind.crossEncoder, "classifier.weight"), ("original", .colbert, "linear.weight"),
      ("prettr", .prettr, "_classification_layer.weight"),
    ] {
      for suffix in ["encoder.layer.1.output.dense.weight", head] {
        let weights = path(name) + "/model.safetensors"
        let bytes = try FileSystem.read(weights)
        try rewrite(path(name)) { tensor, _, values in
          if tensor.hasSuffix(suffix) { values[3] = value }
        }
        let error = #expect(throws: RetortError.self) { try Ranker(kind, path(name), precision) }
        #expect(error?.message.contains(suffix) == true, "\(name): \(String(describing: error))")
        #expect(error?.message.contains("element 3") == true)
        try FileSystem.replace(weights, with: bytes)
      }
    }
  }

  /// Changes the tensors of a folder.
  private func rewrite(
    _ directory: String, _ change: (String, [Int], inout [Float]) -> Void
  ) throws {
    let weights = directory + "/model.safetensors"
    let file = try SafeTensors(path: weights)
    var writer = SafeTensorsWriter()
    for tensor in file.tensors {
      var values = try file.floats(tensor)
      change(tensor.name, tensor.shape, &values)
      writer.add(tensor.name, shape: tensor.shape, values: values)
    }
    try writer.write(to: weights + ".new")
    try FileSystem.rename(weights + ".new", to: weights)
  }

  // MARK: Quantised copies

  @Test func `a quantised copy of a re-ranker is one of its kind, head included`() throws {
    for (name, kind) in Self.models {
      let copy = path(name + "-int8")
      let report = try ModelQuantizer.quantize(
        directory: path(name), output: copy, format: .int8)
      #expect(report.bytesAfter * 2 < report.bytesBefore)
      #expect(report.scoreCorrelation ?? 0 >= 0.9, "\(name): \(report)")
      #expect(try ModelKind(directory: copy) == kind)
      let expected = try scores(Ranker(kind, path(name), .int8))
      for precision in [EncoderPrecision.int8, .auto] {
        let ranker = try Ranker(kind, copy, precision)
        let found = try scores(ranker, threads: 2)
        // Words are codes, too, in the copy.
        #expect(correlation(found, expected) >= 0.98, "\(name)")
        #expect(ranker.summary.precision.value == .int8)
        #expect(ranker.summary.precision.reason == "as stored")
        #expect(ranker.summary.storedPrecision.contains("I8"))
      }
      // Whoever asks for nothing gets what there is.
      if kind == .crossEncoder {
        let usual = try CrossEncoder(directory: copy)
        #expect(usual.precision == .int8)
        #expect(try CrossEncoder(directory: path(name)).precision == .f32)
      }
      for precision in [EncoderPrecision.f32, .bf16] {
        let error = #expect(throws: RetortError.self) { try Ranker(kind, copy, precision) }
        #expect(error?.code == .usage)
        #expect(error?.message.contains("holds int8 weights only; ask for int8") == true)
      }
      let half = try ModelQuantizer.quantize(
        directory: path(name), output: path(name + "-f16"), format: .f16)
      #expect(half.scoreCorrelation ?? 0 >= 0.999, "\(name): \(half)")
    }
    let encoder = try ModelQuantizer.quantize(
      directory: path("encoder"), output: path("encoder-int8"), format: .int8)
    #expect(encoder.scoreCorrelation == nil)
  }

  @Test func `a damaged copy of a re-ranker is one error`() throws {
    _ = try ModelQuantizer.quantize(directory: path("cat"), output: path("copy"), format: .int8)
    let weights = path("copy") + "/model.safetensors"
    let bytes = try FileSystem.read(weights)
    for tensor in try SafeTensors(path: weights).tensors
    where tensor.name.hasSuffix(".panels") || tensor.name.hasSuffix(".codes") {
      var damaged = bytes
      damaged[tensor.range.lowerBound + tensor.range.count / 2] ^= 0x10
      try FileSystem.replace(weights, with: damaged)
      let error = #expect(throws: RetortError.self) {
        try Ranker(.crossEncoder, path("copy"), .int8)
      }
      #expect(error?.code == .checksumMismatch)
      #expect(error?.message.contains(tensor.name) == true)
    }
  }
}

/// The real body of all-MiniLM-L6-v2 below a random head.
@Suite(.enabled(if: dataFolder != nil, "set RETORT_DATA to the folder that holds models/"))
struct MiniLMRankerPrecisionTests {
  @Test func `a cross-encoder on a real body keeps its scores in int8, and auto takes it`() throws {
    let folder = try TemporaryFolder("minilm-cat")
    for name in ["config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json"] {
      let source = MiniLMTests.directory + "/" + name
      guard FileSystem.kind(of: source) == .file else { continue }
      try FileSystem.replace(folder.path + "/" + name, with: try FileSystem.read(source))
    }
    let file = try SafeTensors(path: MiniLMTests.directory + "/model.safetensors")
    var writer = SafeTensorsWriter()
    for tensor in file.tensors {
      writer.add(
        tensor.name, type: tensor.type, shape: tensor.shape, bytes: file.bytes(of: tensor))
    }
    var random = SplitMix64(seed: 12)
    writer.add(
      "classifier.weight", shape: [1, 384],
      values: (0..<384).map { _ in Float(random.normal()) / 8 })
    writer.add("classifier.bias", shape: [1], values: [0.1])
    try writer.write(to: folder.path + "/model.safetensors")

    let passages = try MiniLMTests.golden().items.map(\.text)
    let exact = try CrossEncoder(directory: folder.path)
    for query in ["what is the capital of France", "how do plants make food"] {
      let expected = try exact.score(query: query, passages: passages, threads: 2)
      for (precision, least) in [(EncoderPrecision.bf16, 0.999), (.int8, 0.99)] {
        let model = try CrossEncoder(directory: folder.path, precision: precision)
        let found = try model.score(query: query, passages: passages, threads: 2)
        #expect(correlation(found, expected) >= least, "\(precision): \(query)")
        #expect(try model.score(query: query, passages: passages, threads: 1) == found)
      }
    }
    let choice = try CrossEncoder(directory: folder.path, precision: .auto).summary.precision
    #expect(choice.reason.hasPrefix("auto: "), "\(choice)")
    print("auto on a random head over all-MiniLM-L6-v2: \(choice)")
  }
}
