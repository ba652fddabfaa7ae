import Formats
import Foundation
import Models
import Platform
import Testing

/// What is made of directories that are complete, odd, incomplete or broken.
@Suite struct ModelDirectoryTests {
  private static let sequences: [[Int32]] = [[2, 5, 7, 3], [2, 19, 0, 11, 4, 3]]

  /// The error of loading, whose message must hold `text`.
  private func expectFailure(
    _ tiny: TinyModel, saying text: String, code: Int32 = 65, options: EncoderOptions = .init()
  ) {
    let error = #expect(throws: RetortError.self) {
      try EncoderModel(directory: tiny.directory, options: options)
    }
    #expect(error?.description.contains(text) == true, "\(error?.description ?? "no error")")
    #expect(error?.exitCode == code)
  }

  private func tiny(_ family: TinyModel.Family = .bert) throws -> TinyModel {
    let tiny = try TinyModel(family)
    try tiny.write()
    return tiny
  }

  // MARK: Pooling and normalisation

  @Test func `without any file the custom of BERT_DOT is followed`() throws {
    let tiny = try tiny()
    let model = try EncoderModel(directory: tiny.directory)
    #expect(model.pooling == .cls)
    #expect(!model.normalize)
  }

  @Test(arguments: [
    (#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#, Pooling.cls),
    (#"{"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true}"#, .mean),
    (#"{"pooling_mode": "mean"}"#, .mean),
  ])
  func `sentence-transformers files decide`(pooling: String, expected: Pooling) throws {
    for normalizes in [true, false] {
      let tiny = try tiny()
      let last = normalizes ? #", {"path": "2_Normalize", "type": "a.models.Normalize"}"# : ""
      try tiny.put(
        "modules.json",
        #"[{"path": "", "type": "a.models.Transformer"}, "#
          + #"{"path": "1_Pooling", "type": "a.models.Pooling"}\#(last)]"#)
      try tiny.put("1_Pooling/config.json", pooling)
      let model = try EncoderModel(directory: tiny.directory)
      #expect(model.pooling == expected)
      #expect(model.normalize == normalizes)
    }
  }

  @Test func `options win over files`() throws {
    let tiny = try tiny()
    try tiny.put("1_Pooling/config.json", #"{"pooling_mode_max_tokens": true}"#)
    expectFailure(tiny, saying: "max pooling")
    var options = EncoderOptions()
    options.pooling = .mean
    options.normalize = true
    let model = try EncoderModel(directory: tiny.directory, options: options)
    #expect(model.pooling == .mean)
    #expect(model.normalize)
    let vectors = try model.encode(Self.sequences, threads: 1)
    for row in 0..<2 {
      let length = vectors[row * 8..<row * 8 + 8].reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(abs(length - 1) <= 1e-6)
    }
  }

  @Test func `a Dense module is refused`() throws {
    let tiny = try tiny()
    try tiny.put("modules.json", #"[{"path": "2_Dense", "type": "a.models.Dense"}]"#)
    expectFailure(tiny, saying: "Dense module (2_Dense), which is not supported")
  }

  @Test func `two pooling modes at once are refused`() throws {
    let tiny = try tiny()
    try tiny.put(
      "1_Pooling/config.json",
      #"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#)
    expectFailure(tiny, saying: "cls + mean pooling")
  }

  // MARK: Lengths

  @Test func `a length beyond the position table is refused`() throws {
    var options = EncoderOptions()
    options.maxLength = 33
    expectFailure(try tiny(), saying: "outside 3...32", code: 64, options: options)
  }

  @Test func `a sequence longer than the position table keeps its ends`() throws {
    let tiny = try tiny()
    let model = try EncoderModel(directory: tiny.directory)
    let long: [Int32] = [2] + (0..<60).map { $0 % 15 + 4 } + [3]
    let cut = Array(long[..<31]) + [3]
    #expect(try model.encode([long], threads: 1) == model.encode([cut], threads: 1))
  }

  @Test func `no sequences and empty sequences are fine`() throws {
    var options = EncoderOptions()
    options.pooling = .mean
    options.normalize = true
    let tiny = try tiny()
    for options in [options, EncoderOptions()] {
      let model = try EncoderModel(directory: tiny.directory, options: options)
      #expect(try model.encode([], threads: 2).isEmpty)
      let vectors = try model.encode([[], [2, 3], []], threads: 2)
      #expect(vectors.count == 24)
      #expect(vectors[0..<8].allSatisfy { $0 == 0 } && vectors[16..<24].allSatisfy { $0 == 0 })
      #expect(try Array(vectors[8..<16]) == model.encode([[2, 3]], threads: 1))
    }
  }

  // MARK: Files of weights

  @Test func `shards give the same vectors as one file`() throws {
    let tiny = try tiny()
    let whole = try EncoderModel(directory: tiny.directory)
    try FileSystem.remove(tiny.directory + "/model.safetensors")
    let names = tiny.tensors.keys.sorted()
    let (first, second) = (Array(names[..<20]), Array(names[20...]))
    try tiny.write(tensors: first, to: "model-1.safetensors")
    try tiny.write(tensors: second, to: "model-2.safetensors")
    func index(_ second: String) -> String {
      let pairs =
        first.map { "\"\($0)\": \"model-1.safetensors\"" }
        + names[20...].map { "\"\($0)\": \"\(second)\"" }
      return #"{"metadata": {}, "weight_map": {\#(pairs.joined(separator: ","))}}"#
    }
    try tiny.put("model.safetensors.index.json", index("model-2.safetensors"))
    let sharded = try EncoderModel(directory: tiny.directory)
    #expect(sharded.identity == whole.identity)
    #expect(
      try sharded.encode(Self.sequences, threads: 1) == whole.encode(Self.sequences, threads: 1))
    try tiny.put("model.safetensors.index.json", index("../model-2.safetensors"))
    expectFailure(tiny, saying: "not a plain file name")
    try tiny.put("model.safetensors.index.json", index("model-1.safetensors"))
    expectFailure(tiny, saying: "but it does not")
    try tiny.put("model.safetensors.index.json", index("model-3.safetensors"))
    expectFailure(tiny, saying: "model-3.safetensors", code: 66)
  }

  @Test func `gamma and beta are weight and bias`() throws {
    let tiny = try tiny()
    let whole = try EncoderModel(directory: tiny.directory)
    for (name, tensor) in tiny.tensors where name.contains("LayerNorm.") {
      tiny.tensors[name] = nil
      let old = name.hasSuffix("weight") ? name.dropLast(6) + "gamma" : name.dropLast(4) + "beta"
      tiny.tensors[String(old)] = tensor
    }
    try tiny.write()
    let old = try EncoderModel(directory: tiny.directory)
    #expect(try old.encode(Self.sequences, threads: 1) == whole.encode(Self.sequences, threads: 1))
  }

  @Test func `a changed weight changes the identity, an unused tensor does not`() throws {
    let tiny = try tiny()
    let before = try EncoderModel(directory: tiny.directory).identity
    tiny.add("cls.predictions.bias", [20], tag: 5, scale: 1)
    try tiny.write()
    #expect(try EncoderModel(directory: tiny.directory).identity == before)
    tiny.tensors["encoder.layer.1.output.dense.bias"]?.values[3] += 1e-6
    try tiny.write()
    #expect(try EncoderModel(directory: tiny.directory).identity != before)
  }

  @Test func `a missing tensor is named`() throws {
    let tiny = try tiny()
    tiny.tensors["encoder.layer.1.attention.self.key.bias"] = nil
    try tiny.write()
    expectFailure(tiny, saying: "no tensor 'encoder.layer.1.attention.self.key.bias'")
  }

  @Test func `a wrong shape is named`() throws {
    let tiny = try tiny()
    tiny.add("encoder.layer.0.intermediate.dense.weight", [8, 16], tag: 1, scale: 1)
    try tiny.write()
    expectFailure(tiny, saying: "has the shape [8, 16], but config.json makes it [16, 8]")
  }

  @Test(arguments: [Float.nan, .infinity])
  func `a weight that is not finite is named`(value: Float) throws {
    let tiny = try tiny()
    tiny.tensors["embeddings.word_embeddings.weight"]?.values[77] = value
    try tiny.write()
    expectFailure(tiny, saying: "at element 77;")
  }

  @Test func `two encoders in one file are refused`() throws {
    let tiny = try TinyModel(.bert, prefix: "query.")
    let other = try TinyModel(.bert, prefix: "passage.")
    tiny.tensors.merge(other.tensors) { first, _ in first }
    try tiny.write()
    expectFailure(tiny, saying: "several encoders (passage., query.)")
  }

  @Test func `a pickle is refused with the remedy`() throws {
    let tiny = try tiny()
    try FileSystem.remove(tiny.directory + "/model.safetensors")
    expectFailure(tiny, saying: "no model.safetensors", code: 66)
    try tiny.put("pytorch_model.bin", "PK")
    expectFailure(tiny, saying: "safe_serialization=True", code: 66)
  }

  @Test func `a truncated weights file is one error`() throws {
    let tiny = try tiny()
    let path = tiny.directory + "/model.safetensors"
    let bytes = try FileSystem.read(path)
    try FileSystem.replace(path, with: Array(bytes[..<(bytes.count - 5)]))
    expectFailure(tiny, saying: "damaged or incomplete")
  }

  // MARK: config.json

  @Test(arguments: [
    ("\"bert\"", "\"roberta\"", "model_type 'roberta'"),
    ("\"gelu\"", "\"silu\"", "hidden_act 'silu'"),
    (
      "\"gelu\"", "\"gelu\", \"position_embedding_type\": \"relative_key\"",
      "position_embedding_type 'relative_key'"
    ),
    ("\"gelu\"", "\"gelu\", \"is_decoder\": true", "decoder"),
    ("\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "do not divide"),
    ("\"num_attention_heads\": 2", "\"num_attention_heads\": 0", "outside 1"),
    ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "encoder.layer.2."),
    ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1000000000", "outside 1...1024"),
    ("\"hidden_size\": 8", "\"hidden_size\": -8", "outside 1"),
    ("\"hidden_size\": 8", "\"hidden_size\": 9223372036854775807", "outside 1"),
    ("\"hidden_size\": 8", "\"hidden_size\": \"eight\"", "hidden_size of the wrong type"),
    ("\"hidden_size\": 8,", "", "no hidden_size"),
    ("\"vocab_size\": 20", "\"vocab_size\": 268435456", "config.json makes it [268435456, 8]"),
    ("1e-12", "-1", "layer_norm_eps"),
    ("\"model_type\"", "model_type", "not valid JSON"),
  ])
  func `an unusable configuration is one clear error`(
    part: String, replacement: String, says: String
  ) throws {
    let tiny = try TinyModel(.bert)
    let range = try #require(tiny.configuration.range(of: part))
    tiny.configuration.replaceSubrange(range, with: replacement)
    try tiny.write()
    expectFailure(tiny, saying: says)
  }

  @Test func `ALBERT with several groups of layers is refused`() throws {
    let tiny = try TinyModel(.albert)
    tiny.configuration = tiny.configuration.replacing(
      "\"num_hidden_groups\": 1", with: "\"num_hidden_groups\": 2")
    try tiny.write()
    expectFailure(tiny, saying: "num_hidden_groups = 2")
  }

  @Test func `a folder without config, a file and nothing are missing input`() throws {
    let tiny = try TinyModel(.bert)
    expectFailure(tiny, saying: "no config.json", code: 66)
    try tiny.write()
    let error = #expect(throws: RetortError.self) {
      try EncoderModel(directory: tiny.directory + "/config.json")
    }
    #expect(error?.exitCode == 66)
    let missing = #expect(throws: RetortError.self) {
      try EncoderModel(directory: tiny.directory + "/nothing")
    }
    #expect(missing?.exitCode == 66)
  }

  // MARK: A whole directory, tokenizer included

  private func addVocabulary(_ tiny: TinyModel, words: Int) throws {
    var vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    for word in 0..<(words - 5) { vocabulary.append("word\(word)") }
    try tiny.put("vocab.txt", vocabulary.joined(separator: "\n") + "\n")
    try tiny.put("tokenizer_config.json", #"{"do_lower_case": true, "model_max_length": 512}"#)
  }

  @Test func `a text encoder joins tokenizer and network`() throws {
    let tiny = try tiny(.distilbert)
    try addVocabulary(tiny, words: 20)
    let encoder = try TextEncoder(directory: tiny.directory)
    #expect(encoder.maxLength == 32)
    #expect(encoder.summary.maxLength.reason.contains("limited by max_position_embeddings"))
    #expect(encoder.summary.pooling.reason.contains("BERT_DOT"))
    #expect(encoder.tokenize("word0 word2 nothing").ids == [2, 5, 7, 1, 3])
    let texts = ["word0 word2", "", "word3"] + (0..<200).map { "word\($0 % 15) word4" }
    let vectors = try encoder.encode(texts: texts, threads: 2)
    #expect(try vectors == encoder.encode(texts: texts, threads: 1))
    #expect(try Array(vectors[0..<8]) == Array(encoder.encode(texts: texts, threads: 3)[0..<8]))
    let long = String(repeating: "word1 ", count: 100)
    #expect(encoder.tokenize(long).ids.count == 32)
    #expect(encoder.tokenize(long).isTruncated)
  }

  @Test func `a tokenizer with more words than vectors is refused`() throws {
    let tiny = try tiny(.distilbert)
    try addVocabulary(tiny, words: 21)
    let error = #expect(throws: RetortError.self) {
      try TextEncoder(directory: tiny.directory)
    }
    #expect(error?.message.contains("tokenizer of 21 words") == true)
  }

  @Test func `a cross-encoder reads query and passage together`() throws {
    let tiny = try TinyModel(.bert, prefix: "bert.")
    tiny.addHead()
    try tiny.write()
    try addVocabulary(tiny, words: 20)
    let encoder = try CrossEncoder(directory: tiny.directory)
    let scores = try encoder.score(query: "word0", passages: ["word2", "word3 word4"], threads: 2)
    let pairs = [
      TokenizedPair(ids: [2, 5, 3, 7, 3], types: [0, 0, 0, 1, 1]),
      TokenizedPair(ids: [2, 5, 3, 8, 9, 3], types: [0, 0, 0, 1, 1, 1]),
    ]
    #expect(try scores == encoder.score(pairs, threads: 1))
    #expect(scores[0] != scores[1])
  }
}
