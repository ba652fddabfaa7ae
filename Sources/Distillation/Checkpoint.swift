import Formats
import Foundation
import Platform
import Tensors

/// Where training stands, beside weights and moments.
struct TrainingCursor: Codable, Equatable {
  /// Steps taken.
  var step = 0
  /// A running mean of the loss, to tell when it explodes; nil before the first step.
  var smoothedLoss: Double?
  /// What validation has found so far.
  var validation = ValidationCursor()
}

/// Where validation stands.
struct ValidationCursor: Codable, Equatable {
  /// The best weights so far.
  struct Best: Codable, Equatable {
    /// Steps taken before.
    var step: Int
    var scores: ValidationScores
    /// Of the file that holds the weights.
    var checksum: String
  }

  /// Steps taken before the last validation; -1 before the first.
  var step = -1
  var best: Best?
  /// Validations since then.
  var sinceBest = 0
}

/// The unfinished work of a training run: folders of checkpoints beside the output.
///
/// A checkpoint is a folder `step-N` with `weights.safetensors`, `moments.safetensors` and
/// `state.json`, which has the checksums of both; it appears when it is complete. The last two are
/// kept, so that a damaged one costs no more than the steps since the one before. A folder `best-N`
/// holds the weights that validation found best, and is a part of every checkpoint that names it.
struct CheckpointStore {
  let folder: String
  private static let kept = 2
  private static let weights = "weights.safetensors"
  private static let moments = "moments.safetensors"
  private static let state = "state.json"

  /// What is written to `state.json`.
  private struct State: Codable {
    static let version = 2
    var version = State.version
    var cursor: TrainingCursor
    var plan: TrainingPlan
    var checksums: [String: String]
  }

  init(output: String) { folder = output + ".checkpoints" }

  var exists: Bool { FileSystem.kind(of: folder) == .folder }

  /// The log of the run.
  var logPath: String { folder + "/log.jsonl" }

  /// The picture of the log.
  var curvesPath: String { folder + "/" + TrainingCurves.file }

  /// The options of the run, as `--config` takes them.
  var configurationPath: String { folder + "/" + TrainingConfiguration.file }

  /// Whether a checkpoint was ever written.
  var holdsCheckpoint: Bool { exists && !((try? steps()) ?? []).isEmpty }

  private var recordPath: String { folder + "/published.json" }

  /// Notes the record of the model that is about to get its name.
  func willPublish(_ record: [UInt8]) throws(RetortError) {
    try FileSystem.replace(recordPath, with: record)
  }

  /// Whether the run's model has its name already: the record there is the one that was noted.
  func isPublished(as path: String) throws(RetortError) -> Bool {
    guard FileSystem.kind(of: recordPath) == .file, FileSystem.kind(of: path) == .file else {
      return false
    }
    return try FileSystem.read(recordPath) == FileSystem.read(path)
  }

  /// Steps of the checkpoints, newest first.
  private func steps(of kind: String = "step-") throws(RetortError) -> [Int] {
    try FileSystem.names(in: folder).compactMap { name in
      name.hasPrefix(kind) ? Int(decimal: name.dropFirst(kind.count)) : nil
    }.ordered(by: >)
  }

  private func path(_ step: Int) -> String { folder + "/step-\(step)" }

  private static let best = "best-"

  private func bestPath(_ step: Int) -> String { folder + "/" + Self.best + "\(step)" }

  // MARK: Writing

  /// Writes a checkpoint and drops those that are no longer needed.
  func save(
    _ cursor: TrainingCursor, _ plan: TrainingPlan, _ parameters: ParameterList, _ optimizer: Adam
  ) throws(RetortError) {
    try whole(path(cursor.step)) { partial throws(RetortError) in
      try fill(partial, cursor, plan, parameters, optimizer)
    }
    let all = try steps()
    // Those of later steps were damaged, or of another version: the run went back behind them.
    let later = all.filter { $0 > cursor.step }
    for step in later + all.dropFirst(later.count + Self.kept) {
      try FileSystem.removeTree(path(step))
    }
    try dropBest(but: cursor.validation.best?.step)
  }

