import Formats
import Foundation
import Models
import Platform
import Tensors
import TestSupport
import Testing

/// TK against values computed in double precision, and what surrounds the network.
@Suite struct TKTests {
  /// V = 20, D = 8, one layer of 2 heads, f = 16.
  private func tiny() throws -> TinyModel {
    let tiny = try TinyModel(.bert)
    tiny.tensors = [:]
    tiny.configuration = """
      {"model_type": "tk", "architectures": ["TK"], "vocab_size": 20, "hidden_size": 8,
       "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
       "layer_norm_eps": 1e-5, "query_length": 30, "passage_length": 200, "passage_position": 500,
       "kernel_means": [1, 0.9, 0.7, 0.5, 0.3, 0.1, -0.1, -0.3, -0.5, -0.7, -0.9],
       "kernel_deviations": [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]}
      """
    let base = "contextualizer.layers.0."
    tiny.add("word_embeddings.weight", [20, 8], tag: 90, scale: 0.5)
    tiny.add(base + "self_attn.in_proj_weight", [24, 8], tag: 91, scale: 0.4)
    tiny.add(base + "self_attn.in_proj_bias", [24], tag: 92, scale: 0.1)
    tiny.linear(base + "self_attn.out_proj", 8, 8, tag: 93)
    tiny.linear(base + "linear1", 16, 8, tag: 95)
    tiny.linear(base + "linear2", 8, 16, tag: 97)
    tiny.norm(base + "norm1", 8, tag: 99)
    tiny.norm(base + "norm2", 8, tag: 101)
    tiny.tensors["mixer"] = ([1], [0.5])
    tiny.tensors["kernel_alpha_scaler"] = ([11], [Float](repeating: 1, count: 11))
    tiny.add("kernel_bin_weights.weight", [1, 11], tag: 103, scale: 0.014)
    let words = ["[PAD]", "[UNK]"] + (2..<20).map { "w\($0)" }
    try tiny.put("vocab.txt", words.joined(separator: "\n") + "\n")
    try tiny.write()
    return tiny
  }

  private func close(_ found: some Sequence<Float>, _ golden: [Double], _ what: String) {
    let found = Array(found)
    #expect(found.count == golden.count, "\(what)")
    for (found, golden) in zip(found, golden) {
      #expect(abs(Double(found) - golden) <= 2e-4 * max(1, abs(golden)), "\(what)")
    }
  }

  private static let golden = [-0.184809, 0.892042]

  @Test func `scores, features and cosines are the golden ones`() throws {
    let tiny = try tiny()
    let model = try TK(directory: tiny.directory)
    let texts = ["w5 w9 w11 w3", "w13 w4 w6"]
    close(
      try model.score(query: "w5 W7", passages: texts, threads: 2).scores, Self.golden, "scores")
    let terms = try model.terms(of: texts, threads: 2)
    #expect(terms.offsets == [0, 4, 7] && terms.truncated == 0)
    close(
      try model.score(model.sequence("w5 w7", .query), terms: terms, threads: 2), Self.golden,
      "scores by terms")
    let query = model.vectors(model.sequence("w5 w7", .query), .query)
    let cosines = (0..<2).flatMap { i in
      (0..<4).map { j in
        (0..<8).reduce(Float(0)) { $0 + query.row(i)[$1] * terms.values[j * 8 + $1] }
      }
    }
    close(
      cosines,
      [0.698025, 0.780242, -0.557096, -0.21151, 0.64884, 0.908032, -0.493229, -0.227784],
      "cosines")
    let (words, kernels) = model.histogram(query: "w5 w7", passage: texts[0])
    #expect(words == ["w5", "w7"] && kernels.allSatisfy { $0.counts.count == 2 })
    close(
      kernels.map(\.feature),
      [
        -2.723651, -0.442189, 0.537148, -2.936596, -13.973013, -10.223977, -1.437117, -0.416536,
        -0.122752, -3.158654, -14.1523,
      ], "features")
    let sum = kernels.reduce(0.0) { $0 + Double($1.part) }
    #expect(abs(sum - Self.golden[0]) <= 2e-4)
    // φ is the sum of the counts' logarithms.
    for kernel in kernels {
      let logs = kernel.counts.reduce(0.0) { $0 + log(max(Double($1), 1e-10)) }
      #expect(abs(logs - Double(kernel.feature)) <= 1e-3 * max(1, abs(logs)))
    }
  }

