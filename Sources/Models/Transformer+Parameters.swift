import Tensors

extension ParameterList {
  /// Appends what is trained of a linear layer, which the checkpoint holds as one or several tensors
  /// of equal shape, their rows below each other.
  mutating func append(_ weights: LinearWeights, _ names: [String], group: Parameter.Group) {
    guard case .plain(let weight, let bias) = weights.form else { return }
    let rows = weight.rows / names.count
    append(
      Parameter(
        weight, names.map { .init($0 + ".weight", shape: [rows, weight.columns]) }, group: group,
        decays: true))
    append(
      Parameter(bias, names.map { .init($0 + ".bias", shape: [rows]) }, group: group, decays: false)
    )
  }

  /// Appends the weight of a linear layer whose bias is not trained.
  mutating func append(weightOf layer: LinearWeights, _ name: String, group: Parameter.Group) {
    guard case .plain(let weight, _) = layer.form else { return }
    append(
      Parameter(
        weight, [.init(name + ".weight", shape: [weight.rows, weight.columns])], group: group,
        decays: true))
  }

  mutating func append(_ weights: LayerNormWeights, _ name: String, group: Parameter.Group) {
    for (matrix, part) in [(weights.weight, ".weight"), (weights.bias, ".bias")] {
      append(
        Parameter(
          matrix, [.init(name + part, shape: [matrix.count])], group: group, decays: false))
    }
  }

  mutating func append(_ weights: EmbeddingWeights, _ name: String) {
    guard case .plain(let table) = weights.form else { return }
    append(
      Parameter(
        table, [.init(name + ".weight", shape: [table.rows, table.columns])], group: .embedding,
        decays: true))
  }
}

extension Transformer {
  /// Everything that is trained, under the names the family gives it behind `prefix`; in the order
  /// of the forward pass.
  func parameters(prefix: String) -> ParameterList {
    var list = ParameterList()
    let names = TensorNames(configuration.architecture)
    list.append(words, prefix + "embeddings.word_embeddings")
    list.append(positions, prefix + "embeddings.position_embeddings")
    if let types { list.append(types, prefix + "embeddings.token_type_embeddings") }
    list.append(embeddingNorm, prefix + "embeddings.LayerNorm", group: .embedding)
    if let embeddingProjection {
      list.append(
        embeddingProjection, [prefix + "encoder.embedding_hidden_mapping_in"], group: .embedding)
    }
    // ALBERT's layers share their memory: the list takes the first.
    for (index, layer) in layers.enumerated() {
      let base = prefix + names.layer(index)
      list.append(layer.attention, names.queryKeyValue.map { base + $0 }, group: .encoder)
      list.append(layer.attentionOutput, [base + names.attentionOutput], group: .encoder)
      list.append(layer.attentionNorm, base + names.attentionNorm, group: .encoder)
      list.append(layer.inner, [base + names.inner], group: .encoder)
      list.append(layer.output, [base + names.output], group: .encoder)
      list.append(layer.outputNorm, base + names.outputNorm, group: .encoder)
    }
    return list
  }
}
