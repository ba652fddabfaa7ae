import Models
import Platform
import TestSupport
import Testing

/// Weights that are multiplied where they are mapped, in files that another program cuts.
@Suite struct CutModelTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder("cut-model") }

  /// A quantised model, and where its weights lie.
  private func model(_ name: String, _ head: TinyEncoder.Head) throws -> (
    directory: String, weights: String
  ) {
    let (original, copy) = (folder.path + "/" + name, folder.path + "/" + name + "-int8")
    try TinyEncoder.write(to: original, head: head)
    _ = try ModelQuantizer.quantize(directory: original, output: copy, format: .int8)
    return (copy, copy + "/model.safetensors")
  }

  /// Cuts the file behind its header, where it is smaller than the weights.
  private func cutWeights(_ path: String) throws {
    let size = try FileSystem.size(of: path)
    #expect(size > 20_000)
    try cut(path, to: size / 2)
  }

  private func expectLost(_ path: String, _ body: () throws -> Void) {
    let error = #expect(throws: RetortError.self) { try body() }
    #expect(error?.code == .truncated && error?.path == path, "\(error as Any)")
  }

  @Test func `an encoder gives an error instead of vectors of zeros`() throws {
    let (directory, weights) = try model("encoder", .none)
    var options = EncoderOptions()
    options.precision = .int8
    let encoder = try TextEncoder(directory: directory, options: options)
    let before = try encoder.encode(texts: ["water and gold"], threads: 2)
    #expect(before.contains { $0 != 0 })
    try cutWeights(weights)
    expectLost(weights) { _ = try encoder.encode(texts: ["water and gold"], threads: 2) }
  }

  @Test func `a cross-encoder gives an error instead of scores`() throws {
    let (directory, weights) = try model("cat", .classifier)
    let model = try CrossEncoder(directory: directory)
    _ = try model.score(query: "gold", passages: ["water"], threads: 1)
    try cutWeights(weights)
    expectLost(weights) {
      _ = try model.score(query: "gold", passages: ["water"], threads: 1)
    }
  }

  @Test func `ColBERT gives errors for queries, passages, scores and explanations`() throws {
    let (directory, weights) = try model("colbert", .projection)
    let model = try ColBERT(directory: directory)
    _ = try model.queryTerms("gold")
    try cutWeights(weights)
    expectLost(weights) { _ = try model.queryTerms("gold") }
    expectLost(weights) { _ = try model.terms(of: ["gold", "water"], threads: 2) }
    expectLost(weights) {
      _ = try model.score(query: "gold", passages: ["water"], threads: 1)
    }
    expectLost(weights) { _ = try model.matches(query: "gold", passage: "water") }
  }
}
