import Distillation
import Foundation
import Models
import Platform
import TestSupport
import Testing

/// What we train, loaded by Hugging Face's transformers and, where it is there, by
/// sentence-transformers: `RETORT_PYTHON` names a Python that has them.
@Suite struct PythonTests {
  private static let python = ProcessInfo.processInfo.environment["RETORT_PYTHON"]
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder("python") }

  /// Prints vectors of an encoder and logits of a cross-encoder as JSON.
  private static let script = """
    import json, sys
    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer
    task = json.load(open(sys.argv[1]))
    answer = {"vectors": {}, "sentences": {}, "logits": []}
    torch.set_grad_enabled(False)
    for name, folder in task["encoders"].items():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model, report = AutoModel.from_pretrained(folder, output_loading_info=True)
        assert not report["missing_keys"], report
        model.eval()
        rows = []
        for text in task["texts"]:
            batch = tokenizer(text, truncation=True, max_length=task["length"], return_tensors="pt")
            hidden = model(**batch).last_hidden_state[0]
            rows.append((hidden[0] if name == "cls" else hidden.mean(0)).tolist())
        answer["vectors"][name] = rows
        try:
            from sentence_transformers import SentenceTransformer
            answer["sentences"][name] = SentenceTransformer(folder).encode(task["texts"]).tolist()
        except ImportError:
            pass
    tokenizer = AutoTokenizer.from_pretrained(task["teacher"])
    model, report = AutoModelForSequenceClassification.from_pretrained(
        task["teacher"], output_loading_info=True)
    assert not report["missing_keys"], report
    model.eval()
    for text in task["texts"]:
        # As lists: a single empty passage would not count as one.
        batch = tokenizer(
            [task["texts"][0]], [text], truncation="only_second", max_length=task["length"],
            return_tensors="pt")
        answer["logits"].append(model(**batch).logits[0].tolist())
    json.dump(answer, open(sys.argv[2], "w"))
    """

  private struct Task: Encodable {
    var encoders: [String: String]
    var teacher: String
    var texts: [String]
    var length: Int
  }

  private struct Answer: Decodable {
    var vectors: [String: [[Float]]]
    var sentences: [String: [[Float]]]
    var logits: [[Float]]
  }

  private func train(_ kind: RankerKind, _ pooling: Pooling?, to name: String) throws -> String {
    var options = TrainingOptions(
      model: kind, initial: folder.path + "/start", output: folder.path + "/" + name)
    options.triples = folder.path + "/triples.tsv"
    options.loss = kind == .bertDot ? .infoNCE : .rankNet
    options.pooling = pooling
    options.batchSize = 4
    options.steps = 3
    options.learningRate = 1e-3
    _ = try Trainer.train(options, quiet: true)
    return options.output
  }

  @Test(.enabled(if: python != nil, "RETORT_PYTHON names no Python with transformers"))
  func `what was trained here says the same in transformers`() throws {
    let texts = [
      "gold river water", "Where is the Queen's city?", "", "xyzzy 42 üñ – bread, milk.",
      SyntheticCorpus(count: 1, seed: 7).passages[0].text,
    ]
    try TinyEncoder.write(to: folder.path + "/start")
    let lines = (0..<12).map { number in
      let word = TinyEncoder.words[number]
      return "\(word) river\t\(word) water river lake\t\(TinyEncoder.words[number + 20]) salt\n"
    }
    try folder.file("triples.tsv", lines.joined())
    let encoders = [
      "mean": try train(.bertDot, .mean, to: "mean"), "cls": try train(.bertDot, .cls, to: "cls"),
    ]
    let teacher = try train(.bertCat, nil, to: "teacher")
    let task = Task(
      encoders: encoders, teacher: teacher, texts: texts, length: TinyEncoder.maxLength)
    let script = try folder.file("check.py", Self.script)
    let input = try folder.file("task.json", Array(try JSONEncoder().encode(task)))
    let output = folder.path + "/answer.json"
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Self.python ?? "")
    process.arguments = [script, input, output]
    process.environment = ProcessInfo.processInfo.environment.merging([
      "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "",
    ]) { $1 }
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    let answer = try JSONDecoder().decode(
      Answer.self, from: Data(contentsOf: URL(fileURLWithPath: output)))
    for (name, path) in encoders {
      var options = EncoderOptions()
      options.precision = .f32
      let encoder = try TextEncoder(directory: path, options: options)
      let ours = try encoder.encode(texts: texts, threads: 2)
      let theirs = try #require(answer.vectors[name])
      for found in [theirs, answer.sentences[name] ?? theirs] {
        #expect(ours.count == found.count * TinyEncoder.width)
        for (one, other) in zip(ours, found.joined()) {
          #expect(abs(one - other) < 1e-4, "\(name)")
        }
      }
    }
    let ours = try CrossEncoder(directory: teacher).score(
      query: texts[0], passages: texts, threads: 2)
    #expect(answer.logits.allSatisfy { $0.count == 1 } && answer.logits.count == texts.count)
    for (one, other) in zip(ours, answer.logits.joined()) { #expect(abs(one - other) < 1e-4) }
  }
}
