import Formats
import Models
import Platform
import Tensors

/// Trains rankers from triples.
///
/// Every random choice is a function of the seed and of what it is for, micro-batches do not depend
/// on the number of threads, and checkpoints hold all that a step depends on: so the result has the
/// same bytes for any number of threads, and after any number of interruptions.
package enum Trainer {
  /// Reads, trains and writes what the options name.
  ///
  /// `afterStep` is called with the number of steps taken after each, and behind its checkpoint; an
  /// error it throws ends the run at once, as a kill would.
  package static func train(
    _ options: TrainingOptions, quiet: Bool = false,
    afterStep: (Int) throws(RetortError) -> Void = { _ in }
  ) throws(RetortError) -> TrainingReport {
    try options.validate()
    try checkFolders(options)
    let store = CheckpointStore(output: options.output)
    if try store.isPublished(as: options.output + "/" + TrainingRecord.file) {
      // Only the end of the tidying was missing.
      try FileSystem.removeTree(store.folder)
      if options.resume { return try finished(options) }
    }
    if FileSystem.kind(of: options.output) != .nothing, !options.overwrite {
      guard !options.resume || store.exists else {
        return try finished(options)
      }
      throw RetortError(
        .usage, "exists already; name another folder, or replace it with --overwrite",
        path: options.output)
    }
    if store.exists {
      guard options.resume || options.overwrite else {
        throw RetortError(
          .usage,
          "holds a run that did not finish; go on with --resume, or start again with --overwrite",
          path: store.folder)
      }
      if !options.resume { try FileSystem.removeTree(store.folder) }
    }
    let reporter = ProgressReporter(quiet: quiet)
    var modelOptions = TrainableModel.Options()
    modelOptions.pooling = options.pooling
    modelOptions.queryLength = options.queryLength
    modelOptions.passageLength = options.passageLength
    modelOptions.seed = options.seed
    let model = try TrainableModel(
      directory: options.initial, kind: options.model, options: modelOptions)
    for note in model.notes { reporter.note(note) }
    let data = try TrainingData(options)
    for warning in data.warnings { reporter.warn(warning) }
    try FileSystem.makeFolder(store.folder)
    let lock = try FileLock(path: store.folder + "/lock")
    defer { lock.release() }
    var run = try TrainingRun(model, data, options, store, reporter, quiet: quiet)
    return try run.finish(afterStep)
  }

  /// Refuses to write over the start, or over a folder that is no trained model.
  private static func checkFolders(_ options: TrainingOptions) throws(RetortError) {
    let output = FileSystem.resolved(options.output)
    let initial = FileSystem.resolved(options.initial)
    guard output != initial, !initial.hasPrefix(output + "/") else {
      throw RetortError(
        .usage, "is, or holds, the model to start from; name another folder", path: options.output)
    }
    guard options.overwrite, FileSystem.kind(of: options.output) != .nothing else { return }
    guard FileSystem.kind(of: options.output + "/" + TrainingRecord.file) == .file else {
      throw RetortError(
        .usage, "was not made by training and is not replaced; name another folder, or remove it",
        path: options.output)
    }
  }

  /// The report of a run that was finished before.
  private static func finished(_ options: TrainingOptions) throws(RetortError) -> TrainingReport {
    guard FileSystem.kind(of: options.output + "/" + TrainingRecord.file) == .file else {
      throw RetortError(
        .usage, "was not made by training; name another folder, or replace it with --overwrite",
        path: options.output)
    }
    var report = TrainingReport()
    report.model = options.output
    return report
  }
}

/// What the finished model's folder says of how it was made.
struct TrainingRecord: Codable {
  static let file = "retort_training.json"

  var version = 1
  /// The options that decide the weights.
  var options: [String: String]
  /// A digest of the weights at the start.
  var initialWeights: String
  /// A digest of triples, scores and texts.
  var data: String
  var triples: Int
  var unknownTriples: Int
  var skippedLines: Int
  var steps: Int
}

/// One run: from a checkpoint, or the beginning, to the finished model.
struct TrainingRun<Model: Ranker> {
  private let model: Model
  private let data: TrainingData
  private let options: TrainingOptions
  private let store: CheckpointStore
  private let reporter: ProgressReporter
  private let plan: TrainingPlan
  private let schedule: Schedule
  private let gradients: [Matrix]
  private let memory: Tape.Memory
  private var optimizer: Adam
  private var order: TripleOrder
  private var cursor: TrainingCursor
  private var report = TrainingReport()
  private let quiet: Bool

