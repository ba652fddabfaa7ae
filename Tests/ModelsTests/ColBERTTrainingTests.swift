import Formats
import Models
import Platform
import Tensors
import TestSupport
import Testing

/// ColBERT as training holds it, against values computed in double precision and against inference.
@Suite struct ColBERTTrainingTests {
  private static let query: [Int32] = [2, 5, 7, 3]
  private static let passages: [[Int32]] = [[2, 5, 9, 11, 3], [2, 13, 4, 3]]
  private static let golden: [(variant: ColBERTVariant, scores: [Double])] = [
    (.hofstaetter, [9.417016468, 2.549202923]), (.original, [3.994123148, 2.620517822]),
  ]

  private func tiny(_ variant: ColBERTVariant) throws -> TinyModel {
    let tiny = try TinyModel(.distilbert, prefix: variant == .original ? "" : "bert_model.")
    switch variant {
    case .hofstaetter: tiny.linear("compressor", 8, 8, tag: 80)
    case .original: tiny.add("linear.weight", [4, 8], tag: 82, scale: 0.4)
    }
    try tiny.write()
    return tiny
  }

  private func scores(_ model: TrainableColBERT) -> [Float] {
    let tape = Tape(
      model.parameters, gradients: model.parameters.zeros(), memory: Tape.Memory(threads: 2))
    return model.scores(
      TapeOperators(tape), model.batch(ids: [(Self.query, Self.passages)])
    ).matrix.values
  }

  @Test func `both variants have the golden scores on the tape, and again when loaded`() throws {
    for (variant, golden) in Self.golden {
      let tiny = try tiny(variant)
      let model = try TrainableColBERT(directory: tiny.directory, tokenizes: false)
      let folder = tiny.directory + "/saved"
      try FileSystem.makeFolder(folder)
      try model.save(to: folder)
      let loaded = try ColBERT(directory: folder, tokenizes: false)
      #expect(loaded.settings.normalizes == (variant == .original))
      #expect(loaded.dimension == model.dimension)
      let again = try loaded.score(
        TermSequence(Self.query), Self.passages.map { TermSequence($0) }, threads: 1)
      let snapshot = try model.snapshot().scores(
        TermSequence(Self.query), Self.passages.map { TermSequence($0) }, threads: 2)
      for scores in [scores(model), again, snapshot] {
        #expect(scores.count == golden.count)
        for (score, expected) in zip(scores, golden) {
          #expect(abs(Double(score) - expected) <= 2e-4 * expected, "\(variant)")
        }
      }
    }
  }

  @Test func `tensors have the names of the variants' authors`() throws {
    for variant in ColBERTVariant.allCases {
      let tiny = try tiny(variant)
      let model = try TrainableColBERT(directory: tiny.directory, tokenizes: false)
      let folder = tiny.directory + "/saved"
      try FileSystem.makeFolder(folder)
      try model.save(to: folder)
      let names = Set(try SafeTensors(path: folder + "/model.safetensors").tensors.map(\.name))
      if variant == .original {
        #expect(names.contains("linear.weight") && !names.contains("linear.bias"))
        #expect(names.contains("distilbert.embeddings.word_embeddings.weight"))
      } else {
        #expect(names.isSuperset(of: ["compressor.weight", "compressor.bias"]))
        #expect(names.contains("bert_model.transformer.layer.1.ffn.lin2.bias"))
      }
      let metadata = String(
        decoding: try FileSystem.read(folder + "/artifact.metadata"), as: UTF8.self)
      #expect(metadata.contains("\"similarity\"") == (variant == .original))
    }
  }

  @Test func `the original's zero bias is no parameter and stays zero`() throws {
    let tiny = try tiny(.original)
    let model = try TrainableColBERT(directory: tiny.directory, tokenizes: false)
    let names = model.parameters.items.flatMap { $0.tensors.map(\.name) }
    #expect(names.last == "linear.weight" && !names.contains("linear.bias"))
  }

  private func options(
    _ body: (inout TrainableModel.Options) -> Void = { _ in }
  ) -> TrainableModel.Options {
    var options = TrainableModel.Options()
    body(&options)
    return options
  }

  @Test func `an encoder gets a projection drawn from the seed, and settings that are kept`() throws
  {
    let folder = try TemporaryFolder("colbert-start")
    try TinyEncoder.write(to: folder.path + "/start")
    let masks = try QueryMasks("after:3:unattended")
    func model(_ seed: UInt64) throws -> TrainableColBERT {
      try TrainableColBERT(
        directory: folder.path + "/start",
        options: options {
          $0.variant = .hofstaetter
          $0.dimension = 12
          $0.queryMasks = masks
          $0.queryLength = 10
          $0.passageLength = 20
          $0.seed = seed
        })
    }
    let (one, same, other) = (try model(1), try model(1), try model(2))
    func head(_ model: TrainableColBERT) -> [Float] {
      model.parameters.items.dropLast().last?.values.values ?? []
    }
    #expect(head(one) == head(same) && head(one) != head(other) && head(one).count == 12 * 32)
    #expect(one.notes.contains { $0.contains("the projection to 12 numbers is new") })
    let saved = folder.path + "/saved"
    try FileSystem.makeFolder(saved)
    try one.save(to: saved)
    let loaded = try ColBERT(directory: saved)
    #expect(loaded.settings == one.settings && loaded.dimension == 12)
    #expect("\(loaded.settings.queryMasks)" == "after:3:unattended")
    #expect((loaded.settings.queryLength, loaded.settings.passageLength) == (10, 20))
    // What was trained is trained further as what it is.
    let further = try TrainableColBERT(directory: saved, options: options { $0.queryLength = 10 })
    #expect(further.settings == one.settings)
  }

  @Test func `what contradicts the start is refused`() throws {
    let folder = try TemporaryFolder("colbert-refused")
    try TinyEncoder.write(to: folder.path + "/plain")
    try TinyEncoder.write(to: folder.path + "/ready", head: .projection)
    func message(_ start: String, _ options: TrainableModel.Options) -> String {
      let error = #expect(throws: RetortError.self) {
        try TrainableColBERT(directory: folder.path + "/" + start, options: options)
      }
      return error?.message ?? ""
    }
    #expect(message("plain", options()).contains("--variant hofstaetter"))
    #expect(
      message("ready", options { $0.variant = .hofstaetter }).contains("leave --variant out"))
    #expect(message("ready", options { $0.dimension = 99 }).contains("16 numbers a token, not 99"))
    #expect(message("ready", options { $0.passageLength = 1000 }).contains("is outside"))
  }
}