  @Test func `the tape has the same scores, and what it saves is loaded again`() throws {
    let tiny = try tiny()
    let model = try TrainableTK(directory: tiny.directory)
    let tape = Tape(
      model.parameters, gradients: model.parameters.zeros(), memory: Tape.Memory(threads: 2))
    let batch = model.batch(ids: [([5, 7], [[5, 9, 11, 3], [13, 4, 6]])])
    close(model.scores(TapeOperators(tape), batch).matrix.values, Self.golden, "tape")
    let folder = tiny.directory + "/saved"
    try FileSystem.makeFolder(folder)
    try model.save(to: folder)
    for name in ["config.json", "vocab.txt", "model.safetensors"] {
      #expect(FileSystem.kind(of: folder + "/" + name) == .file)
    }
    let (one, other) = (try TK(directory: tiny.directory), try TK(directory: folder))
    #expect(one.fingerprint == other.fingerprint && one.termFingerprint == other.termFingerprint)
    #expect(
      try FileSystem.read(tiny.directory + "/vocab.txt") == FileSystem.read(folder + "/vocab.txt"))
  }

  @Test func `a passage's vectors depend on no other, and texts without words have a score`() throws
  {
    let tiny = try tiny()
    let model = try TK(directory: tiny.directory)
    let texts = ["w5 w9 nobody knows w3", "", "w4", "?! ...", String(repeating: "w7 ", count: 300)]
    for query in ["w5 w7", "", "w3"] {
      let together = try model.score(query: query, passages: texts, threads: 3)
      #expect(together.truncated == 1 && together.scores.allSatisfy(\.isFinite))
      let terms = try model.terms(of: texts, threads: 2)
      #expect(terms.truncated == 1)
      let sequence = model.sequence(query, .query)
      #expect(try model.score(sequence, terms: terms, threads: 2) == together.scores)
      for (text, score) in zip(texts, together.scores) {
        let alone = try model.score(query: query, passages: [text], threads: 1).scores[0]
        #expect(alone == score, "\(query): \(text)")
      }
    }
    let short = try TK(directory: tiny.directory, maxLength: 2)
    #expect(short.fingerprint != model.fingerprint)
    #expect(try short.terms(of: ["w4 w5 w6"], threads: 1).offsets == [0, 2])
    let error = #expect(throws: RetortError.self) {
      try TK(directory: tiny.directory, maxLength: 201)
    }
    #expect(error?.exitCode == 64)
  }

  @Test func `a damaged folder is refused with the reason`() throws {
    let tiny = try tiny()
    let good = tiny.configuration
    func message() -> String {
      do {
        _ = try TK(directory: tiny.directory)
        return "no error"
      } catch {
        return "\(error)"
      }
    }
    let changes: [(old: String, new: String, reason: String)] = [
      ("\"tk\"", "\"bert\"", "is no TK"), ("\"hidden_size\": 8", "\"hidden_size\": 9", "heads"),
      ("\"hidden_size\": 8", "\"hidden_size\": 16", "word_embeddings.weight"),
      ("\"vocab_size\": 20", "\"vocab_size\": 21", "has 20 words"),
      ("\"passage_length\": 200", "\"passage_length\": 1000000000", "passage_length"),
      ("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 2", "contextualizer.layers.1"),
      ("[0.1, ", "[0, ", "deviation"), ("[1, 0.9, ", "[", "deviation"),
    ]
    for (old, new, reason) in changes {
      tiny.configuration = good.replacing(old, with: new)
      try tiny.put("config.json", tiny.configuration)
      #expect(message().contains(reason), "\(reason): \(message())")
    }
    try tiny.put("config.json", good)
    #expect(message() == "no error")
    let words: [(text: String, reason: String)] = [
      ("", "does not begin"), ("[PAD]\na\n", "does not begin"),
      ("[PAD]\n[UNK]\na\nb\na\n", "has the word \"a\" twice"),
    ]
    for (text, reason) in words {
      try tiny.put("vocab.txt", text)
      #expect(message().contains(reason), "\(message())")
    }
  }

  // MARK: A new one

  private func start() -> TKStart {
    var start = TKStart()
    for text in ["The river, the sea", "a river of gold", "Gold!"] { start.add(text) }
    return start
  }

  @Test func `a new TK knows the texts' words, the most frequent ones first`() throws {
    var options = TrainableTK.Options()
    options.dimension = 12
    options.vocabularySize = 3
    options.queryLength = 4
    options.passageLength = 9
    let model = try TrainableTK(start(), options: options)
    let folder = try TemporaryFolder("tk")
    try model.save(to: folder.path)
    let words = String(
      decoding: try FileSystem.read(folder.path + "/vocab.txt"), as: UTF8.self)
    #expect(words == "[PAD]\n[UNK]\ngold\nriver\nthe\n")
    #expect(model.notes[0].contains("3 words, which are 54.5% of the texts'"))
    let loaded = try TK(directory: folder.path)
    #expect(loaded.summary.layers == 2 && loaded.summary.attentionHeads == 6)
    #expect((loaded.summary.queryLength, loaded.summary.passageLength) == (4, 9))
    #expect(loaded.sequence("Gold, the SEA", .query).ids == [2, 1, 4, 1])
    options.seed = 1
    let other = try TrainableTK(start(), options: options)
    #expect(other.origin != model.origin && other.identity == model.identity)
  }

  @Test func `vectors of words are read from a file, and words that it lacks are unknown`() throws {
    let folder = try TemporaryFolder("glove")
    var options = TrainableTK.Options()
    options.embeddings = try folder.file(
      "glove.txt", "the 1 2 3 4\nnobody 5 5 5 5\ngold -1 -2 0.5 1e-2\n")
    let model = try TrainableTK(start(), options: options)
    let table = model.parameters.items[0].values
    #expect(table.rows == 4 && table.columns == 4)
    #expect(table.values.suffix(8) == [-1, -2, 0.5, 0.01, 1, 2, 3, 4])
    options.dimension = 5
    let error = #expect(throws: RetortError.self) { try TrainableTK(start(), options: options) }
    #expect(error?.message.contains("4 numbers, not 5") == true)
    options.dimension = nil
    options.embeddings = try folder.file("other.txt", "nobody 1 2\n")
    let none = #expect(throws: RetortError.self) { try TrainableTK(start(), options: options) }
    #expect(none?.message.contains("none of the texts' 8 words") == true)
  }
}
