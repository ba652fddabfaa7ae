import Formats
import Platform

/// Model directories of tiny networks whose weights come from a formula, for golden values.
///
/// V = 20, d = 8, 2 heads, 2 layers, f = 16, P = 32. Entry i of a tensor (row-major) is
/// base + scale · sin(1 + 2.3 tag + 0.7 i).
final class TinyModel {
  /// The directory, removed with this object.
  let directory: String
  /// The tensors by name; `write()` puts them on disk.
  var tensors: [String: (shape: [Int], values: [Float])] = [:]
  /// `config.json`.
  var configuration: String

  enum Family: String, CaseIterable { case bert, distilbert, albert }

  init(_ family: Family, prefix: String = "") throws {
    directory = "\(temporaryFolder())/retort-tiny-\(UInt64.random(in: 0 ... .max))"
    try FileSystem.makeFolder(directory)
    switch family {
    case .bert: configuration = Self.bertConfiguration
    case .distilbert: configuration = Self.distilConfiguration
    case .albert: configuration = Self.albertConfiguration
    }
    switch family {
    case .bert: addBert(prefix)
    case .distilbert: addDistil(prefix)
    case .albert: addAlbert(prefix)
    }
  }

  deinit { try? FileSystem.removeTree(directory) }

  /// Writes `config.json` and `model.safetensors`.
  func write() throws {
    try put("config.json", configuration)
    try write(tensors: Array(tensors.keys), to: "model.safetensors")
  }

  func write(tensors names: [String], to file: String) throws {
    var writer = SafeTensorsWriter()
    for name in names {
      if let tensor = tensors[name] {
        writer.add(name, shape: tensor.shape, values: tensor.values)
      }
    }
    try writer.write(to: directory + "/" + file)
  }

  func put(_ file: String, _ text: String) throws {
    let path = directory + "/" + file
    try FileSystem.makeFolder(FileSystem.parent(of: path))
    try FileSystem.replace(path, with: Array(text.utf8))
  }

  static func values(tag: Double, count: Int, scale: Double, base: Double = 0) -> [Float] {
    (0..<count).map { index -> Float in
      let angle: Double = 1 + 2.3 * tag + 0.7 * Double(index)
      return Float(base + scale * sin(angle))
    }
  }

  func add(_ name: String, _ shape: [Int], tag: Double, scale: Double, base: Double = 0) {
    let count = shape.reduce(1, *)
    tensors[name] = (shape, Self.values(tag: tag, count: count, scale: scale, base: base))
  }

  func linear(_ name: String, _ outputs: Int, _ inputs: Int, tag: Double) {
    add(name + ".weight", [outputs, inputs], tag: tag, scale: 0.4)
    add(name + ".bias", [outputs], tag: tag + 1, scale: 0.1)
  }

  func norm(_ name: String, _ width: Int, tag: Double) {
    add(name + ".weight", [width], tag: tag, scale: 0.1, base: 1)
    add(name + ".bias", [width], tag: tag + 1, scale: 0.1)
  }

  private func layer(_ base: String, _ names: [String], tag: Double) {
    for index in 0..<4 { linear(base + names[index], 8, 8, tag: tag + 2 * Double(index)) }
    norm(base + names[4], 8, tag: tag + 8)
    linear(base + names[5], 16, 8, tag: tag + 10)
    linear(base + names[6], 8, 16, tag: tag + 12)
    norm(base + names[7], 8, tag: tag + 14)
  }

  private func addBert(_ prefix: String) {
    add(prefix + "embeddings.word_embeddings.weight", [20, 8], tag: 1, scale: 0.5)
    add(prefix + "embeddings.position_embeddings.weight", [32, 8], tag: 2, scale: 0.3)
    add(prefix + "embeddings.token_type_embeddings.weight", [2, 8], tag: 3, scale: 0.2)
    norm(prefix + "embeddings.LayerNorm", 8, tag: 4)
    for index in 0..<2 {
      layer(
        prefix + "encoder.layer.\(index).",
        [
          "attention.self.query", "attention.self.key", "attention.self.value",
          "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense",
          "output.dense", "output.LayerNorm",
        ], tag: 10 + 20 * Double(index))
    }
    linear(prefix + "pooler.dense", 8, 8, tag: 60)
  }

  private func addDistil(_ prefix: String) {
    add(prefix + "embeddings.word_embeddings.weight", [20, 8], tag: 1, scale: 0.5)
    add(prefix + "embeddings.position_embeddings.weight", [32, 8], tag: 2, scale: 0.3)
    norm(prefix + "embeddings.LayerNorm", 8, tag: 4)
    for index in 0..<2 {
      layer(
        prefix + "transformer.layer.\(index).",
        [
          "attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
          "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm",
        ], tag: 10 + 20 * Double(index))
    }
  }

  private func addAlbert(_ prefix: String) {
    add(prefix + "embeddings.word_embeddings.weight", [20, 4], tag: 110, scale: 0.5)
    add(prefix + "embeddings.position_embeddings.weight", [32, 4], tag: 111, scale: 0.3)
    add(prefix + "embeddings.token_type_embeddings.weight", [2, 4], tag: 112, scale: 0.2)
    norm(prefix + "embeddings.LayerNorm", 4, tag: 113)
    linear(prefix + "encoder.embedding_hidden_mapping_in", 8, 4, tag: 115)
    layer(
      prefix + "encoder.albert_layer_groups.0.albert_layers.0.",
      [
        "attention.query", "attention.key", "attention.value", "attention.dense",
        "attention.LayerNorm", "ffn", "ffn_output", "full_layer_layer_norm",
      ], tag: 10)
    linear(prefix + "pooler", 8, 8, tag: 60)
  }

  /// The one-output head of BERT_CAT.
  func addHead() { linear("classifier", 1, 8, tag: 70) }

  static let bertConfiguration = """
    {"model_type": "bert", "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 2,
     "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 32,
     "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12}
    """

  static let distilConfiguration = """
    {"model_type": "distilbert", "vocab_size": 20, "dim": 8, "n_layers": 2, "n_heads": 2,
     "hidden_dim": 16, "max_position_embeddings": 32, "activation": "gelu"}
    """

  static let albertConfiguration = """
    {"model_type": "albert", "vocab_size": 20, "hidden_size": 8, "embedding_size": 4,
     "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
     "max_position_embeddings": 32, "type_vocab_size": 2, "hidden_act": "gelu_new",
     "num_hidden_groups": 1, "inner_group_num": 1}
    """
}

/// Where scratch files go.
func temporaryFolder() -> String {
  guard let value = getenv("TMPDIR") else { return "/tmp" }
  return String(cString: value)
}
