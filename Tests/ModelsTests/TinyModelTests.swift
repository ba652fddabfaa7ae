import Models
import Platform
import Tensors
import Testing

/// Golden values computed in double precision with PyTorch and checked against `transformers`.
@Suite struct TinyModelTests {
  private static let ids: [Int32] = [2, 5, 7, 3, 9, 3]
  private static let types: [Int32] = [0, 0, 0, 0, 1, 1]
  private let ops = InferenceOperators(workspace: Workspace())

  private var batch: RaggedBatch {
    var batch = RaggedBatch()
    batch.append(Self.ids, types: Self.types)
    return batch
  }

  private func expect(_ row: [Float], _ golden: [Float], within tolerance: Float = 1e-5) {
    #expect(row.count == golden.count)
    for (value, expected) in zip(row, golden) {
      #expect(abs(value - expected) <= tolerance, "\(value) instead of \(expected)")
    }
  }

  @Test func `the formula gives the weights the golden values were made with`() {
    expect(
      Array(TinyModel.values(tag: 1, count: 160, scale: 0.5)[40..<48]),
      [-0.057834, 0.275713, 0.479588, 0.457905, 0.220862, -0.120056, -0.404509, -0.498716])
  }

  @Test(arguments: ["", "bert.", "0.auto_model."])
  func `BERT gives the golden hidden states`(prefix: String) throws {
    let tiny = try TinyModel(.bert, prefix: prefix)
    try tiny.write()
    let model = try EncoderModel(directory: tiny.directory)
    let embedded = model.transformer.embed(ops, batch)
    expect(
      embedded.rowValues(0),
      [1.426164, 1.225421, 0.554455, -0.373256, -1.176885, -1.395247, -0.841862, 0.168258])
    let hidden = model.transformer.forward(ops, batch)
    expect(
      hidden.rowValues(0),
      [-2.015145, 0.271832, 1.368606, -0.144813, -1.013907, -0.145489, 0.957438, 0.721013])
    expect(
      hidden.rowValues(4),
      [-1.947401, 0.53458, 0.81857, -0.618616, -0.91288, 0.491222, 1.526887, 0.039841])
  }

  @Test(arguments: ["", "distilbert."])
  func `DistilBERT gives the golden hidden states`(prefix: String) throws {
    let tiny = try TinyModel(.distilbert, prefix: prefix)
    try tiny.write()
    let hidden = try EncoderModel(directory: tiny.directory).transformer.forward(ops, batch)
    expect(
      hidden.rowValues(0),
      [-1.307144, -0.704278, 1.14021, 0.803777, -0.500375, -0.988096, -0.051266, 1.641727])
    expect(
      hidden.rowValues(4),
      [-2.080692, 0.213054, 0.858414, -0.372372, -0.936024, 0.227059, 1.510936, 0.505696])
  }

  @Test(arguments: ["", "albert."])
  func `ALBERT gives the golden hidden states`(prefix: String) throws {
    let tiny = try TinyModel(.albert, prefix: prefix)
    try tiny.write()
    let hidden = try EncoderModel(directory: tiny.directory).transformer.forward(ops, batch)
    expect(
      hidden.rowValues(0),
      [-0.987086, -1.187287, 1.101358, 1.580137, 0.163222, -0.807935, -0.660046, 0.908004])
  }

  @Test func `BERT_DOT gives the golden scores`() throws {
    let tiny = try TinyModel(.distilbert)
    try tiny.write()
    let model = try EncoderModel(directory: tiny.directory)
    let vectors = try model.encode([[2, 5, 7, 3], [2, 5, 9, 11, 3], [2, 13, 4, 3]], threads: 2)
    let (query, positive, negative) = (vectors[0..<8], vectors[8..<16], vectors[16..<24])
    expect(
      Array(query),
      [-1.910862, -0.355942, 1.13951, 0.320482, -0.863947, -0.510315, 0.864078, 1.293821])
    expect([zip(query, positive).reduce(0) { $0 + $1.0 * $1.1 }], [7.461828440])
    expect([zip(query, negative).reduce(0) { $0 + $1.0 * $1.1 }], [4.547372522])
  }

