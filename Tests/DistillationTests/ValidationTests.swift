import Distillation
import Evaluation
import Formats
import Foundation
import Models
import Platform
import TestSupport
import Testing

/// Validation during training: its values are those of the finished model's rankings, and the best
/// weights are the ones that are written.
@Suite struct ValidationTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder("validation")
    try TinyEncoder.write(to: folder.path + "/start")
    let texts = Self.texts(24)
    let corpus = texts.enumerated().map { "p\($0)\t\($1.positive)\nn\($0)\t\($1.negative)\n" }
    let judged = (12..<24).map { "q\($0) 0 p\($0) 1\nq\($0) 0 n\($0) 0\n" }
    let topics = texts.enumerated().map { "q\($0)\t\($1.query)\n" }
    let triples = texts.prefix(12).map { "\($0.query)\t\($0.positive)\t\($0.negative)\n" }
    let files: [(name: String, lines: [String])] = [
      ("corpus.tsv", corpus), ("qrels.txt", judged), ("topics.tsv", topics),
      ("triples.tsv", triples),
    ]
    for file in files { try folder.file(file.name, file.lines.joined()) }
  }

  private static func texts(
    _ count: Int
  ) -> [(query: String, positive: String, negative: String)] {
    var random = SplitMix64(seed: 23)
    func words(_ count: Int) -> String {
      (0..<count).map { _ in
        TinyEncoder.words[Int(random.next() % UInt64(TinyEncoder.words.count))]
      }.joined(separator: " ")
    }
    return (0..<count).map { _ in
      let query = words(3)
      return (query, words(2) + " " + query + " " + words(3), words(6))
    }
  }

  private func options(_ name: String, model: RankerKind = .bertDot) -> TrainingOptions {
    var options = TrainingOptions(
      model: model, initial: folder.path + "/start", output: folder.path + "/" + name)
    options.loss = model == .bertDot ? .infoNCE : .rankNet
    options.triples = folder.path + "/triples.tsv"
    options.batchSize = 4
    options.steps = 8
    options.learningRate = 1e-3
    options.dropout = 0
    options.threads = 2
    options.checkpointEvery = 3
    options.validation.qrels = folder.path + "/qrels.txt"
    options.validation.topics = folder.path + "/topics.tsv"
    options.validation.corpus = folder.path + "/corpus.tsv"
    options.validation.every = 2
    options.validation.sample = 5
    return options
  }

  private struct Line: Decodable {
    var step: Int
    var loss: Double?
    var validation: ValidationScores?
    var best: Bool?
  }

  private func log(_ name: String) throws -> [Line] {
    try FileSystem.read(folder.path + "/\(name)/retort_training_log.jsonl").split(separator: 10)
      .map { try JSONDecoder().decode(Line.self, from: Data($0)) }
  }

  private func weights(_ name: String) throws -> [UInt8] {
    try FileSystem.read(folder.path + "/\(name)/model.safetensors")
  }

  private func message(_ options: TrainingOptions) -> String {
    do {
      _ = try Trainer.train(options, quiet: true)
      return "no error"
    } catch {
      return "\(error)"
    }
  }

  /// The measures of the written model's rankings, computed on another way.
  private func measured(
    _ model: String, _ queries: Range<Int>, lists: (Int) -> [String]
  ) throws -> (nDCG: Double, mrr: Double) {
    let texts = Self.texts(24)
    func text(_ id: String) -> String {
      let text = texts[Int(id.dropFirst()) ?? 0]
      return id.hasPrefix("p") ? text.positive : text.negative
    }
    let encoder = try TextEncoder(directory: model)
    func vector(_ text: String) throws -> [Float] { try encoder.encode(texts: [text], threads: 1) }
    var run: [(query: String, hits: [(document: String, score: Double)])] = []
    for query in queries {
      let question = try vector(texts[query].query)
      let hits = try lists(query).map { id in
        (id, Double(zip(question, try vector(text(id))).reduce(0) { $0 + $1.0 * $1.1 }))
      }
      run.append(("q\(query)", hits))
    }
    let evaluation = RunEvaluation(
      try Run(run), against: try Qrels(path: folder.path + "/qrels.txt"),
      measures: [Measure(.nDCG, cutoff: 10), Measure(.reciprocalRank, cutoff: 10)],
      queries: .common)
    return (evaluation.summary(0), evaluation.summary(1))
  }

  @Test func `retrieval over a corpus has the values of the written model`() throws {
    var options = options("student")
    // All of it: more than there is.
    options.validation.sample = 1000
    let report = try Trainer.train(options, quiet: true)
    let all = (0..<24).flatMap { ["p\($0)", "n\($0)"] }
    let expected = try measured(options.output, 12..<24) { _ in all }
    let found = try #require(report.validation)
    #expect(abs(found.nDCG10 - expected.nDCG) < 1e-9)
    #expect(abs(found.mrr10 - expected.mrr) < 1e-9)
    let validations = try log("student").filter { $0.validation != nil }
    #expect(validations.map(\.step) == [0, 2, 4, 6, 8])
    let best = validations.map { $0.validation?.nDCG10 ?? 0 }.max()
    #expect(best == found.nDCG10)
    // The first of several equal ones is the best.
    #expect(validations.first { $0.validation?.nDCG10 == best }?.step == report.exportedStep)
    #expect(validations.last { $0.best == true }?.step == report.exportedStep)
  }

  @Test func `candidates are ranked as texts and as a run, to a depth`() throws {
    let texts = Self.texts(24)
    func list(_ query: Int) -> [String] { ["n\(query)", "p\(query)", "p\(query - 1)"] }
    var lines = ""
    var run = ""
    for query in 12..<18 {
      for (rank, id) in (list(query) + ["n0"]).enumerated() {
        let text = texts[Int(id.dropFirst()) ?? 0]
        lines += "q\(query)\t\(id)\t\(texts[query].query)\t"
        lines += (id.hasPrefix("p") ? text.positive : text.negative) + "\n"
        run += "q\(query) Q0 \(id) \(rank + 1) \(10 - rank) x\n"
      }
    }
    var options = options("texts")
    options.validation.depth = 3
    options.validation.topics = nil
    options.validation.corpus = nil
    options.validation.candidates = try folder.file("candidates.tsv", lines)
    let report = try Trainer.train(options, quiet: true)
    let expected = try measured(options.output, 12..<18, lists: list)
    #expect(abs((report.validation?.nDCG10 ?? 0) - expected.nDCG) < 1e-9)
    #expect(abs((report.validation?.mrr10 ?? 0) - expected.mrr) < 1e-9)

    options.output = folder.path + "/ids"
    options.validation.candidates = try folder.file("run.txt", run)
    #expect(message(options).contains("--validation-topics"))
    options.validation.topics = folder.path + "/topics.tsv"
    #expect(message(options).contains("--validation-corpus"))
    options.validation.corpus = folder.path + "/corpus.tsv"
    #expect(try Trainer.train(options, quiet: true).validation == report.validation)
    #expect(try weights("ids") == weights("texts"))
  }

  @Test func `a cross-encoder is validated over candidates`() throws {
    let texts = Self.texts(24)
    let lines = (12..<24).map {
      "q\($0)\tp\($0)\t\(texts[$0].query)\t\(texts[$0].positive)\n"
        + "q\($0)\tn\($0)\t\(texts[$0].query)\t\(texts[$0].negative)\n"
    }
    var options = options("cat", model: .bertCat)
    #expect(message(options).contains("give --validation-candidates"))
    options.validation.candidates = try folder.file("candidates.tsv", lines.joined())
    let report = try Trainer.train(options, quiet: true)
    let teacher = try CrossEncoder(directory: options.output)
    let first = try (12..<24).count { query in
      let scores = try teacher.score(
        query: texts[query].query, passages: [texts[query].positive, texts[query].negative],
        threads: 1)
      return scores[0] > scores[1]
    }
    let expected = (Double(first) + Double(12 - first) / 2) / 12
    #expect(abs((report.validation?.mrr10 ?? 0) - expected) < 1e-9)
  }

  @Test func `the best weights are written, and patience ends the run`() throws {
    var options = options("good")
    options.steps = 4
    options.validation.every = 1
    let good = try Trainer.train(options, quiet: true)
    // From here on a learning rate that destroys what the start knew.
    options.output = folder.path + "/bad"
    options.steps = 40
    options.learningRate = 0.3
    options.schedule = .constant
    options.validation.patience = 3
    let bad = try Trainer.train(options, quiet: true)
    #expect(bad.patienceLost == 3 && bad.steps == bad.exportedStep + 3)
    #expect(good.patienceLost == nil && good.steps == 4)
    let values = try log("bad").compactMap { $0.validation?.nDCG10 }
    #expect(values.count == bad.steps + 1)
    #expect(values[bad.exportedStep] == values.max())
    // Nothing was better than the start, whose weights these are.
    #expect(bad.exportedStep == 0)
    try expectWeights(of: "bad", from: folder.path + "/start")
  }

  /// Expects the tensors of a start's or another model's file in what a run wrote.
  private func expectWeights(of name: String, from model: String) throws {
    let expected = try SafeTensors(path: model + "/model.safetensors")
    let written = try SafeTensors(path: folder.path + "/\(name)/model.safetensors")
    #expect(!expected.tensors.isEmpty)
    for tensor in expected.tensors {
      let same = try #require(written.tensors.first { $0.name == tensor.name })
      #expect(try expected.floats(tensor) == written.floats(same), "\(tensor.name)")
    }
  }

  @Test func `the best weights in the middle of a run are those of a run that ends there`() throws {
    var options = options("peak")
    options.steps = 10
    options.learningRate = 3e-3
    options.schedule = .constant
    options.validation.every = 1
    let report = try Trainer.train(options, quiet: true)
    #expect((1..<10).contains(report.exportedStep), "\(report.exportedStep)")
    options.output = folder.path + "/short"
    options.steps = report.exportedStep
    options.validation = ValidationOptions()
    _ = try Trainer.train(options, quiet: true)
    try expectWeights(of: "peak", from: options.output)
    options.output = folder.path + "/whole"
    options.steps = 10
    _ = try Trainer.train(options, quiet: true)
    #expect(try weights("whole") != weights("peak"))
  }

  @Test(arguments: [1, 4, 7])
  func `a stopped run ends with the same bytes, log and best weights`(step: Int) throws {
    _ = try Trainer.train(options("whole"), quiet: true)
    var options = options("resumed")
    options.threads = 1
    let error = #expect(throws: RetortError.self) {
      try Trainer.train(options, quiet: true) { taken throws(RetortError) in
        if taken == step { throw RetortError(.cancelled, "stopped by the test") }
      }
    }
    #expect(error?.code == .cancelled)
    options.resume = true
    let report = try Trainer.train(options, quiet: true)
    #expect(try weights("resumed") == weights("whole"))
    let (one, other) = (try log("whole"), try log("resumed"))
    #expect(one.map(\.step) == other.map(\.step))
    #expect(one.map(\.validation) == other.map(\.validation))
    #expect(one.map(\.loss) == other.map(\.loss))
    #expect(report.validation == one.compactMap(\.validation).max { $0.nDCG10 < $1.nDCG10 })
  }

  @Test func `best weights that are damaged cost the steps since the checkpoint before`() throws {
    _ = try Trainer.train(options("whole"), quiet: true)
    var options = options("damaged")
    _ = #expect(throws: RetortError.self) {
      try Trainer.train(options, quiet: true) { taken throws(RetortError) in
        if taken == 7 { throw RetortError(.cancelled, "stopped by the test") }
      }
    }
    let store = options.output + ".checkpoints"
    for name in try FileSystem.names(in: store) where name.hasPrefix("best-") {
      let file = store + "/\(name)/weights.safetensors"
      let bytes = try FileSystem.read(file)
      try FileSystem.replace(file, with: Array(bytes.prefix(bytes.count / 2)))
    }
    options.resume = true
    #expect(try Trainer.train(options, quiet: true).stepsNow == 8)
    #expect(try weights("damaged") == weights("whole"))
  }

  @Test func `other validation data or settings than the stopped run's are refused`() throws {
    var options = options("other")
    _ = #expect(throws: RetortError.self) {
      try Trainer.train(options, quiet: true) { taken throws(RetortError) in
        if taken == 4 { throw RetortError(.cancelled, "stopped by the test") }
      }
    }
    options.resume = true
    options.validation.every = 1
    #expect(message(options).contains("now --validate-every 1, then --validate-every 2"))
    options.validation.every = 2
    options.validation.qrels = try folder.file("fewer.txt", "q12 0 p12 1\n")
    #expect(message(options).contains("the validation's queries, judgements or passages"))
    options.validation = ValidationOptions()
    #expect(message(options).contains("now --validate-every without validation"))
  }

  @Test func `files that do not belong together are refused, and options that do nothing`() throws {
    var options = options("none")
    options.validation.qrels = try folder.file("strange.txt", "x 0 p12 1\n")
    #expect(message(options).contains("leaves no query to validate with"))
    options.validation.qrels = try folder.file("unknown.txt", "q12 0 p12 1\nq12 0 zz 0\n")
    #expect(message(options).contains("1 of 2 judged passages of the validation are not in"))
    options.maxUnknown = 0.5
    #expect(message(options) == "no error")
    options = self.options("none2")
    options.validation.qrels = nil
    #expect(message(options).contains("give --validation-qrels"))
    options = self.options("none3")
    options.validation.topics = nil
    #expect(message(options).contains("--validation-topics"))
    options.validation.candidates = "-"
    #expect(message(options).contains("give --validation-candidates a file"))
    options = self.options("none4")
    options.validation.corpus = nil
    #expect(message(options).contains("--validation-corpus"))
  }

  @Test func `the reduced corpus does not depend on the corpus' order`() throws {
    let whole = try Trainer.train(options("forward"), quiet: true)
    let lines = String(decoding: try FileSystem.read(folder.path + "/corpus.tsv"), as: UTF8.self)
      .split(separator: "\n")
    var options = options("backward")
    options.validation.corpus = try folder.file(
      "backward.tsv", lines.reversed().joined(separator: "\n") + "\n")
    let other = try Trainer.train(options, quiet: true)
    #expect(whole.validation == other.validation)
    #expect(try log("forward").map(\.validation) == log("backward").map(\.validation))
    // Ids that occur again count once.
    var twice = self.options("twice")
    twice.validation.corpus = try folder.file(
      "twice.tsv", (lines + lines).joined(separator: "\n") + "\n")
    #expect(try Trainer.train(twice, quiet: true).validation == whole.validation)
  }

  @Test func `a baseline's bins have equal shares, and small ones give what they have`() {
    // 100 queries at 0, 6 at 0.5, 30 at 1.
    let queries: [(id: String, value: Double)] = (0..<136).map {
      ("q\($0)", $0 < 100 ? 0 : $0 < 106 ? 0.5 : 1)
    }
    let drawn = ValidationBaseline.draw(queries, count: 53, bins: 5, seed: 1)
    #expect(drawn.shares == [10, 0, 6, 0, 10] && drawn.places.count == 26)
    #expect(drawn.places == drawn.places.sorted() && Set(drawn.places).count == 26)
    // The same queries, in whatever order they come.
    let backward = ValidationBaseline.draw(queries.reversed(), count: 53, bins: 5, seed: 1)
    #expect(Set(backward.places.map { 135 - $0 }) == Set(drawn.places))
    #expect(ValidationBaseline.draw(queries, count: 53, bins: 5, seed: 2).places != drawn.places)
    #expect(ValidationBaseline.draw(queries, count: 999, bins: 5, seed: 1).places.count == 136)
    #expect(ValidationBaseline.draw([], count: 10, bins: 5, seed: 1).places.isEmpty)
  }

  @Test func `a baseline chooses queries and passages of the reduced corpus`() throws {
    // Ranks the positive of even queries first, and that of odd ones not at all.
    let lines = (12..<24).map { query in
      let best = query % 2 == 0 ? "p\(query)" : "n\(query)"
      return "q\(query) Q0 \(best) 1 2 x\nq\(query) Q0 n\(query - 12) 2 1 x\n"
    }
    let baseline = try folder.file("baseline.trec", lines.joined())
    let qrels = try Qrels(path: folder.path + "/qrels.txt")
    var options = options("drawn")
    options.validation.baseline = baseline
    options.validation.queries = 4
    options.validation.bins = 2
    options.validation.depth = 2
    let all = try readQueries(path: folder.path + "/topics.tsv").suffix(12)
    let drawn = try ValidationBaseline(
      run: baseline, options.validation, qrels: qrels, queries: Array(all), seed: options.seed)
    let numbers = drawn.queries.compactMap { Int($0.id.dropFirst()) }
    #expect(numbers.count == 4 && numbers.count { $0 % 2 == 0 } == 2)
    #expect(drawn.summary == "4 of 12 queries, by the baseline's ndcg@10 from low to high 2, 2")
    let best = numbers.map { $0 % 2 == 0 ? "p\($0)" : "n\($0)" }
    #expect(drawn.passages == Set((best + numbers.map { "n\($0 - 12)" }).map(ByteKey.init)))

    let report = try Trainer.train(options, quiet: true)
    let corpus = Set(numbers.flatMap { ["p\($0)", "n\($0)", "n\($0 - 12)"] })
    let texts = Self.texts(24)
    let encoder = try TextEncoder(directory: options.output)
    func vector(_ id: String) throws -> [Float] {
      let text = texts[Int(id.dropFirst()) ?? 0]
      let passage = id.hasPrefix("p") ? text.positive : text.negative
      return try encoder.encode(texts: [id.hasPrefix("q") ? text.query : passage], threads: 1)
    }
    var reciprocal = 0.0
    for number in numbers {
      let query = try vector("q\(number)")
      let scores = try corpus.map { id in
        (id, zip(query, try vector(id)).reduce(Float(0)) { $0 + $1.0 * $1.1 })
      }
      let own = try #require(scores.first { $0.0 == "p\(number)" }).1
      let rank = scores.count { $0.1 > own } + 1
      reciprocal += rank <= 10 ? 0.25 / Double(rank) : 0
    }
    #expect(abs((report.validation?.mrr10 ?? 0) - reciprocal) < 1e-6)

    options.output = folder.path + "/refused"
    options.validation.bins = 5
    #expect(message(options).contains("raise --validation-queries"))
    options.validation.bins = 2
    options.validation.candidates = baseline
    #expect(message(options).contains("give --validation-baseline or --validation-candidates"))
    options.validation.candidates = nil
    options.validation.baseline = try folder.file("foreign.trec", "z Q0 p1 1 1 x\n")
    #expect(message(options).contains("answers none of the validation's queries"))
    options.validation.baseline = try folder.file(
      "lost.trec", (12..<24).map { "q\($0) Q0 nobody 1 1 x\n" }.joined())
    #expect(message(options).contains("judged and chosen passages of the validation are not in"))
  }

  @Test func `the command validates, and says which weights it wrote`() throws {
    let arguments = [
      "train", "--model", "bert-dot", "--init", folder.path + "/start", "--triples",
      folder.path + "/triples.tsv", "--loss", "infonce", "--batch-size", "4", "--steps", "4",
      "--learning-rate", "0.001", "--validation-qrels", folder.path + "/qrels.txt",
      "--validation-topics", folder.path + "/topics.tsv", "--validation-corpus",
      folder.path + "/corpus.tsv", "--validate-every", "2", "--patience", "9",
      "--validation-measure", "mrr@10", "-o", folder.path + "/cli",
    ]
    let result = try CLIRunner.run(arguments)
    #expect(result.exitCode == 0)
    let output = result.standardError
    #expect(output.contains("validating with 12 queries over 48 passages"))
    #expect(output.contains("validation after step 4: nDCG@10 0."))
    #expect(output.contains("the weights written are those after step"))
  }
}