  init(
    _ model: Model, _ data: TrainingData, _ options: TrainingOptions, _ store: CheckpointStore,
    _ reporter: ProgressReporter, quiet: Bool
  ) throws(RetortError) {
    self.model = model
    self.data = data
    self.options = options
    self.store = store
    self.reporter = reporter
    self.quiet = quiet
    plan = TrainingPlan(options, model, data: data.digest)
    let wanted = (options.epochs * Double(data.count) / Double(options.batchSize)).rounded(.up)
    guard wanted < 1e12 else {
      throw RetortError(.usage, "\(options.epochs) epochs are more steps than can be counted")
    }
    schedule = Schedule(
      options.schedule, warmup: options.warmup, total: options.steps ?? max(1, Int(wanted)))
    gradients = model.parameters.zeros()
    memory = Tape.Memory(threads: options.threads)
    var settings = Adam.Settings()
    settings.beta1 = options.beta1
    settings.beta2 = options.beta2
    settings.epsilon = options.epsilon
    settings.weightDecay = options.weightDecay
    var optimizer = Adam(model.parameters, settings)
    order = TripleOrder(count: data.count, seed: options.seed)
    cursor =
      try store.load(plan, model.parameters, &optimizer) { reporter.warn($0) }
      ?? TrainingCursor(step: 0)
    self.optimizer = optimizer
  }

  /// Takes the remaining steps and writes the model.
  mutating func finish(
    _ afterStep: (Int) throws(RetortError) -> Void
  ) throws(RetortError) -> TrainingReport {
    if cursor.step > 0 { reporter.note("resumed after step \(cursor.step)") }
    let log = try TrainingLog(path: store.logPath, after: cursor.step)
    let progress = TrainingProgress(total: schedule.total, quiet: quiet)
    let begun = monotonicSeconds()
    var losses: [Double] = []
    while cursor.step < schedule.total {
      if Interruption.isRequested {
        try checkpoint(log)
        throw RetortError(
          .cancelled,
          "interrupted after step \(cursor.step), which is kept: run the same command with --resume "
            + "to go on")
      }
      let record: TrainingStepRecord
      do throws(RetortError) {
        record = try step()
      } catch {
        // What led to it is what the user wants to see.
        try log.flush()
        throw error
      }
      losses.append(record.loss)
      try log.append(record)
      progress.update(step: record.step, loss: record.loss, tokens: record.tokens)
      // The last one keeps the work should the model not fit the disk.
      if cursor.step == schedule.total
        || options.checkpointEvery > 0 && cursor.step % options.checkpointEvery == 0
      {
        try checkpoint(log)
      }
      try afterStep(cursor.step)
    }
    try log.finish()
    report.seconds = monotonicSeconds() - begun
    report.stepsNow = losses.count
    let tenth = max(1, losses.count / 10)
    report.firstLoss = losses.prefix(tenth).reduce(0, +) / Double(max(1, min(tenth, losses.count)))
    report.lastLoss = losses.suffix(tenth).reduce(0, +) / Double(max(1, min(tenth, losses.count)))
    try writeModel()
    return report
  }

  private func checkpoint(_ log: TrainingLog) throws(RetortError) {
    try log.flush()
    try store.save(cursor, plan, model.parameters, optimizer)
  }

  // MARK: A step

  private mutating func step() throws(RetortError) -> TrainingStepRecord {
    let started = monotonicSeconds()
    let number = cursor.step
    let first = number * options.batchSize
    let triples = order.triples(first..<first + options.batchSize)
    gradients.clear(threads: options.threads)
    let group =
      options.loss.sharesPassages
      ? triples.count : min(options.microBatch ?? triples.count, triples.count)
    var loss = 0.0
    var tokens = 0
    for (part, start) in stride(from: 0, to: triples.count, by: group).enumerated() {
      let members = Array(triples[start..<min(start + group, triples.count)])
      let share = Double(members.count) / Double(triples.count)
      let (value, count) = try pass(members, share: share, part: part)
      loss += value * share
      tokens += count
    }
    let norm = globalNorm(gradients, threads: options.threads)
    try check(loss: loss, norm: norm, triples)
    let factor = schedule.factor(at: number)
    let clip = options.clipNorm > 0 ? min(1, options.clipNorm / max(norm, 1e-30)) : 1
    optimizer.step(
      gradients: gradients,
      rates: [
        .encoder: options.learningRate * factor,
        .embedding: (options.embeddingRate ?? options.learningRate) * factor,
        .head: (options.headRate ?? options.learningRate) * factor,
      ], scale: clip, threads: options.threads)
    cursor.step += 1
    cursor.smoothedLoss = cursor.smoothedLoss.map { 0.95 * $0 + 0.05 * loss } ?? loss
    report.tokens += tokens
    return TrainingStepRecord(
      step: cursor.step, epoch: Double(first + options.batchSize) / Double(data.count), loss: loss,
      learningRate: options.learningRate * factor, gradientNorm: norm, tokens: tokens,
      tokensPerSecond: Double(tokens) / max(monotonicSeconds() - started, 1e-9))
  }

