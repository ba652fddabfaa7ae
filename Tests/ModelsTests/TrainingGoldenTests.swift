import Distillation
import Formats
import Models
import Platform
import Tensors
import Testing

/// A step of training on the tiny DistilBERT, against values computed in double precision.
@Suite struct TrainingGoldenTests {
  static let query: [Int32] = [2, 5, 7, 3]
  static let passages: [[Int32]] = [[2, 5, 9, 11, 3], [2, 13, 4, 3]]

  private func model(_ kind: RankerKind = .bertDot) throws -> (TinyModel, TrainableModel) {
    let tiny = try TinyModel(.distilbert)
    try tiny.write()
    return (
      tiny, try TrainableModel(directory: tiny.directory, kind: kind, tokenizes: false)
    )
  }

  /// Margin-MSE and its gradients for teacher scores 6.5 and 2.25.
  private func step(_ model: TrainableModel) -> (loss: Double, gradients: [Matrix]) {
    let gradients = model.parameters.zeros()
    let tape = Tape(model.parameters, gradients: gradients, memory: Tape.Memory(threads: 2))
    let batch = model.batch(ids: [(Self.query, Self.passages)])
    let scores = model.scores(TapeOperators(tape), batch)
    let values = scores.matrix.values
    let difference = Double(values[0] - values[1]) - 4.25
    tape.backward(
      from: scores,
      seed: Matrix(
        rows: 2, columns: 1, values: [Float(2 * difference), Float(-2 * difference)]))
    return (difference * difference, gradients)
  }

  private func close(_ found: some Sequence<Float>, _ golden: [Double], _ comment: Comment) {
    for (found, golden) in zip(found, golden) {
      #expect(abs(Double(found) - golden) <= 2e-4 * max(1, abs(golden)), comment)
    }
  }

  @Test func `scores of BERT_DOT are the golden ones`() throws {
    let (_, model) = try model()
    let tape = Tape(
      model.parameters, gradients: model.parameters.zeros(), memory: Tape.Memory(threads: 1))
    let scores = model.scores(
      TapeOperators(tape), model.batch(ids: [(Self.query, Self.passages)]))
    close(scores.matrix.values, [7.461828440, 4.547372522], "scores")
  }

  @Test func `loss and gradients of Margin-MSE are the golden ones`() throws {
    let (_, model) = try model()
    let (loss, gradients) = step(model)
    #expect(abs(loss - 1.783677995) <= 2e-4)
    func tensor(_ name: String) -> [Float] {
      for (place, parameter) in model.parameters.items.enumerated() {
        var offset = 0
        for tensor in parameter.tensors {
          if tensor.name == name {
            return Array(gradients[place].values[offset..<offset + tensor.count])
          }
          offset += tensor.count
        }
      }
      return []
    }
    func norm(_ values: [Float]) -> Double {
      values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    }
    let golden: [(name: String, norm: Double, first: [Double])] = [
      ("embeddings.word_embeddings.weight", 21.562124, [0, 0, 0, 0]),
      (
        "embeddings.position_embeddings.weight", 18.882401,
        [-0.646482, 0.618559, 1.795174, 2.051028]
      ),
      ("embeddings.LayerNorm.weight", 8.220483, [-2.168564, -3.49792, 1.567208, 4.051506]),
      (
        "transformer.layer.0.attention.q_lin.weight", 4.647779,
        [-0.542819, -0.919739, -0.89018, -0.444187]
      ),
      (
        "transformer.layer.0.attention.out_lin.bias", 1.013438,
        [-0.631432, -0.382302, 0.015677, 0.221699]
      ),
      (
        "transformer.layer.1.ffn.lin1.weight", 22.281353,
        [-0.880698, 0.473382, 0.63701, -1.06619]
      ),
      (
        "transformer.layer.1.output_layer_norm.bias", 9.236936,
        [-0.634367, 3.486322, -1.194346, -3.670359]
      ),
    ]
    for (name, expected, first) in golden {
      let values = tensor(name)
      #expect(abs(norm(values) - expected) <= 2e-4 * expected, "\(name)")
      close(values, first, "\(name)")
    }
    let words = tensor("embeddings.word_embeddings.weight")
    close(
      words[40..<48],
      [-0.978696, -0.210681, 0.282006, -0.015878, -0.291491, 0.27636, 0.790286, 0.148093],
      "word 5")
    #expect(words[48..<56].allSatisfy { $0 == 0 })
    #expect(abs(norm(gradients.flatMap(\.values)) - 109.629971) <= 0.02)
  }

  @Test func `five steps of Adam give the golden losses and weights`() throws {
    let (_, model) = try model()
    var adam = Adam(model.parameters)
    let rates = Dictionary(
      uniqueKeysWithValues: Parameter.Group.allCases.map { ($0, 1e-3) })
    for golden in [1.783678, 0.204718, 0.053888, 0.374738, 0.398615] {
      let (loss, gradients) = step(model)
      #expect(abs(loss - golden) <= 3e-4)
      adam.step(gradients: gradients, rates: rates, threads: 2)
    }
    close(
      model.parameters.items[0].values.values[40..<48],
      [-0.054766, 0.279034, 0.477725, 0.459436, 0.222828, -0.12282, -0.407809, -0.500464], "word 5")
  }

  @Test func `a saved student is loaded by the encoder and gives the same scores`() throws {
    let (tiny, model) = try model()
    let folder = tiny.directory + "/saved"
    try FileSystem.makeFolder(folder)
    try model.save(to: folder)
    let encoder = try EncoderModel(directory: folder)
    #expect(encoder.pooling == .cls && !encoder.normalize)
    let vectors = try encoder.encode([Self.query] + Self.passages, threads: 1)
    for (passage, golden) in [(1, 7.461828440), (2, 4.547372522)] {
      let score = (0..<8).reduce(0) { $0 + Double(vectors[$1]) * Double(vectors[passage * 8 + $1]) }
      #expect(abs(score - golden) <= 2e-4 * golden)
    }
  }

  @Test(arguments: TinyModel.Family.allCases)
  func `a saved cross-encoder gives the scores it was trained with`(
    family: TinyModel.Family
  ) throws {
    let tiny = try TinyModel(family, prefix: family.rawValue + ".")
    try tiny.write()
    let model = try TrainableModel(directory: tiny.directory, kind: .bertCat, tokenizes: false)
    let pairs: [[Int32]] = [[2, 5, 7, 3, 9, 3], [2, 4, 3]]
    let tape = Tape(
      model.parameters, gradients: model.parameters.zeros(), memory: Tape.Memory(threads: 1))
    let scores = model.scores(TapeOperators(tape), model.batch(ids: [([], pairs)])).matrix.values
    let folder = tiny.directory + "/saved"
    try FileSystem.makeFolder(folder)
    try model.save(to: folder)
    let encoder = try CrossEncoder(directory: folder, maxLength: nil, tokenizes: false)
    let loaded = try encoder.score(
      pairs.map { TokenizedPair(ids: $0, types: $0.map { _ in 0 }) }, threads: 1)
    for (score, again) in zip(scores, loaded) { #expect(abs(score - again) <= 1e-5) }
  }
}
