import Foundation
import Platform

/// The sizes of TK, as `config.json` of its folder says them.
package struct TKConfiguration: Sendable, Codable, Equatable {
  static let type = "tk"

  var modelType = TKConfiguration.type
  var architectures = ["TK"]
  /// Ids of words, those of padding and of unknown words among them.
  package var vocabSize: Int
  /// The width of words' vectors.
  package var hiddenSize: Int
  /// Layers of the contextualiser.
  package var numHiddenLayers: Int
  /// Its attention heads.
  package var numAttentionHeads: Int
  /// The width between the two feed-forward products.
  package var intermediateSize: Int
  /// ε of its normalisations.
  package var layerNormEps: Double
  /// Words of a query at most.
  package var queryLength: Int
  /// Words of a passage at most.
  package var passageLength: Int
  /// The position of a passage's first word; a query's is 0.
  package var passagePosition: Int
  /// Centres of the kernels.
  package var kernelMeans: [Float]
  /// Their deviations.
  package var kernelDeviations: [Float]

  /// Two layers, as many heads of the usual ten as divide the width, and the eleven kernels.
  package init(words: Int, width: Int) {
    vocabSize = words
    hiddenSize = width
    numHiddenLayers = 2
    numAttentionHeads = (1...10).last { width % $0 == 0 } ?? 1
    intermediateSize = width
    layerNormEps = 1e-5
    queryLength = 30
    passageLength = 200
    passagePosition = 500
    kernelMeans = [1, 0.9, 0.7, 0.5, 0.3, 0.1, -0.1, -0.3, -0.5, -0.7, -0.9]
    kernelDeviations = [Float](repeating: 0.1, count: 11)
  }

  /// The file that `init(_:)` reads.
  var file: [UInt8] {
    get throws(RetortError) {
      let encoder = JSONEncoder()
      encoder.keyEncodingStrategy = .convertToSnakeCase
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      do {
        return Array(try encoder.encode(self)) + [UInt8(ascii: "\n")]
      } catch {
        throw RetortError(.badData, "cannot be written as JSON", cause: error)
      }
    }
  }

  /// Whether a folder holds a TK.
  static func describes(_ files: ModelFiles) -> Bool {
    struct Kind: Decodable { var modelType: String? }
    return (try? files.json("config.json", as: Kind.self))??.modelType == type
  }

  /// Reads `config.json`, and refuses what no TK has.
  init(_ files: ModelFiles) throws(RetortError) {
    guard Self.describes(files), let read = try files.json("config.json", as: Self.self) else {
      throw RetortError(
        .badData,
        "is no TK: its config.json has another model_type; name a folder that `retort train --model "
          + "tk` wrote", path: files.directory)
    }
    self = read
    try check(path: files.path("config.json"))
  }

  /// Throws where sizes cannot belong to a network.
  func check(path: String? = nil) throws(RetortError) {
    let sizes: [(value: Int, range: ClosedRange<Int>, name: String)] = [
      (vocabSize, 2...(1 << 28), "vocab_size"), (hiddenSize, 2...8192, "hidden_size"),
      (numHiddenLayers, 0...256, "num_hidden_layers"),
      (numAttentionHeads, 1...8192, "num_attention_heads"),
      (intermediateSize, 1...(1 << 20), "intermediate_size"),
      (queryLength, 1...4096, "query_length"), (passageLength, 1...4096, "passage_length"),
      (passagePosition, 0...4096, "passage_position"),
      (kernelMeans.count, 1...1024, "number of kernel_means"),
    ]
    for (value, range, name) in sizes where !range.contains(value) {
      throw RetortError(
        .badData,
        "has \(name) = \(value), outside \(range.lowerBound)...\(range.upperBound); correct it",
        path: path)
    }
    guard hiddenSize % numAttentionHeads == 0 else {
      throw RetortError(
        .badData,
        "has \(numAttentionHeads) attention heads, which do not divide the width \(hiddenSize); "
          + "correct it", path: path)
    }
    guard kernelMeans.count == kernelDeviations.count, kernelMeans.allSatisfy(\.isFinite),
      kernelDeviations.allSatisfy({ $0.isFinite && $0 >= 1e-3 })
    else {
      throw RetortError(
        .badData,
        "needs a deviation of at least 0.001 for every one of its kernel_means; correct it",
        path: path)
    }
    guard (0..<1).contains(layerNormEps) else {
      throw RetortError(.badData, "has layer_norm_eps = \(layerNormEps); correct it", path: path)
    }
  }

  /// The part of the fingerprint that tensors do not show.
  var identity: [String] {
    [
      "tk heads \(numAttentionHeads) epsilon \(layerNormEps)",
      "lengths \(queryLength) \(passageLength) from \(passagePosition)",
      "kernels \(kernelMeans) \(kernelDeviations)",
    ]
  }
}