  /// Forwards and backwards over some triples; adds `share` of their gradient.
  private mutating func pass(
    _ triples: [Int], share: Double, part: Int
  ) throws(RetortError) -> (loss: Double, tokens: Int) {
    let batch = model.batch(
      triples.map(data.item), shared: options.loss.sharesPassages, threads: options.threads)
    let step = UInt64(cursor.step) << 16 | UInt64(part)
    let tape = Tape(
      model.parameters, gradients: gradients, memory: memory,
      dropout: Dropout(
        hidden: options.dropout, attention: options.dropout, seed: options.seed, step: step))
    let scores = model.scores(TapeOperators(tape), batch)
    let values = scores.matrix.values
    let evaluation = options.loss.evaluate(
      batch.lists.map { $0.map { Double(values[$0]) } },
      teacher: options.loss.needsTeacher ? triples.map(data.teacher) : [],
      temperature: options.temperature)
    tape.backward(
      from: scores,
      seed: Matrix(
        rows: values.count, columns: 1,
        values: evaluation.gradient.joined().map { Float($0 * share) }))
    report.truncatedTexts += batch.truncated
    report.bytesPerToken = max(
      report.bytesPerToken, memory.bytes / max(batch.tokens.tokens, 1))
    return (evaluation.value, batch.tokens.tokens)
  }

  /// Stops before numbers that are none reach the weights.
  private func check(loss: Double, norm: Double, _ triples: [Int]) throws(RetortError) {
    let what: String
    if !loss.isFinite || !norm.isFinite {
      what = "is \(loss) with a gradient of norm \(norm)"
    } else if cursor.step >= 20, let usual = cursor.smoothedLoss,
      abs(loss) > 1000 * max(abs(usual), 1)
    {
      what = "is \(shortNumber(loss)), a thousand times its running mean \(shortNumber(usual))"
    } else {
      return
    }
    let some = triples.prefix(8).map(data.name).joined(separator: ", ")
    let more = triples.count > 8 ? " and \(triples.count - 8) more" : ""
    let remedy =
      store.holdsCheckpoint
      ? "copy the last checkpoint's weights out of \(store.folder) if you want to keep them, then "
      : ""
    throw RetortError(
      .badData,
      "the loss of step \(cursor.step + 1) \(what); the batch was \(some)\(more). Look at these "
        + "triples and their scores, then lower --learning-rate, raise --warmup, or set "
        + "--clip-norm 1; \(remedy)start again with --overwrite")
  }

  // MARK: The end

  private mutating func writeModel() throws(RetortError) {
    let partial = options.output + ".partial"
    try FileSystem.removeTree(partial)
    try FileSystem.makeFolder(partial)
    try model.save(to: partial)
    let record = TrainingRecord(
      options: Dictionary(uniqueKeysWithValues: options.deciding.map { ($0.name, $0.value) }),
      initialWeights: model.origin, data: data.digest, triples: data.count,
      unknownTriples: data.unknownTriples, skippedLines: data.skippedLines, steps: cursor.step)
    let recorded = try encodedJSON(record)
    try FileSystem.replace(partial + "/" + TrainingRecord.file, with: recorded)
    try FileSystem.replace(
      partial + "/retort_training_log.jsonl", with: try FileSystem.read(store.logPath))
    try FileSystem.syncFolder(partial)
    try store.willPublish(recorded)
    // The old model goes when the new one has its name.
    let old = options.output + ".old"
    try FileSystem.removeTree(old)
    if options.overwrite, FileSystem.kind(of: options.output) != .nothing {
      try FileSystem.rename(options.output, to: old)
    }
    try FileSystem.rename(partial, to: options.output)
    try FileSystem.syncFolder(FileSystem.parent(of: options.output))
    try FileSystem.removeTree(old)
    try FileSystem.removeTree(store.folder)
    report.model = options.output
    report.triples = data.count
    report.unknownTriples = data.unknownTriples
    report.skippedLines = data.skippedLines
    report.steps = cursor.step
    report.peakBytes = peakResidentBytes() ?? 0
  }
}
