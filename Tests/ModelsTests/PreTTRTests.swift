import Formats
import Models
import Platform
import Tensors
import TestSupport
import Testing

/// PreTTR against values computed in double precision, and what is kept of passages.
@Suite struct PreTTRTests {
  private static let query: [Int32] = [2, 5, 7, 3]
  private static let passages: [[Int32]] = [[5, 9, 11, 3], [13, 4, 3]]

  /// A tiny network split behind layer `split`; passages begin at position 4.
  private func tiny(
    _ family: TinyModel.Family = .distilbert, split: Int, compression: Int? = nil
  ) throws -> TinyModel {
    let tiny = try TinyModel(family, prefix: "bert_model.")
    tiny.add("_classification_layer.weight", [1, 8], tag: 70, scale: 0.4)
    var fields =
      "\"join_layer_idx\": \(split), \"passage_position\": 4, \"query_length\": 4, "
      + "\"passage_length\": 20, "
    if let compression {
      fields += "\"compression_size\": \(compression), "
      tiny.linear("compressor_down", compression, 8, tag: 120)
      tiny.linear("compressor_up", 8, compression, tag: 122)
      tiny.norm("compressor_norm", 8, tag: 124)
    }
    tiny.configuration = tiny.configuration.replacing(
      "{\"model_type\"", with: "{\(fields)\"model_type\"")
    try tiny.write()
    return tiny
  }

  private func tape(_ model: TrainablePreTTR) -> [Float] {
    let tape = Tape(
      model.parameters, gradients: model.parameters.zeros(), memory: Tape.Memory(threads: 2))
    return model.scores(
      TapeOperators(tape), model.batch(ids: [(Self.query, Self.passages)])
    ).matrix.values
  }

  private func inference(_ model: PreTTR, threads: Int = 2) throws -> [Float] {
    try model.score(
      TermSequence(Self.query), Self.passages.map { TermSequence($0) }, threads: threads)
  }

  private static let golden: [(split: Int, scores: [Double])] = [
    (0, [0.317461, 0.324387]), (1, [0.278191, 0.250572]), (2, [0.328016, 0.328016]),
  ]

  @Test func `every split has its golden scores, on the tape and in inference`() throws {
    for (split, golden) in Self.golden {
      let tiny = try tiny(split: split)
      let model = try PreTTR(directory: tiny.directory, tokenizes: false)
      let trained = try TrainablePreTTR(directory: tiny.directory, options: short, tokenizes: false)
      for scores in [try inference(model), tape(trained)] {
        #expect(scores.count == golden.count)
        for (score, expected) in zip(scores, golden) {
          #expect(abs(Double(score) - expected) <= 2e-5, "split \(split): \(score)")
        }
      }
    }
  }

  private var short: TrainableModel.Options {
    var options = TrainableModel.Options()
    options.queryLength = 4
    return options
  }

  @Test(arguments: TinyModel.Family.allCases, [nil, 3] as [Int?])
  func `scores by what was kept are those of the whole model`(
    family: TinyModel.Family, compression: Int?
  ) throws {
    for split in 0...2 {
      let tiny = try tiny(family, split: split, compression: compression)
      let model = try PreTTR(directory: tiny.directory, tokenizes: false)
      #expect(model.dimension == compression ?? 8)
      let passages = Self.passages.map { TermSequence($0) }
      let terms = try model.terms(of: passages, threads: 2)
      #expect(terms.offsets == [0, 4, 7] && terms.values.count == 7 * model.dimension)
      let alone = try model.terms(of: [passages[1]], threads: 1)
      #expect(Array(terms.values.suffix(alone.values.count)) == alone.values)
      let whole = try inference(model)
      #expect(try inference(model, threads: 1) == whole)
      let kept = try model.score(TermSequence(Self.query), terms: terms, threads: 2)
      let trained = tape(
        try TrainablePreTTR(directory: tiny.directory, options: short, tokenizes: false))
      for (number, score) in whole.enumerated() {
        #expect(abs(score - kept[number]) <= 1e-4, "split \(split)")
        #expect(abs(score - trained[number]) <= 1e-4, "split \(split)")
      }
      // With nothing to read together the passage does not count.
      #expect((abs(whole[0] - whole[1]) <= 1e-6) == (split == 2))
    }
  }

