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

  /// The normalised sum of `x` and `residual`, same shape.
  func layerNorm(_ x: Value, residual: Value?, _ weights: LayerNormWeights) -> Value

  /// `function` of every element.
  func activate(_ x: Value, _ function: Activation) -> Value

  /// Self-attention within every sequence.
  ///
  /// `qkv` is [tokens × 3d]: queries, keys and values side by side, each of `heads` heads of d/heads
  /// columns. Head h of token i becomes Σⱼ softmaxⱼ(qᵢ·kⱼ/√(d/heads)) vⱼ → [tokens × d].
  func attention(_ qkv: Value, heads: Int, offsets: [Int]) -> Value

  /// The rows named by `indices` → [indices × width].
  func rows(_ x: Value, _ indices: [Int32]) -> Value

  /// The mean row of every sequence → [sequences × width]; zero for an empty one.
  func mean(_ x: Value, offsets: [Int]) -> Value

  /// Every row divided by its Euclidean length; a zero row stays zero.
  func normalize(_ x: Value) -> Value
}