  // MARK: Cross-encoders

  private func score(_ tiny: TinyModel) throws -> Float {
    try tiny.write()
    let encoder = try CrossEncoder(directory: tiny.directory, maxLength: nil, tokenizes: false)
    return try encoder.score([TokenizedPair(ids: Self.ids, types: Self.types)], threads: 1)[0]
  }

  @Test func `BERT_CAT reads BERT's pooler`() throws {
    let tiny = try TinyModel(.bert, prefix: "bert.")
    tiny.addHead()
    expect([try score(tiny)], [0.550257])
  }

  @Test func `BERT_CAT reads ALBERT's pooler`() throws {
    let tiny = try TinyModel(.albert, prefix: "albert.")
    tiny.addHead()
    let pooler: [Float] = [
      0.104073, 0.516898, 0.655115, 0.569237, 0.21686, -0.29472, -0.59932, -0.647847,
    ]
    // Unit heads read the pooler's components out one by one.
    for (component, golden) in pooler.enumerated() {
      tiny.tensors["classifier.weight"] = ([1, 8], (0..<8).map { $0 == component ? 1 : 0 })
      tiny.tensors["classifier.bias"] = ([1], [0])
      expect([try score(tiny)], [golden])
    }
  }

  @Test func `BERT's pooler gives the golden values`() throws {
    let tiny = try TinyModel(.bert)
    let pooler: [Float] = [
      -0.313553, -0.251485, -0.072767, 0.14498, 0.292501, 0.311501, 0.195337, -0.017057,
    ]
    for (component, golden) in pooler.enumerated() {
      tiny.tensors["classifier.weight"] = ([1, 8], (0..<8).map { $0 == component ? 1 : 0 })
      tiny.tensors["classifier.bias"] = ([1], [0])
      expect([try score(tiny)], [golden])
    }
  }

  @Test func `a DistilBERT cross-encoder reads the raw CLS vector`() throws {
    let tiny = try TinyModel(.distilbert, prefix: "distilbert.")
    tiny.addHead()
    let cls: [Float] = [
      -1.307144, -0.704278, 1.14021, 0.803777, -0.500375, -0.988096, -0.051266, 1.641727,
    ]
    let weight = TinyModel.values(tag: 70, count: 8, scale: 0.4)
    let bias = TinyModel.values(tag: 71, count: 1, scale: 0.1)[0]
    expect([try score(tiny)], [zip(cls, weight).reduce(bias) { $0 + $1.0 * $1.1 }])
  }

  @Test func `a DistilBERT cross-encoder goes through its pre-classifier when it has one`() throws {
    let tiny = try TinyModel(.distilbert, prefix: "distilbert.")
    tiny.addHead()
    // The identity, so that ReLU of the golden CLS vector is what the classifier sees.
    tiny.tensors["pre_classifier.weight"] = ([8, 8], (0..<64).map { $0 % 9 == 0 ? 1 : 0 })
    tiny.tensors["pre_classifier.bias"] = ([8], [Float](repeating: 0, count: 8))
    let cls: [Float] = [
      -1.307144, -0.704278, 1.14021, 0.803777, -0.500375, -0.988096, -0.051266, 1.641727,
    ]
    let weight = TinyModel.values(tag: 70, count: 8, scale: 0.4)
    let bias = TinyModel.values(tag: 71, count: 1, scale: 0.1)[0]
    expect([try score(tiny)], [zip(cls, weight).reduce(bias) { $0 + max($1.0, 0) * $1.1 }])
  }

  @Test func `a classifier with several outputs is refused`() throws {
    let tiny = try TinyModel(.bert)
    tiny.linear("classifier", 2, 8, tag: 70)
    #expect(throws: RetortError.self) { try score(tiny) }
  }
}

extension Matrix {
  func rowValues(_ index: Int) -> [Float] {
    Array(values[index * columns..<(index + 1) * columns])
  }
}