  @Test func `a query that all passages of a batch share has the scores of one by one`() throws {
    let tiny = try tiny(split: 1)
    let model = try TrainablePreTTR(directory: tiny.directory, options: short, tokenizes: false)
    let items: [(query: [Int32], passages: [[Int32]])] = [
      (Self.query, Self.passages), ([2, 9, 3], [[7, 7, 3], [5, 3]]),
    ]
    func scores(_ batch: RankingBatch) -> [Float] {
      let tape = Tape(
        model.parameters, gradients: model.parameters.zeros(), memory: Tape.Memory(threads: 1))
      return model.scores(TapeOperators(tape), batch).matrix.values
    }
    let together = scores(model.batch(ids: items))
    let apart = items.flatMap { scores(model.batch(ids: [$0])) }
    #expect(zip(together, apart).allSatisfy { abs($0 - $1) <= 1e-6 } && together.count == 4)
    let shared = model.batch(ids: items, sharing: .others)
    #expect(shared.pairs.count == 8 && scores(shared).count == 8)
  }

  @Test func `what is saved is loaded again, under the names it has elsewhere`() throws {
    let folder = try TemporaryFolder("prettr")
    try TinyEncoder.write(to: folder.path + "/start")
    var options = TrainableModel.Options()
    options.queryLength = 12
    options.compression = 6
    let model = try TrainablePreTTR(directory: folder.path + "/start", options: options)
    #expect(model.settings.joinLayerIdx == 1 && model.settings.passageLength == 36)
    try FileSystem.makeFolder(folder.path + "/saved")
    try model.save(to: folder.path + "/saved")
    let names = Set(
      try SafeTensors(path: folder.path + "/saved/model.safetensors").tensors.map(\.name))
    #expect(
      names.isSuperset(of: [
        "bert_model.embeddings.word_embeddings.weight", "bert_model.pooler.dense.weight",
        "compressor_down.weight", "compressor_norm.bias", "_classification_layer.weight",
      ]))
    #expect(!names.contains("_classification_layer.bias"))
    let loaded = try PreTTR(directory: folder.path + "/saved")
    #expect(loaded.settings == model.settings && loaded.dimension == 6)
    let text = "gold and river"
    #expect(
      loaded.sequence(text, .passage).ids == Array(loaded.sequence(text, .query).ids.dropFirst()))
    let long = loaded.sequence(String(repeating: "water ", count: 60), .passage)
    #expect(long.isTruncated && long.ids.count == 36)
    // A passage that is cut elsewhere has other states to keep.
    let shorter = try PreTTR(directory: folder.path + "/saved", maxLength: 9)
    #expect(shorter.fingerprint != loaded.fingerprint)
    #expect(shorter.termFingerprint != loaded.termFingerprint)
    options.compression = nil
    let further = try TrainablePreTTR(directory: folder.path + "/saved", options: options)
    #expect(further.settings == model.settings && further.identity == model.identity)
  }

  @Test func `what cannot be, or contradicts the start, is refused`() throws {
    let folder = try TemporaryFolder("prettr-refused")
    try TinyEncoder.write(to: folder.path + "/start")
    let tiny = try tiny(split: 1)
    func message(
      _ directory: String, _ change: (inout TrainableModel.Options) -> Void
    ) -> String {
      var options = short
      change(&options)
      let error = #expect(throws: RetortError.self) {
        try TrainablePreTTR(directory: directory, options: options, tokenizes: false)
      }
      return error?.message ?? ""
    }
    let start = folder.path + "/start"
    #expect(message(start) { $0.splitLayer = 2 }.contains("choose 0...1"))
    #expect(message(start) { $0.splitLayer = -1 }.contains("choose 0...1"))
    #expect(message(start) { $0.passageLength = 45 }.contains("2...44 tokens"))
    #expect(message(start) { $0.queryLength = 2 }.contains("queries of 2 tokens"))
    #expect(message(start) { $0.compression = 0 }.contains("cannot keep 0"))
    #expect(message(tiny.directory) { $0.splitLayer = 2 }.contains("leave --split-layer out"))
    #expect(message(tiny.directory) { $0.compression = 4 }.contains("keeps all numbers"))
    let none = #expect(throws: RetortError.self) { try PreTTR(directory: start) }
    #expect(none?.message.contains("is no PreTTR") == true)
    for (old, new, reason) in [
      ("\"passage_length\": 20", "\"passage_length\": 2000000000", "room for passages"),
      ("\"join_layer_idx\": 1", "\"join_layer_idx\": -1", "cannot be split"),
      ("\"passage_position\": 4", "\"passage_position\": 9223372036854775807", "no room"),
      ("\"query_length\": 4", "\"query_length\": 5", "no room for queries"),
    ] {
      try tiny.put("config.json", tiny.configuration.replacing(old, with: new))
      let error = #expect(throws: RetortError.self) {
        try PreTTR(directory: tiny.directory, tokenizes: false)
      }
      #expect(error?.message.contains(reason) == true, "\(String(describing: error))")
    }
  }
}
