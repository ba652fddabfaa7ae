/// An elementwise function between layers.
package enum Activation: String, Sendable, Codable {
  /// x Φ(x) with the error function (BERT, DistilBERT).
  case geluErf = "gelu"
  /// The tanh form of GELU (ALBERT).
  case geluTanh = "gelu-tanh"
  /// The hyperbolic tangent (poolers).
  case tanh
  /// max(x, 0) (the classification head of DistilBERT).
  case relu
}

/// What the ranking models are made of.
///
/// A forward pass is written once, generic over its operators: inference runs it over
/// `InferenceOperators`, training over operators that record a tape. Values are matrices with one
/// row per token of a ragged batch, or one per sequence after `rows` and `mean`.
package protocol Operators {
  /// A matrix, with whatever the operators attach to it.
  associatedtype Value

  /// Row r is the sum over all tables of their row `ids[r]` → [ids × width].
  func embed(_ lookups: [(table: EmbeddingWeights, ids: [Int32])]) -> Value

  /// x Wᵀ + b: [n × inputs] → [n × outputs].
  func linear(_ x: Value, _ weights: LinearWeights) -> Value

  /// What attention reads, queries, keys and values side by side: x Wᵀ + b, [n × d] → [n × 3d].
  ///
  /// Much of the attention rests on the first row of every sequence: its values come into all others,
  /// and so does what rounding does to them. The same as `linear(x, weights)`, which it is unless an
  /// implementation rounds and can do better on these rows.
  func attentionInputs(_ x: Value, _ weights: LinearWeights, offsets: [Int]) -> Value

  /// The normalised sum of `x` and `residual`, same shape.
  func layerNorm(_ x: Value, residual: Value?, _ weights: LayerNormWeights) -> Value

  /// `function` of every element.
  func activate(_ x: Value, _ function: Activation) -> Value

  /// x Wᵀ + b, added to `residual` and normalised: the end of a layer's half.
  ///
  /// The same as `layerNorm(linear(x, weights), residual: residual, norm)`, which it is unless an
  /// implementation can do both while the rows are at hand.
  func project(
    _ x: Value, _ weights: LinearWeights, residual: Value, _ norm: LayerNormWeights
  ) -> Value

  /// The feed-forward half of a layer: project(f(x W₁ᵀ + b₁), W₂, residual: x, norm).
  func feedForward(
    _ x: Value, inner: LinearWeights, _ function: Activation, output: LinearWeights,
    _ norm: LayerNormWeights
  ) -> Value

  /// Self-attention within every sequence.
  ///
  /// `qkv` is [tokens × 3d]: queries, keys and values side by side, each of `heads` heads of d/heads
  /// columns. Head h of token i becomes Σⱼ softmaxⱼ(qᵢ·kⱼ/√(d/heads)) vⱼ → [tokens × d], over the
  /// first `keys[s]` tokens j of its sequence s, at least one: the others see, and are not seen.
  ///
  /// `precision` is that of the product that made `qkv`: where it is less than f32, inference may round to
  /// bf16.
  func attention(
    _ qkv: Value, heads: Int, offsets: [Int], keys: [Int], precision: Precision
  ) -> Value

  /// Self-attention of the first token of every sequence alone, from the layer's input `x` → [sequences × d].
  /// Every sequence must have one.
  ///
  /// The same rows as those of `attention` over `attentionInputs(x, weights)`, which computes those of
  /// all tokens.
  func firstAttention(
    _ x: Value, _ weights: LinearWeights, heads: Int, offsets: [Int], keys: [Int]
  ) -> Value

  /// The rows named by `indices` → [indices × width].
  func rows(_ x: Value, _ indices: [Int32]) -> Value

  /// The rows of `above` and behind them those of `below`, which is as wide.
  func stack(_ above: Value, _ below: Value) -> Value

  /// The mean row of every sequence → [sequences × width]; zero for an empty one.
  func mean(_ x: Value, offsets: [Int]) -> Value

  /// Every row divided by its Euclidean length; a zero row stays zero.
  func normalize(_ x: Value) -> Value

  /// αa + (1 − α)b, where `share` holds α; both of the same shape.
  func mix(_ a: Value, _ b: Value, share: Matrix) -> Value

  /// Kernel pooling of pairs of a query's and a passage's rows, which are unit vectors →
  /// [pairs × kernels]: φₖ = Σᵢ ln max(|aₖ| Σⱼ exp(−(xᵢ·yⱼ − μₖ)²/(2σₖ²)), 1e-10).
  ///
  /// Query q is rows `queryOffsets[q]..<queryOffsets[q + 1]` of `queries`, passages alike; both may be
  /// the same value.
  func kernelFeatures(
    _ queries: Value, _ queryOffsets: [Int], _ passages: Value, _ passageOffsets: [Int],
    pairs: [(Int32, Int32)], _ kernels: KernelWeights
  ) -> Value
}

extension Operators {
  /// Self-attention in which every token sees all of its sequence.
  package func attention(_ qkv: Value, heads: Int, offsets: [Int]) -> Value {
    attention(
      qkv, heads: heads, offsets: offsets,
      keys: zip(offsets, offsets.dropFirst()).map { $0.1 - $0.0 }, precision: .float32)
  }

  package func attentionInputs(_ x: Value, _ weights: LinearWeights, offsets: [Int]) -> Value {
    linear(x, weights)
  }

  package func firstAttention(
    _ x: Value, _ weights: LinearWeights, heads: Int, offsets: [Int], keys: [Int]
  ) -> Value {
    rows(
      attention(
        attentionInputs(x, weights, offsets: offsets), heads: heads, offsets: offsets, keys: keys,
        precision: weights.precision), offsets.dropLast().map { Int32($0) })
  }

  package func project(
    _ x: Value, _ weights: LinearWeights, residual: Value, _ norm: LayerNormWeights
  ) -> Value {
    layerNorm(linear(x, weights), residual: residual, norm)
  }

  package func feedForward(
    _ x: Value, inner: LinearWeights, _ function: Activation, output: LinearWeights,
    _ norm: LayerNormWeights
  ) -> Value {
    project(activate(linear(x, inner), function), output, residual: x, norm)
  }
}
