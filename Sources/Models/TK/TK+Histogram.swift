import Tensors

/// What one of TK's kernels saw, and what it adds to the score.
public struct KernelShare: Sendable, Codable, Equatable {
  /// The centre of the kernel: a cosine.
  public var mean: Float
  /// By word of the query, how many of the passage's words are near that cosine: Σⱼ exp(−(m − μ)²/2σ²).
  public var counts: [Float]
  /// φ: the sum of the counts' logarithms, scaled and floored.
  public var feature: Float
  /// The kernel's weight.
  public var weight: Float
  /// Weight times feature: the kernel's part of the score.
  public var part: Float
}

extension TK {
  /// The words of a query as TK knows them, and what every kernel saw of a passage.
  public func histogram(
    query: String, passage: String
  ) -> (words: [String], kernels: [KernelShare]) {
    histogram(query: query, vectors(sequence(passage, .passage), .passage))
  }

  /// The same of a passage whose vectors are stored, [words × dimension].
  package func histogram(
    query: String, _ passage: Matrix
  ) -> (words: [String], kernels: [KernelShare]) {
    let question = sequence(query, .query)
    let x = vectors(question, .query)
    let (counts, features) = network.parts(x, passage)
    let count = network.kernels.count
    let kernels = network.kernels.means.enumerated().map { kernel, mean in
      KernelShare(
        mean: mean,
        counts: (0..<x.rows).map { counts[$0 * count + kernel] }, feature: features[kernel],
        weight: kernelWeights[kernel], part: features[kernel] * kernelWeights[kernel])
    }
    return (question.ids.map { vocabulary.words[Int($0)] }, kernels)
  }
}

extension TKNetwork {
  /// The sums of a query's words and all kernels, and the kernels' features.
  fileprivate func parts(
    _ query: Matrix, _ passage: Matrix
  ) -> (counts: [Float], features: [Float]) {
    let ops = InferenceOperators(workspace: Workspace())
    let counts = ops.kernelPooling(query, kernels).counts(passage)
    let features = ops.kernelFeatures(
      query, [0, query.rows], passage, [0, passage.rows], pairs: [(0, 0)], kernels)
    return (counts.values, features.values)
  }
}
