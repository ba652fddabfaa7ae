import Foundation
import Models
import Platform
import Tensors
import TestSupport
import Testing

/// ColBERT against values computed in double precision, and what surrounds the network.
@Suite struct ColBERTTests {
  private static let query: [Int32] = [2, 5, 7, 3]
  private static let passages: [[Int32]] = [[2, 5, 9, 11, 3], [2, 13, 4, 3]]

  private enum Family { case hofstaetter, original }

  private func model(_ family: Family) throws -> ColBERT {
    let tiny = try TinyModel(.distilbert, prefix: family == .original ? "" : "bert_model.")
    switch family {
    case .hofstaetter: tiny.linear("compressor", 8, 8, tag: 80)
    case .original: tiny.add("linear.weight", [4, 8], tag: 82, scale: 0.4)
    }
    try tiny.write()
    return try ColBERT(directory: tiny.directory, tokenizes: false)
  }

  private func expect(_ scores: [Float], _ golden: [Double]) {
    #expect(scores.count == golden.count)
    for (score, golden) in zip(scores, golden) {
      #expect(abs(Double(score) - golden) <= 1e-5 * max(1, abs(golden)), "\(score), not \(golden)")
    }
  }

  private func sequence(_ masks: QueryMasks) -> TermSequence {
    let (ids, keys) = masks.applied(to: Self.query, mask: 4)
    var sequence = TermSequence(ids)
    sequence.keys = keys
    return sequence
  }

  @Test func `both variants give the golden scores`() throws {
    let passages = Self.passages.map { TermSequence($0) }
    for (family, golden) in [
      (Family.hofstaetter, [9.417016468, 2.549202923]), (.original, [3.994123148, 2.620517822]),
    ] {
      let model = try model(family)
      #expect(model.dimension == (family == .original ? 4 : 8))
      #expect(model.settings.normalizes == (family == .original))
      expect(try model.score(TermSequence(Self.query), passages, threads: 2), golden)
    }
  }

  @Test func `masks before, behind and filling up give the golden scores`() throws {
    let passages = Self.passages.map { TermSequence($0) }
    let cases: [(masks: String, family: Family, golden: [Double])] = [
      ("after:2", .hofstaetter, [9.680784575793, 3.555232456266]),
      ("before:2", .hofstaetter, [8.494621345955, 3.537092318515]),
      ("fill:8", .original, [7.992018866827, 6.004220877122]),
      ("fill:8:attended", .original, [7.953931416193, 6.929747384232]),
    ]
    for (masks, family, golden) in cases {
      let model = try model(family)
      expect(
        try model.score(sequence(try QueryMasks(masks)), passages, threads: 1), golden)
    }
  }

  @Test func `tokens that nobody attends to change no other vector`() throws {
    let model = try model(.original)
    let plain = model.vectors(TermSequence(Self.query)).values
    let filled = model.vectors(sequence(try QueryMasks("fill:9"))).values
    #expect(filled.count == 9 * 4)
    #expect(zip(plain, filled).allSatisfy { abs($0 - $1) <= 1e-6 })
    let seen = model.vectors(sequence(try QueryMasks("fill:9:attended"))).values
    #expect(!zip(plain, seen).allSatisfy { abs($0 - $1) <= 1e-4 })
  }

  @Test func `masks are read as they are described`() throws {
    for (text, description) in [
      ("none", "none"), ("before:8", "before:8:attended"), ("after:3", "after:3:attended"),
      ("after:3:unattended", "after:3:unattended"), ("fill:32", "fill:32:unattended"),
    ] {
      #expect("\(try QueryMasks(text))" == description)
      #expect(try QueryMasks(description) == QueryMasks(text))
    }
    for wrong in [
      "", "before", "before:0", "beside:3", "none:1", "fill:x", "after:3:no", "fill:9999",
    ] {
      let error = #expect(throws: RetortError.self) { try QueryMasks(wrong) }
      #expect(error?.code == .usage && error?.message.contains("fill:32") == true, "\(wrong)")
    }
    #expect(throws: RetortError.self) { try QueryMasks("before:3:unattended") }
  }

  // MARK: With a tokenizer

  private func folder(_ head: TinyEncoder.Head, _ body: (String) throws -> Void) throws {
    let folder = try TemporaryFolder("colbert")
    try TinyEncoder.write(to: folder.path, head: head)
    try body(folder.path)
  }

  private func id(_ piece: String) -> Int32 {
    Int32((TinyEncoder.vocabulary + ["[unused0]", "[unused1]"]).firstIndex(of: piece) ?? -1)
  }

