import Platform

/// What was understood of a TK's folder.
public struct TKSummary: Sendable, Codable {
  /// Always `tk`.
  public var kind = ModelKind.tk
  /// Words that have a vector of their own.
  public var words: Int
  /// The width of their vectors.
  public var hiddenSize: Int
  /// Layers of the contextualiser.
  public var layers: Int
  /// Its attention heads.
  public var attentionHeads: Int
  /// The width between the two feed-forward products.
  public var intermediateSize: Int
  /// Words of a query at most.
  public var queryLength: Int
  /// Words of a passage at most.
  public var passageLength: Int
  /// α: the share of a word's own vector beside that of its context.
  public var mixer: Float
  /// The kernels' centres.
  public var kernelMeans: [Float]
  /// The kernels' weights.
  public var kernelWeights: [Float]
  /// Numbers in the weights.
  public var parameters: Int
  /// The identity of everything that decides scores.
  public var fingerprint: String
}

extension TK {
  /// Whether a folder holds a TK.
  public static func isModel(directory: String) -> Bool {
    (try? ModelFiles(directory)).map(TKConfiguration.describes) ?? false
  }

  /// What was understood of the folder.
  public var summary: TKSummary {
    let configuration = network.configuration
    return TKSummary(
      words: configuration.vocabSize - 2, hiddenSize: configuration.hiddenSize,
      layers: configuration.numHiddenLayers, attentionHeads: configuration.numAttentionHeads,
      intermediateSize: configuration.intermediateSize, queryLength: configuration.queryLength,
      passageLength: passageLength, mixer: network.mixer.values[0],
      kernelMeans: configuration.kernelMeans, kernelWeights: self.kernelWeights,
      parameters: parameters, fingerprint: fingerprint)
  }
}

extension TKSummary {
  /// The summary as lines of `name: value` for a terminal.
  public var description: String {
    let kernels = zip(kernelMeans, kernelWeights).map { "\($0): \($1)" }
    return [
      "kind:          \(kind.noun)",
      "architecture:  tk, \(counted(layers, "layer")), \(counted(attentionHeads, "head"))",
      "sizes:         hidden \(hiddenSize), intermediate \(intermediateSize), "
        + counted(words, "word"),
      "max length:    \(counted(queryLength, "word")) of a query, \(passageLength) of a passage",
      "own share:     \(mixer) of a word's vector, the rest its context's",
      "kernels:       " + kernels.joined(separator: ", "), "parameters:    \(parameters)",
      "fingerprint:   \(fingerprint)",
    ].joined(separator: "\n")
  }
}
