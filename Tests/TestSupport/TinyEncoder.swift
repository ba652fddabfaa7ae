import Formats
import Platform

/// A small but complete model directory: BERT of 2 layers, width 32, 2 heads, with a WordPiece
/// vocabulary of letters, digits, words and continuations, and weights from a seeded generator.
package enum TinyEncoder {
  /// The width of its vectors.
  package static let width = 32
  /// Tokens of a text at most.
  package static let maxLength = 48
  private static let inner = 64
  private static let layers = 2

  /// Whole words of the vocabulary, and of the corpora that `SyntheticCorpus` writes.
  package static let words = """
    water river lake ocean rain snow cloud storm wind sun moon star earth stone metal iron gold \
    copper glass wood paper cloth bread milk sugar salt honey fruit apple grape onion pepper \
    doctor nurse teacher farmer sailor soldier king queen city village road bridge house tower \
    window garden forest mountain valley desert island animal horse sheep dog cat bird fish whale \
    heart blood brain bone skin hand foot eye ear voice music song drum piano book letter story \
    language number science history law money trade market price energy heat light sound engine \
    wheel ship train plane the a of and in to is what how does who where why
    """.split(separator: " ").map(String.init)

  /// The vocabulary in the order of its ids.
  package static var vocabulary: [String] {
    let letters = (UInt8(ascii: "a")...UInt8(ascii: "z")).map { String(UnicodeScalar($0)) }
    let digits = (0...9).map(String.init)
    let single = letters + digits
    let whole = words.filter { !single.contains($0) }
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + single + single.map { "##" + $0 }
      + ["##s", "##ing", "##er", "##ly"].filter { $0.count > 3 } + whole + ["?", ".", ",", "-"]
  }

  /// The family of the encoder.
  package enum Body: Sendable { case bert, distilbert }

  /// What stands on the encoder.
  package enum Head: Sendable {
    case none
    /// One output: a cross-encoder.
    case classifier
    /// Hofstätter's ColBERT.
    case compressor
    /// The original ColBERT; the vocabulary gets its markers.
    case projection
  }

  /// Writes the directory; another seed gives other weights.
  package static func write(
    to folder: String, seed: UInt64 = 1, tokenizer: Bool = true, head: Head = .none,
    body: Body = .bert, positions: Int = maxLength
  ) throws {
    try FileSystem.makeFolder(folder)
    let vocabulary = Self.vocabulary + (head == .projection ? ["[unused0]", "[unused1]"] : [])
    let configuration = Self.configuration(words: vocabulary.count, positions, body)
    try FileSystem.replace(folder + "/config.json", with: Array(configuration.utf8))
    if tokenizer {
      let lines = vocabulary.joined(separator: "\n") + "\n"
      try FileSystem.replace(folder + "/vocab.txt", with: Array(lines.utf8))
      try FileSystem.replace(
        folder + "/tokenizer_config.json", with: Array(settings(positions).utf8))
    }
    try FileSystem.makeFolder(folder + "/1_Pooling")
    try FileSystem.replace(
      folder + "/1_Pooling/config.json", with: Array("{\"pooling_mode_mean_tokens\": true}".utf8))
    var random = SplitMix64(seed: seed)
    var writer = SafeTensorsWriter()
    func add(_ name: String, _ shape: [Int], scale: Double, base: Double = 0) {
      let count = shape.reduce(1, *)
      writer.add(
        name, shape: shape, values: (0..<count).map { _ in Float(base + scale * random.normal()) })
    }
    func linear(_ name: String, _ outputs: Int, _ inputs: Int) {
      add(name + ".weight", [outputs, inputs], scale: 0.2)
      add(name + ".bias", [outputs], scale: 0.05)
    }
    func norm(_ name: String) {
      add(name + ".weight", [width], scale: 0.1, base: 1)
      add(name + ".bias", [width], scale: 0.05)
    }
    add("embeddings.word_embeddings.weight", [vocabulary.count, width], scale: 1)
    add("embeddings.position_embeddings.weight", [positions, width], scale: 0.1)
    if body == .bert { add("embeddings.token_type_embeddings.weight", [2, width], scale: 0.1) }
    norm("embeddings.LayerNorm")
    let parts = body == .bert ? bertParts : distilParts
    for layer in 0..<layers {
      let base = (body == .bert ? "encoder.layer." : "transformer.layer.") + "\(layer)."
      for part in parts.prefix(3) { linear(base + part, width, width) }
      linear(base + parts[3], width, width)
      norm(base + parts[4])
      linear(base + parts[5], inner, width)
      linear(base + parts[6], width, inner)
      norm(base + parts[7])
    }
    if body == .bert { linear("pooler.dense", width, width) }
    switch head {
    case .none: break
    case .classifier: linear("classifier", 1, width)
    case .compressor: linear("compressor", width, width)
    case .projection: add("linear.weight", [16, width], scale: 0.2)
    }
    try writer.write(to: folder + "/model.safetensors")
  }

  private static let bertParts = [
    "attention.self.query", "attention.self.key", "attention.self.value",
    "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense", "output.dense",
    "output.LayerNorm",
  ]
  private static let distilParts = [
    "attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "sa_layer_norm",
    "ffn.lin1", "ffn.lin2", "output_layer_norm",
  ]

  private static func configuration(words: Int, _ positions: Int, _ body: Body) -> String {
    guard body == .bert else {
      return """
        {"model_type": "distilbert", "vocab_size": \(words), "dim": \(width),
         "n_layers": \(layers), "n_heads": 2, "hidden_dim": \(inner),
         "max_position_embeddings": \(positions), "activation": "gelu"}
        """
    }
    return """
      {"model_type": "bert", "vocab_size": \(words), "hidden_size": \(width),
       "num_hidden_layers": \(layers), "num_attention_heads": 2, "intermediate_size": \(inner),
       "max_position_embeddings": \(positions), "type_vocab_size": 2, "hidden_act": "gelu",
       "layer_norm_eps": 1e-12}
      """
  }

  private static func settings(_ positions: Int) -> String {
    """
    {"do_lower_case": true, "model_max_length": \(positions), "unk_token": "[UNK]",
     "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]",
     "tokenizer_class": "BertTokenizer"}
    """
  }
}

/// Passages of random words, always the same for a seed.
package struct SyntheticCorpus {
  /// The passages.
  package var passages: [(id: String, text: String)]

  /// `count` passages of 3 to 30 words; a fifth of the words are not in the vocabulary.
  package init(count: Int, seed: UInt64) {
    var random = SplitMix64(seed: seed)
    func word() -> String {
      if random.next() % 5 > 0 {
        return TinyEncoder.words[Int(random.next() % UInt64(TinyEncoder.words.count))]
      }
      return String(random.next() % 1_000_000, radix: 36)
    }
    passages = (0..<count).map { number in
      let length = 3 + Int(random.next() % 28)
      return ("p\(seed)-\(number)", (0..<length).map { _ in word() }.joined(separator: " "))
    }
  }

  /// MS MARCO's format.
  package var tsv: String { passages.map { "\($0.id)\t\($0.text)\n" }.joined() }

  /// JSON lines; ids and texts hold nothing that needs escaping.
  package var jsonl: String {
    passages.map { "{\"_id\": \"\($0.id)\", \"title\": \"\", \"text\": \"\($0.text)\"}\n" }.joined()
  }
}