  /// Makes the folder `path` appear when `fill` has filled it; what does not fit the disk goes again.
  private func whole(
    _ path: String, _ fill: (_ partial: String) throws(RetortError) -> Void
  ) throws(RetortError) {
    let partial = folder + "/partial"
    try FileSystem.removeTree(partial)
    try FileSystem.makeFolder(partial)
    do throws(RetortError) {
      try fill(partial)
      try FileSystem.syncFolder(partial)
    } catch {
      try? FileSystem.removeTree(partial)
      throw error
    }
    try FileSystem.removeTree(path)
    try FileSystem.rename(partial, to: path)
  }

  private func fill(
    _ partial: String, _ cursor: TrainingCursor, _ plan: TrainingPlan, _ parameters: ParameterList,
    _ optimizer: Adam
  ) throws(RetortError) {
    var writer = SafeTensorsWriter()
    try parameters.add(to: &writer)
    try writer.write(to: partial + "/" + Self.weights)
    writer = SafeTensorsWriter()
    try parameters.add(optimizer.first, suffix: ".first", to: &writer)
    try parameters.add(optimizer.second, suffix: ".second", to: &writer)
    try writer.write(to: partial + "/" + Self.moments)
    var checksums: [String: String] = [:]
    for name in [Self.weights, Self.moments] {
      checksums[name] = try Self.checksum(partial + "/" + name)
    }
    let state = State(cursor: cursor, plan: plan, checksums: checksums)
    try FileSystem.replace(partial + "/" + Self.state, with: try encodedJSON(state))
  }

  /// Keeps the weights as the best so far; answers with their checksum.
  ///
  /// Older ones stay until no checkpoint needs them: a run that goes on from there may find that
  /// those were the best after all.
  func saveBest(step: Int, _ parameters: ParameterList) throws(RetortError) -> String {
    try whole(bestPath(step)) { partial throws(RetortError) in
      var writer = SafeTensorsWriter()
      try parameters.add(to: &writer)
      try writer.write(to: partial + "/" + Self.weights)
    }
    try dropBest(but: step)
    return try Self.checksum(bestPath(step) + "/" + Self.weights)
  }

  /// Drops best weights that neither the run nor a checkpoint needs.
  private func dropBest(but current: Int?) throws(RetortError) {
    var needed: Set<Int> = current.map { [$0] } ?? []
    for step in try steps() {
      if let best = try? state(step).cursor.validation.best { needed.insert(best.step) }
    }
    for step in try steps(of: Self.best) where !needed.contains(step) {
      try FileSystem.removeTree(bestPath(step))
    }
  }

  /// Puts the best weights into the parameters.
  func loadBest(
    _ best: ValidationCursor.Best, _ parameters: ParameterList
  ) throws(RetortError) {
    let file = bestPath(best.step) + "/" + Self.weights
    guard try Self.checksum(file) == best.checksum else {
      throw RetortError(
        .checksumMismatch,
        "has changed since validation chose it; run the same command with --resume to make it again",
        path: file)
    }
    try parameters.read(from: SafeTensors(path: file))
  }

  // MARK: Reading

  /// Puts the newest whole checkpoint into the parameters and the optimiser; nil without one.
  ///
  /// A damaged checkpoint is passed over with a word to `warn`; one of another plan is an error.
  func load(
    _ plan: TrainingPlan, _ parameters: ParameterList, _ optimizer: inout Adam,
    warn: (String) -> Void
  ) throws(RetortError) -> TrainingCursor? {
    let steps = try steps()
    for step in steps {
      let state: State
      do throws(RetortError) {
        state = try read(step)
      } catch {
        warn("the checkpoint of step \(step) is damaged (\(error)); going back to the one before")
        continue
      }
      if let difference = plan.difference(from: state.plan) {
        throw RetortError(
          .usage,
          "belongs to another run (\(difference)); repeat that run's options, or start again with "
            + "--overwrite", path: folder)
      }
      try parameters.read(from: SafeTensors(path: path(step) + "/" + Self.weights))
      let moments = try SafeTensors(path: path(step) + "/" + Self.moments)
      try parameters.read(optimizer.first, suffix: ".first", from: moments)
      try parameters.read(optimizer.second, suffix: ".second", from: moments)
      optimizer.steps = state.cursor.step
      return state.cursor
    }
    if !steps.isEmpty { warn("no checkpoint is whole; starting again at the first step") }
    return nil
  }