  @Test func `the original marks both sides, fills queries and leaves punctuation out`() throws {
    try folder(.projection) { path in
      let model = try ColBERT(directory: path)
      let query = model.query("water, gold")
      let text = ["[CLS]", "[unused0]", "water", ",", "gold", "[SEP]"].map(id)
      #expect(Array(query.ids.prefix(6)) == text)
      #expect(query.ids.count == 32 && query.ids[6...].allSatisfy { $0 == id("[MASK]") })
      #expect(query.keys == 6 && query.kept.count == 32)
      let passage = model.passage("water, gold?")
      #expect(
        passage.ids == ["[CLS]", "[unused1]", "water", ",", "gold", "?", "[SEP]"].map(id))
      #expect(passage.kept == [0, 1, 2, 4, 6] && passage.keys == 7)
      #expect(model.passage("").kept == [0, 1, 2])
      let long = model.passage(String(repeating: "water ", count: 100))
      #expect(long.isTruncated && long.ids.count == TinyEncoder.maxLength)
      let longQuery = model.query(String(repeating: "water ", count: 100))
      #expect(longQuery.isTruncated && longQuery.ids.count == 32 && longQuery.keys == 32)
    }
  }

  @Test func `Hofstätter's variant takes all tokens as they are, masks only when asked for`() throws
  {
    try folder(.compressor) { path in
      let model = try ColBERT(directory: path)
      #expect(model.query("water, gold").ids == ["[CLS]", "water", ",", "gold", "[SEP]"].map(id))
      #expect(model.passage("gold?").kept == [0, 1, 2, 3])
      var options = ColBERTOptions()
      options.queryMasks = try QueryMasks("before:2")
      let masked = try ColBERT(directory: path, options: options)
      #expect(masked.query("gold").ids == ["[CLS]", "gold", "[MASK]", "[MASK]", "[SEP]"].map(id))
      #expect(masked.fingerprint != model.fingerprint)
    }
  }

  @Test(arguments: [TinyEncoder.Head.compressor, .projection])
  func `scores are the sums of the largest products, at any number of threads`(
    head: TinyEncoder.Head
  ) throws {
    try folder(head) { path in
      let model = try ColBERT(directory: path)
      let texts = SyntheticCorpus(count: 40, seed: 9).passages.map(\.text) + ["gold", "", "?"]
      let scores = try model.score(query: "river and gold", passages: texts, threads: 1).scores
      #expect(
        try model.score(query: "river and gold", passages: texts, threads: 3).scores == scores)
      let query = model.vectors(model.query("river and gold"))
      for (text, score) in zip(texts, scores) {
        let passage = model.vectors(model.passage(text))
        var expected = 0.0
        for i in 0..<query.rows {
          let products = (0..<passage.rows).map { j in
            (0..<query.columns).reduce(0.0) {
              $0 + Double(query.row(i)[$1]) * Double(passage.row(j)[$1])
            }
          }
          expected += products.max() ?? 0
        }
        #expect(abs(Double(score) - expected) <= 1e-4 * max(1, abs(expected)), "\(text)")
      }
    }
  }

  @Test func `artifact.metadata says what the checkpoint was trained with`() throws {
    try folder(.projection) { path in
      func write(_ text: String) throws {
        try FileSystem.replace(path + "/artifact.metadata", with: Array(text.utf8))
      }
      try write(
        """
        {"query_maxlen": 20, "doc_maxlen": 30, "dim": 16, "similarity": "cosine", "checkpoint": "x",
         "mask_punctuation": false, "attend_to_mask_tokens": true}
        """)
      let settings = try ColBERT(directory: path).settings
      #expect((settings.queryLength, settings.passageLength) == (20, 30))
      #expect("\(settings.queryMasks)" == "fill:20:attended" && !settings.skipsPunctuation)
      try write("{\"similarity\": \"l2\"}")
      let error = #expect(throws: RetortError.self) { try ColBERT(directory: path) }
      #expect(error?.message.contains("the similarity 'l2'") == true)
    }
  }

  @Test func `a folder that is no ColBERT, or lacks its markers, is refused`() throws {
    try folder(TinyEncoder.Head.none) { path in
      let error = #expect(throws: RetortError.self) { try ColBERT(directory: path) }
      #expect(error?.message.contains("no layer that makes vectors of tokens") == true)
    }
    try folder(.classifier) { path in
      let error = #expect(throws: RetortError.self) { try ColBERT(directory: path) }
      #expect(error?.message.contains("is a cross-encoder (BERT_CAT), not a ColBERT") == true)
    }
    try folder(.compressor) { path in
      try FileSystem.replace(
        path + "/artifact.metadata", with: Array("{\"query_token_id\": \"[Q]\"}".utf8))
      let error = #expect(throws: RetortError.self) { try ColBERT(directory: path) }
      #expect(error?.message.contains("has no token '[Q]'") == true)
    }
    try folder(.projection) { path in
      var options = ColBERTOptions()
      options.queryMasks = try QueryMasks("fill:49")
      let error = #expect(throws: RetortError.self) {
        try ColBERT(directory: path, options: options)
      }
      #expect(error?.exitCode == 64 && error?.message.contains("ask for fewer masks") == true)
      options = ColBERTOptions()
      options.passageLength = 2
      #expect(throws: RetortError.self) { try ColBERT(directory: path, options: options) }
    }
  }
}
