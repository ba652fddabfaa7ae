import CKernels
import Distillation
import Formats
import Models
import Platform
import TestSupport
import Testing

/// Whole runs on a tiny encoder: what they learn, and that they repeat themselves.
@Suite struct TrainerTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder("train")
    try TinyEncoder.write(to: folder.path + "/start")
    _ = try folder.file("scores.tsv", Array(Self.scores(60).utf8))
    _ = try folder.file("triples.tsv", Array(Self.triples(60).utf8))
  }

  /// Queries of three words; the positive passage has them, the negative other ones.
  private static func texts(_ count: Int) -> [(String, String, String)] {
    var random = SplitMix64(seed: 11)
    func words(_ count: Int) -> [String] {
      (0..<count).map { _ in
        TinyEncoder.words[Int(random.next() % UInt64(TinyEncoder.words.count))]
      }
    }
    return (0..<count).map { _ in
      let query = words(3)
      return (
        query.joined(separator: " "), (query + words(4)).joined(separator: " "),
        words(7).joined(separator: " ")
      )
    }
  }

  private static func triples(_ count: Int) -> String {
    texts(count).map { "\($0.0)\t\($0.1)\t\($0.2)\n" }.joined()
  }

  private static func scores(_ count: Int) -> String {
    texts(count).enumerated().map { number, text in
      "\(4 + Double(number % 5) / 2)\t\(Double(number % 3) / 2)\t\(text.0)\t\(text.1)\t\(text.2)\n"
    }.joined()
  }

  private func options(
    _ name: String, model: RankerKind = .bertDot, loss: Loss = .marginMSE
  ) -> TrainingOptions {
    var options = TrainingOptions(
      model: model, initial: folder.path + "/start", output: folder.path + "/" + name)
    options.loss = loss
    if loss.needsTeacher {
      options.teacherScores = folder.path + "/scores.tsv"
    } else {
      options.triples = folder.path + "/triples.tsv"
    }
    options.batchSize = 6
    options.steps = 12
    options.learningRate = 1e-3
    options.checkpointEvery = 5
    options.threads = 2
    return options
  }

  private func weights(_ name: String) throws -> [UInt8] {
    try FileSystem.read(folder.path + "/\(name)/model.safetensors")
  }

  @Test(arguments: [
    (RankerKind.bertDot, Loss.marginMSE), (.bertDot, .infoNCE), (.bertCat, .rankNet),
    (.bertCat, .marginMSE),
  ])
  func `the loss falls, and the model is loaded again`(model: RankerKind, loss: Loss) throws {
    var options = options("student", model: model, loss: loss)
    options.steps = 60
    options.dropout = 0
    options.learningRate = 3e-3
    let report = try Trainer.train(options, quiet: true)
    #expect(report.steps == 60 && report.triples == 60)
    #expect(report.lastLoss < 0.7 * report.firstLoss)
    #expect(FileSystem.kind(of: options.output + ".checkpoints") == .nothing)
    switch model {
    case .bertDot:
      let encoder = try TextEncoder(directory: options.output)
      #expect(!encoder.summary.normalize.value && encoder.summary.pooling.value == .mean)
      let vectors = try encoder.encode(texts: ["king queen", "king", "water"], threads: 1)
      #expect(vectors.count == 3 * TinyEncoder.width && vectors.allSatisfy { $0.isFinite })
    default:
      let scores = try CrossEncoder(directory: options.output).score(
        query: "king queen city", passages: ["king queen city road", "salt"], threads: 1)
      #expect(scores.allSatisfy { $0.isFinite })
    }
  }

  @Test func `vectors of length 1 are trained as such, and written so`() throws {
    var options = options("unit", model: .bertDot, loss: .infoNCE)
    options.normalize = true
    options.temperature = 0.05
    options.steps = 60
    options.dropout = 0
    options.learningRate = 3e-3
    let report = try Trainer.train(options, quiet: true)
    #expect(report.lastLoss < 0.7 * report.firstLoss)
    let encoder = try TextEncoder(directory: options.output)
    #expect(encoder.summary.normalize.value)
    let vector = try encoder.encode(texts: ["king queen"], threads: 1)
    let length: Float = vector.reduce(0) { $0 + $1 * $1 }
    #expect(abs(length - 1) < 1e-5)
    options.model = .bertCat
    options.loss = .rankNet
    options.output += "-cat"
    let error = #expect(throws: RetortError.self) { try Trainer.train(options, quiet: true) }
    #expect(error?.message.contains("--normalize") == true)
  }

  @Test func `threads do not change a byte`() throws {
    for threads in [1, 2, 3] {
      var options = options("t\(threads)")
      options.threads = threads
      _ = try Trainer.train(options, quiet: true)
      #expect(try weights("t\(threads)") == weights("t1"))
    }
  }

  @Test func `bf16 learns what f32 learns, repeats itself, and is refused where it is no use`()
    throws
  {
    var options = options("rounded")
    options.steps = 60
    options.dropout = 0
    options.learningRate = 3e-3
    options.precision = .bf16
    guard retort_multiplies_bf16(retort_level_in_use()) else {
      let error = #expect(throws: RetortError.self) { try Trainer.train(options, quiet: true) }
      #expect(error?.message.contains("no instructions for products of bf16") == true)
      #expect(FileSystem.kind(of: options.output + ".checkpoints") == .nothing)
      return
    }
    let rounded = try Trainer.train(options, quiet: true)
    options.output = folder.path + "/again"
    options.threads = 3
    _ = try Trainer.train(options, quiet: true)
    #expect(try weights("again") == weights("rounded"))
    options.output = folder.path + "/exact"
    options.precision = .f32
    let exact = try Trainer.train(options, quiet: true)
    #expect(try weights("exact") != weights("rounded"))
    #expect(abs(rounded.firstLoss - exact.firstLoss) < 0.05 * exact.firstLoss)
    #expect(rounded.lastLoss < 0.7 * rounded.firstLoss)
    #expect(abs(rounded.lastLoss - exact.lastLoss) < 0.1 * exact.firstLoss)
  }

  @Test func `micro-batches give the gradient of the whole batch`() throws {
    var options = options("whole")
    options.dropout = 0
    options.steps = 1
    _ = try Trainer.train(options, quiet: true)
    options.output = folder.path + "/parts"
    options.microBatch = 2
    _ = try Trainer.train(options, quiet: true)
    let (whole, parts) = (
      try SafeTensors(path: folder.path + "/whole/model.safetensors"),
      try SafeTensors(path: folder.path + "/parts/model.safetensors")
    )
    for (one, other) in zip(whole.tensors, parts.tensors)
    // Attention does not depend on the keys' bias: its gradient is nothing but rounding.
    where !one.name.hasSuffix("key.bias") {
      // Adam's first step is the sign of the gradient: only entries near zero may differ.
      let different = zip(try whole.floats(one), try parts.floats(other)).count {
        abs($0 - $1) > 1e-4
      }
      #expect(Double(different) <= 0.02 * Double(one.count), "\(one.name)")
    }
  }

  private func message(_ options: TrainingOptions) -> String {
    do {
      _ = try Trainer.train(options, quiet: true)
      return "no error"
    } catch {
      return "\(error)"
    }
  }

  @Test func `a slash behind the output's name changes nothing`() throws {
    let options = options("slashed/")
    _ = try Trainer.train(options, quiet: true)
    #expect(try FileSystem.names(in: folder.path).filter { $0.hasPrefix("slashed") } == ["slashed"])
    var again = options
    again.overwrite = true
    again.seed = 5
    let before = try weights("slashed")
    _ = try Trainer.train(again, quiet: true)
    #expect(try weights("slashed") != before)
    #expect(try FileSystem.names(in: folder.path).filter { $0.hasPrefix("slashed") } == ["slashed"])
  }

  @Test func `neither the start nor a folder that holds other things is replaced`() throws {
    var options = options("start")
    options.overwrite = true
    let before = try weights("start")
    #expect(message(options).contains("the model to start from"))
    options.output = folder.path
    #expect(message(options).contains("the model to start from"))
    options.output = folder.path + "/mine"
    try FileSystem.makeFolder(folder.path + "/mine")
    _ = try folder.file("mine/letter.txt", Array("dear".utf8))
    #expect(message(options).contains("was not made by training"))
    #expect(try FileSystem.read(folder.path + "/mine/letter.txt") == Array("dear".utf8))
    #expect(try weights("start") == before)
  }

  @Test func `a run killed while its model gets its name is finished by resuming`() throws {
    _ = try Trainer.train(options("whole"), quiet: true)
    let store = folder.path + "/whole.checkpoints"
    let record = try FileSystem.read(folder.path + "/whole/retort_training.json")
    try FileSystem.makeFolder(store)
    _ = try folder.file("whole.checkpoints/published.json", record)
    var options = options("whole")
    options.resume = true
    #expect(try Trainer.train(options, quiet: true).stepsNow == 0)
    #expect(FileSystem.kind(of: store) == .nothing)
  }

  @Test func `a trained cross-encoder remembers the length it was trained with`() throws {
    var options = options("short", model: .bertCat, loss: .rankNet)
    options.passageLength = 17
    options.steps = 1
    _ = try Trainer.train(options, quiet: true)
    #expect(try CrossEncoder(directory: options.output).maxLength == 17)
  }

  @Test(arguments: [1, 2], [false, true])
  func `a run that was stopped ends with the same bytes`(threads: Int, damaged: Bool) throws {
    _ = try Trainer.train(options("uninterrupted"), quiet: true)
    var options = options("resumed")
    options.threads = threads
    stop(options, after: 11)
    let checkpoints = options.output + ".checkpoints"
    #expect(
      try FileSystem.names(in: checkpoints).sorted()
        == ["config.json", "curves.svg", "lock", "log.jsonl", "step-10", "step-5"])
    if damaged {
      let file = checkpoints + "/step-10/moments.safetensors"
      let bytes = try FileSystem.read(file)
      try FileSystem.replace(file, with: Array(bytes.prefix(bytes.count / 2)))
    }
    options.resume = true
    let report = try Trainer.train(options, quiet: true)
    #expect(report.stepsNow == (damaged ? 7 : 2))
    #expect(try weights("resumed") == weights("uninterrupted"))
    let lines = try FileSystem.read(options.output + "/retort_training_log.jsonl")
      .split(separator: 10)
    #expect(lines.count == 12)
    // Finished work is left as it is.
    #expect(try Trainer.train(options, quiet: true).stepsNow == 0)
  }

  /// Ends the run after a step as a kill would: without another checkpoint.
  private func stop(_ options: TrainingOptions, after step: Int) {
    let error = #expect(throws: RetortError.self) {
      try Trainer.train(options, quiet: true) { taken throws(RetortError) in
        if taken == step { throw RetortError(.cancelled, "stopped by the test") }
      }
    }
    #expect(error?.code == .cancelled)
  }

  @Test func `a run that was killed ends with the same bytes`() throws {
    var options = options("killed")
    options.steps = 600
    options.checkpointEvery = 50
    options.learningRate = 1e-4
    let arguments = [
      "train", "--model", "bert-dot", "--init", options.initial, "--teacher-scores",
      folder.path + "/scores.tsv", "-o", options.output, "--batch-size", "6", "--steps", "600",
      "--learning-rate", "0.0001", "--checkpoint-every", "50", "--threads", "2", "--quiet",
    ]
    let tool = try CLIRunner.start(arguments)
    let reached = tool.wait {
      FileSystem.kind(of: options.output + ".checkpoints/step-50") == .folder
    }
    tool.send(SIGKILL)
    #expect(try tool.wait().signal == SIGKILL && reached)
    let resumed = try CLIRunner.run(arguments + ["--resume", "--threads", "1"])
    #expect(resumed.exitCode == 0, "\(resumed.standardError)")
    let killed = try weights("killed")
    options.output = folder.path + "/whole"
    _ = try Trainer.train(options, quiet: true)
    #expect(try weights("whole") == killed)
  }

  @Test func `other options than the stopped run's are refused`() throws {
    var options = options("other")
    stop(options, after: 5)
    let again = #expect(throws: RetortError.self) { try Trainer.train(options, quiet: true) }
    #expect(again?.description.contains("--resume") == true)
    options.resume = true
    options.learningRate = 1e-4
    let error = #expect(throws: RetortError.self) { try Trainer.train(options, quiet: true) }
    #expect(error?.exitCode == 64)
    #expect(
      error?.description.contains("--learning-rate 0.0001, then --learning-rate 0.001") == true)
    guard retort_multiplies_bf16(retort_level_in_use()) else { return }
    options.learningRate = 1e-3
    options.precision = .bf16
    #expect(message(options).contains("now --precision bf16, then no --precision"))
    options = self.options("rounded")
    options.precision = .bf16
    stop(options, after: 5)
    options.resume = true
    options.precision = .f32
    #expect(message(options).contains("now no --precision, then --precision bf16"))
  }

  @Test func `another tokenizer, pooling or length of the start is refused on resuming`() throws {
    stop(options("changed"), after: 5)
    var options = options("changed")
    options.resume = true
    func change(_ name: String, _ old: String, _ new: String) throws -> String {
      let path = folder.path + "/start/" + name
      let bytes = try FileSystem.read(path)
      let text = String(decoding: bytes, as: UTF8.self)
      try #require(text.contains(old))
      try FileSystem.replace(path, with: Array(text.replacing(old, with: new).utf8))
      defer { try? FileSystem.replace(path, with: bytes) }
      return message(options)
    }
    #expect(try change("vocab.txt", "king\nqueen", "queen\nking").contains("now tokenizer "))
    #expect(
      try change("tokenizer_config.json", "\(TinyEncoder.maxLength)", "20")
        .contains("now passage length 20, then passage length 48"))
    #expect(
      try change("1_Pooling/config.json", "mean_tokens", "cls_token")
        .contains("now pooling cls, then pooling mean"))
    #expect(message(options) == "no error")
  }

  @Test func `a loss that explodes stops with the step, the triples and the remedy`() throws {
    var options = options("bang")
    options.learningRate = 1e30
    let error = #expect(throws: RetortError.self) { try Trainer.train(options, quiet: true) }
    #expect(error?.exitCode == 65)
    #expect(error?.description.contains("the loss of step 2 is") == true)
    #expect(error?.description.contains("--learning-rate") == true)
    #expect(FileSystem.kind(of: options.output) == .nothing)
  }

  // MARK: Data

  @Test func `ids take their texts from collection and queries`() throws {
    let texts = Self.texts(60)
    let ids = texts.indices.map { "q\($0)\tp\($0)\tn\($0)\n" }.joined()
    let collection = texts.enumerated().map { "p\($0)\t\($1.1)\nn\($0)\t\($1.2)\n" }.joined()
    let queries = texts.enumerated().map { "q\($0)\t\($1.0)\n" }.joined()
    var byText = options("by-text", loss: .rankNet)
    _ = try Trainer.train(byText, quiet: true)
    byText.output = folder.path + "/by-id"
    byText.triples = try folder.file("ids.tsv", Array(ids.utf8))
    byText.collection = try folder.file("collection.tsv", Array(collection.utf8))
    byText.queries = try folder.file("queries.tsv", Array(queries.utf8))
    _ = try Trainer.train(byText, quiet: true)
    #expect(try weights("by-id") == weights("by-text"))

    byText.output = folder.path + "/unknown"
    byText.triples = try folder.file("ids.tsv", Array((ids + "q1\tp1\tnone\n").utf8))
    byText.maxUnknown = 0
    let error = #expect(throws: RetortError.self) { try Trainer.train(byText, quiet: true) }
    #expect(error?.exitCode == 65)
    #expect(error?.description.contains("1 of 61 triples") == true)
    #expect(error?.description.contains("(q1, p1, none)") == true)
    byText.maxUnknown = 0.1
    #expect(try Trainer.train(byText, quiet: true).unknownTriples == 1)
  }

  @Test func `scores of other triples than those given are refused`() throws {
    var options = options("mismatch")
    let lines = Self.triples(60).split(separator: "\n").map(String.init)
    for (content, reason) in [
      (lines.dropLast(), "end before this line"),
      ((lines + ["a\tb\tc"])[...], "end before this triple"),
      ([lines[1]] + lines.dropFirst(), "is of another triple than line 1"),
    ] as [(ArraySlice<String>, String)] {
      options.triples = try folder.file(
        "other.tsv", Array(content.map { $0 + "\n" }.joined().utf8))
      let error = #expect(throws: RetortError.self) { try Trainer.train(options, quiet: true) }
      #expect(error?.description.contains(reason) == true)
    }
    options.triples = folder.path + "/triples.tsv"
    #expect(try Trainer.train(options, quiet: true).triples == 60)
  }

  @Test func `scores that look like probabilities are warned of`() throws {
    var options = options("sigmoid")
    let lines = (0..<120).map { "0.9\t0.\($0 % 9)1\tking \($0)\tking\tsalt\n" }.joined()
    options.teacherScores = try folder.file("sigmoid.tsv", Array(lines.utf8))
    #expect(try TrainingData(options).warnings.contains { $0.contains("probabilities") })
    options.teacherScores = folder.path + "/scores.tsv"
    #expect(try TrainingData(options).warnings.isEmpty)
  }

  @Test func `a loss that needs a teacher asks for one`() throws {
    var options = options("no-teacher")
    options.teacherScores = nil
    options.triples = folder.path + "/triples.tsv"
    let error = #expect(throws: RetortError.self) { try Trainer.train(options, quiet: true) }
    #expect(error?.exitCode == 64)
    #expect(error?.description.contains("--teacher-scores") == true)
  }
}