  private func state(_ step: Int) throws(RetortError) -> State {
    let file = path(step) + "/" + Self.state
    let bytes = try FileSystem.read(file, limit: 1 << 20)
    guard let state = try? JSONDecoder().decode(State.self, from: Data(bytes)),
      state.version == State.version, state.cursor.step == step
    else { throw RetortError(.badData, "is not the state of a checkpoint", path: file) }
    return state
  }

  private func read(_ step: Int) throws(RetortError) -> State {
    let state = try state(step)
    for name in [Self.weights, Self.moments] {
      guard try Self.checksum(path(step) + "/" + name) == state.checksums[name] else {
        throw RetortError(
          .checksumMismatch, "has another checksum than \(Self.state) says",
          path: path(step) + "/" + name)
      }
    }
    if let best = state.cursor.validation.best {
      let file = bestPath(best.step) + "/" + Self.weights
      guard try Self.checksum(file) == best.checksum else {
        throw RetortError(
          .checksumMismatch, "has another checksum than \(Self.state) says", path: file)
      }
    }
    return state
  }

  private static func checksum(_ path: String) throws(RetortError) -> String {
    try SHA256Digest.hexadecimal(ofFile: path, isInterrupted: { false })
  }
}

/// What decides the bytes of the result: a run may only be resumed as itself.
struct TrainingPlan: Codable, Equatable {
  /// Options by name.
  var options: [String]
  /// The weights at the start.
  var origin: String
  /// What else of the start decides scores: pooling, lengths, tokenizer.
  var identity: [String]
  /// The triples with their texts and scores.
  var data: String
  /// Queries, passages and judgements of the validation; empty without one.
  var validation: String

  init(
    _ options: TrainingOptions, _ model: some Ranker, data: String, validation: String,
    inBatchTeacher: String?
  ) {
    self.validation = validation
    self.options = options.deciding.map { "\($0.name) \($0.value)" }
    if let inBatchTeacher { self.options.append("--in-batch-teacher \(inBatchTeacher)") }
    origin = model.origin
    identity = model.identity
    self.data = data
  }

  /// The first difference to the plan a run was started with.
  func difference(from started: Self) -> String? {
    if data != started.data { return "the triples, scores or texts are not those of then" }
    // Before the weights, which a TK without --init draws by its options.
    // Some are named only where they are not as usual.
    func name(_ option: String) -> Substring { option.prefix { $0 != " " } }
    for now in options where !started.options.contains(now) {
      let then = started.options.first { name($0) == name(now) }
      return "now \(now), then \(then ?? "no \(name(now))")"
    }
    for then in started.options where !options.contains(then) {
      return "now no \(name(then)), then \(then)"
    }
    if origin != started.origin { return Self.otherWeights(options) }
    if validation != started.validation {
      return "the validation's queries, judgements or passages are not those of then"
    }
    for (now, then) in zip(identity, started.identity) where now != then {
      return "--init: now \(now), then \(then)"
    }
    return options.count == started.options.count && identity.count == started.identity.count
      ? nil : "options of another version"
  }

  private static func otherWeights(_ options: [String]) -> String {
    options.contains("--model tk")
      ? "--init, --embeddings, --vocabulary-corpus or --collection: other words or vectors than then"
      : "--init: other weights than then"
  }
}

/// Indented JSON with sorted keys and a line end.
func encodedJSON(_ value: some Encodable) throws(RetortError) -> [UInt8] {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  do {
    return Array(try encoder.encode(value)) + [UInt8(ascii: "\n")]
  } catch {
    throw RetortError(.badData, "cannot be written as JSON", cause: error)
  }
}
