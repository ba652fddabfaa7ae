import Distillation
import Evaluation
import Formats
import Models
import Platform
import Reranking
import TestSupport
import Testing

/// Training of every architecture that re-ranks: it learns, it repeats itself, it is validated with the
/// scores that inference gives, and the commands load what it wrote.
@Suite struct ArchitectureTests {
  /// An architecture with a start.
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var model: RankerKind
    var reranker: RerankerKind
    var loss = Loss.marginMSE
    var head = TinyEncoder.Head.none
    var body = TinyEncoder.Body.bert
    var rate = 3e-3
    /// Whether it starts from a folder.
    var hasStart = true
    var settings: @Sendable (inout TrainingOptions) -> Void = { _ in }
    var testDescription: String { name }
  }

  static let cases: [Case] = [
    Case(
      name: "colbert of Khattab and Zaharia, from a projection", model: .colbert,
      reranker: .colbert, head: .projection),
    Case(
      name: "colbert of Hofstätter, from an encoder, with masks", model: .colbert,
      reranker: .colbert, loss: .listKL,
      settings: { options in
        options.variant = .hofstaetter
        options.dimension = 12
        options.queryMasks = try? QueryMasks("before:2")
      }),
    Case(
      name: "colbert of Hofstätter on DistilBERT, in-batch", model: .colbert, reranker: .colbert,
      loss: .infoNCE, head: .compressor, body: .distilbert),
    Case(
      name: "prettr, split in the middle", model: .prettr, reranker: .prettr,
      settings: { $0.queryLength = 12 }),
    Case(
      name: "prettr on DistilBERT with a compressor", model: .prettr, reranker: .prettr,
      loss: .rankNet, body: .distilbert,
      settings: { options in
        options.queryLength = 12
        options.compression = 10
      }),
    Case(
      name: "tk of drawn vectors", model: .tk, reranker: .tk, rate: 0.02, hasStart: false,
      settings: { options in
        options.dimension = 16
        options.dropout = 0
      }),
    Case(
      name: "tk of given vectors, in-batch", model: .tk, reranker: .tk, loss: .infoNCE, rate: 0.02,
      hasStart: false,
      settings: { options in
        options.embeddings = "glove"
        options.dropout = 0
      }),
    Case(
      name: "bert-cat on DistilBERT", model: .bertCat, reranker: .cat, loss: .rankNet,
      body: .distilbert),
  ]

  private let folder: TemporaryFolder
  private var path: String { folder.path }
  private let texts: [(query: String, positive: String, negative: String)]

  init() throws {
    folder = try TemporaryFolder("architecture")
    var random = SplitMix64(seed: 31)
    func words(_ count: Int) -> String {
      (0..<count).map { _ in
        TinyEncoder.words[Int(random.next() % UInt64(TinyEncoder.words.count))]
      }.joined(separator: " ")
    }
    texts = (0..<48).map { _ in
      let query = words(3)
      return (query, words(2) + " " + query + ", " + words(2), words(7))
    }
    let lines = texts.map { "\($0.query)\t\($0.positive)\t\($0.negative)\n" }
    let scored = lines.enumerated().map { "\(4 + $0 % 3)\t\(Double($0 % 4) / 2)\t\($1)" }
    try folder.file("triples.tsv", lines.joined())
    try folder.file("scores.tsv", scored.joined())
  }

  private func options(_ test: Case, _ name: String) throws -> TrainingOptions {
    let start = path + "/start"
    if test.hasStart, FileSystem.kind(of: start) == .nothing {
      try TinyEncoder.write(to: start, head: test.head, body: test.body)
    }
    var options = TrainingOptions(
      model: test.model, initial: test.hasStart ? start : "", output: path + "/" + name)
    options.loss = test.loss
    if test.loss.needsTeacher {
      options.teacherScores = path + "/scores.tsv"
    } else {
      options.triples = path + "/triples.tsv"
    }
    options.batchSize = 6
    options.steps = 8
    options.learningRate = test.rate
    options.checkpointEvery = 3
    options.threads = 2
    test.settings(&options)
    if options.embeddings != nil { options.embeddings = try embeddings() }
    return options
  }

  /// Vectors of most of the vocabulary's words.
  private func embeddings() throws -> String {
    var random = SplitMix64(seed: 8)
    let lines = TinyEncoder.words.dropLast(5).map { word in
      word + (0..<12).map { _ in " \(Float(random.normal()))" }.joined() + "\n"
    }
    return try folder.file("glove.txt", lines.joined())
  }

  private func weights(_ name: String) throws -> [UInt8] {
    try FileSystem.read(path + "/\(name)/model.safetensors")
  }

  @Test(arguments: cases)
  func `the loss falls, and the re-ranker that loads it prefers what it learned`(
    test: Case
  ) throws {
    var options = try options(test, "trained")
    options.steps = 50
    options.dropout = 0
    let report = try Trainer.train(options, quiet: true)
    #expect(report.lastLoss < 0.7 * report.firstLoss, "\(report.firstLoss), \(report.lastLoss)")
    let reranker = try RerankerName(kind: test.reranker, model: options.output).load()
    let preferred = try texts.count { text in
      let scores = try reranker.rerank(
        query: text.query, passages: [text.positive, text.negative], threads: 1
      ).scores
      return scores[0] > scores[1]
    }
    #expect(preferred >= 40, "\(preferred) of 48")
  }

  @Test(arguments: cases)
  func `neither threads nor an interruption change a byte`(test: Case) throws {
    var options = try options(test, "one")
    options.threads = 1
    _ = try Trainer.train(options, quiet: true)
    options = try self.options(test, "three")
    options.threads = 3
    _ = try Trainer.train(options, quiet: true)
    #expect(try weights("three") == weights("one"))
    options = try self.options(test, "stopped")
    let error = #expect(throws: RetortError.self) {
      try Trainer.train(options, quiet: true) { taken throws(RetortError) in
        if taken == 5 { throw RetortError(.cancelled, "stopped by the test") }
      }
    }
    #expect(error?.code == .cancelled)
    options.resume = true
    #expect(try Trainer.train(options, quiet: true).stepsNow == 5)
    #expect(try weights("stopped") == weights("one"))
  }

  @Test(arguments: cases)
  func `validation finds what the written model finds`(test: Case) throws {
    var options = try options(test, "validated")
    options.validation.qrels = try folder.file(
      "qrels.txt", texts.indices.map { "q\($0) 0 p\($0) 1\nq\($0) 0 n\($0) 0\n" }.joined())
    options.validation.every = 4
    options.validation.topics = try folder.file(
      "topics.tsv", texts.enumerated().map { "q\($0)\t\($1.query)\n" }.joined())
    let corpus = texts.enumerated().map { "p\($0)\t\($1.positive)\nn\($0)\t\($1.negative)\n" }
    options.validation.corpus = try folder.file("corpus.tsv", corpus.joined())
    let error = #expect(throws: RetortError.self) { try Trainer.train(options, quiet: true) }
    #expect(error?.message.contains("give --validation-candidates") == true)
    let candidates = texts.indices.map { number in
      // Another query's passage is a candidate, too.
      let other = (number + 7) % texts.count
      return "q\(number) Q0 n\(number) 1 3 x\nq\(number) Q0 p\(other) 2 2 x\n"
        + "q\(number) Q0 p\(number) 3 1 x\n"
    }
    options.validation.candidates = try folder.file("candidates.trec", candidates.joined())
    let report = try Trainer.train(options, quiet: true)
    let reranker = try RerankerName(kind: test.reranker, model: options.output).load()
    var sum = 0.0
    for (number, text) in texts.enumerated() {
      let others = [text.negative, texts[(number + 7) % texts.count].positive]
      let scores = try reranker.rerank(
        query: text.query, passages: [text.positive] + others, threads: 1
      ).scores
      let better = scores.dropFirst().count { $0 > scores[0] }
      #expect(!scores.dropFirst().contains(scores[0]), "a tie, which ids would decide")
      sum += 1 / Double(1 + better)
    }
    let expected: Double = sum / Double(texts.count)
    #expect(abs((report.validation?.mrr10 ?? 0) - expected) < 1e-9)
  }

  @Test func `the command trains TK from nothing, goes on from it, and re-ranks with it`() throws {
    let train = [
      "train", "--model", "tk", "--teacher-scores", path + "/scores.tsv", "--steps", "30",
      "--batch-size", "6", "--learning-rate", "0.02",
    ]
    let corpus = try folder.file("more.tsv", "x\tquicksilver\n")
    let new = try CLIRunner.run(
      train + [
        "-o", path + "/tk", "--dimension", "16", "--vocabulary-corpus", corpus,
        "--passage-length", "50",
      ])
    #expect(new.exitCode == 0, "\(new)")
    #expect(new.standardError.contains("passages to 50"))
    let words = String(decoding: try FileSystem.read(path + "/tk/vocab.txt"), as: UTF8.self)
    #expect(words.contains("\nquicksilver\n"))
    let further = try CLIRunner.run(train + ["--init", path + "/tk", "-o", path + "/further"])
    #expect(further.exitCode == 0, "\(further)")
    #expect(try TK(directory: path + "/further").summary.passageLength == 50)
    #expect(try weights("further") != weights("tk"))
    let wrong: [(more: [String], reason: String)] = [
      (["--init", path + "/tk", "--embeddings", "x"], "has its words already"),
      (["--variant", "original"], "--variant belongs to colbert; leave it out for tk"),
      (["--embeddings", path + "/none"], path + "/none: cannot open: No such file"),
      (
        ["--loss", "listnet", "--dimension", "0"],
        "the dimension is 0 but must be a positive number"
      ),
    ]
    for (more, reason) in wrong {
      let result = try CLIRunner.run(train + ["-o", path + "/wrong"] + more)
      #expect(result.exitCode != 0 && result.standardError.contains(reason), "\(result)")
    }
  }

  @Test func `a TK that starts from words is resumed by the same options, and the other is named`()
    throws
  {
    let test = try #require(Self.cases.first { $0.name == "tk of given vectors, in-batch" })
    var options = try options(test, "stopped")
    options.seed = 1
    _ = #expect(throws: RetortError.self) {
      try Trainer.train(options, quiet: true) { taken throws(RetortError) in
        if taken == 4 { throw RetortError(.cancelled, "stopped by the test") }
      }
    }
    options.resume = true
    func message(_ change: (inout TrainingOptions) -> Void) -> String {
      var other = options
      change(&other)
      let error = #expect(throws: RetortError.self) { try Trainer.train(other, quiet: true) }
      return error?.message ?? ""
    }
    #expect(message { $0.seed = 2 }.contains("(now --seed 2, then --seed 1)"))
    #expect(
      message { $0.vocabularySize = 50 }
        .contains("(now --vocabulary-size 50, then --vocabulary-size 200000)"))
    let vectors = try folder.file(
      "other.txt", TinyEncoder.words.map { $0 + " 1 2 3 4 5 6 7 8 9 10 11 12\n" }.joined())
    #expect(message { $0.embeddings = vectors }.contains("(--init, --embeddings, "))
    #expect(try Trainer.train(options, quiet: true).stepsNow == 5)
  }

  @Test func `the command trains ColBERT, and re-ranks with it`() throws {
    try TinyEncoder.write(to: path + "/start", head: .projection)
    try folder.file("topics.tsv", "q1\t\(texts[0].query)\n")
    try folder.file("corpus.tsv", "a\t\(texts[0].negative)\nb\t\(texts[0].positive)\n")
    try folder.file("run.trec", "q1 Q0 a 1 2 x\nq1 Q0 b 2 1 x\n")
    let train = [
      "train", "--model", "colbert", "--init", path + "/start", "--teacher-scores",
      path + "/scores.tsv", "-o", path + "/student", "--steps", "40", "--batch-size", "6",
      "--learning-rate", "0.003", "--query-masks", "none", "--dropout", "0",
    ]
    let trained = try CLIRunner.run(train)
    #expect(trained.exitCode == 0, "\(trained)")
    #expect(trained.standardError.contains("ColBERT's original: 16 numbers a token"))
    let configuration = String(
      decoding: try FileSystem.read(path + "/student/retort_training_config.json"), as: UTF8.self)
    #expect(configuration.contains("\"query-masks\" : \"none\""))
    let reranked = try CLIRunner.run([
      "rerank", path + "/run.trec", "--topics", path + "/topics.tsv", "--corpus",
      path + "/corpus.tsv", "--model", "colbert:" + path + "/student", "-o", "-", "--quiet",
    ])
    #expect(reranked.exitCode == 0 && reranked.standardOutput.hasPrefix("q1 Q0 b 1 "))
    let wrong = try CLIRunner.run(
      [
        "train", "--model", "bert-dot", "--init", path + "/start", "--triples",
        path + "/triples.tsv", "--loss", "ranknet", "-o", path + "/x", "--variant", "original",
      ])
    #expect(wrong.exitCode == 64 && wrong.standardError.contains("--variant belongs to colbert"))
  }
}
