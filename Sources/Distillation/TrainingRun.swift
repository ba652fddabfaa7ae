import Models
import Platform
import Tensors

/// One run: from a checkpoint, or the beginning, to the finished model.
struct TrainingRun<Model: Ranker> {
  let model: Model
  let data: TrainingData
  let validation: Validation?
  let inBatchTeacher: InBatchTeacher?
  let options: TrainingOptions
  let store: CheckpointStore
  let reporter: ProgressReporter
  let plan: TrainingPlan
  let schedule: Schedule
  let gradients: [Matrix]
  let memory: Tape.Memory
  var optimizer: Adam
  var sampler: TripleSampler
  var cursor: TrainingCursor
  var report = TrainingReport()
  let quiet: Bool

  init(
    _ model: Model, _ data: TrainingData, _ validation: Validation?, _ options: TrainingOptions,
    _ store: CheckpointStore, _ reporter: ProgressReporter, quiet: Bool
  ) throws(RetortError) {
    self.model = model
    self.data = data
    self.validation = validation
    self.options = options
    self.store = store
    self.reporter = reporter
    self.quiet = quiet
    inBatchTeacher = try InBatchTeacher(options)
    plan = TrainingPlan(
      options, model, data: data.digest, validation: validation?.digest ?? "",
      inBatchTeacher: inBatchTeacher?.fingerprint)
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
    settings.kind = options.optimizer
    settings.weightDecay = options.weightDecay
    var optimizer = Adam(model.parameters, settings)
    sampler = try TripleSampler(options, data, model, reporter)
    cursor =
      try store.load(plan, model.parameters, &optimizer) { reporter.warn($0) }
      ?? TrainingCursor()
    self.optimizer = optimizer
  }

  /// Takes the remaining steps and writes the model.
  mutating func finish(
    _ afterStep: (Int) throws(RetortError) -> Void
  ) throws(RetortError) -> TrainingReport {
    if cursor.step > 0 { reporter.note("resumed after step \(cursor.step)") }
    let log = try TrainingLog(path: store.logPath, after: cursor)
    try FileSystem.replace(
      store.configurationPath, with: try encodedJSON(TrainingConfiguration.values(options)))
    let progress = TrainingProgress(total: schedule.total, quiet: quiet)
    let begun = monotonicSeconds()
    var losses: [Double] = []
    try validateIfDue(log, progress)
    while !isOver {
      if Interruption.isRequested {
        try checkpoint(log)
        throw interrupted
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
      try validateIfDue(log, progress)
      // The last one keeps the work should the model not fit the disk.
      if isOver || options.checkpointEvery > 0 && cursor.step % options.checkpointEvery == 0 {
        try checkpoint(log)
      }
      try afterStep(cursor.step)
    }
    try log.finish()
    report.seconds = monotonicSeconds() - begun - report.validationSeconds
    report.stepsNow = losses.count
    let tenth = max(1, losses.count / 10)
    report.firstLoss = losses.prefix(tenth).reduce(0, +) / Double(max(1, min(tenth, losses.count)))
    report.lastLoss = losses.suffix(tenth).reduce(0, +) / Double(max(1, min(tenth, losses.count)))
    try takeBest()
    try writeModel(log.curves)
    return report
  }

  private var isOver: Bool { cursor.step >= schedule.total || hasLostPatience }

  var interrupted: RetortError {
    RetortError(
      .cancelled,
      "interrupted after step \(cursor.step), which is kept: run the same command with --resume to "
        + "go on")
  }

  func checkpoint(_ log: TrainingLog) throws(RetortError) {
    do throws(RetortError) {
      try log.flush()
      try store.save(cursor, plan, model.parameters, optimizer)
      try FileSystem.replace(store.curvesPath, with: Array(log.curves.render().utf8))
    } catch  where error.code == .io && store.holdsCheckpoint {
      throw RetortError(
        error.code,
        error.message + "; the last checkpoint is kept, and --resume goes on from there",
        path: error.path, at: error.position, cause: error.cause)
    }
  }

  // MARK: A step

  mutating func step() throws(RetortError) -> TrainingStepRecord {
    let started = monotonicSeconds()
    let number = cursor.step
    let first = number * options.batchSize
    let triples = sampler.batch(number, size: options.batchSize)
    gradients.clear(threads: options.threads)
    let group =
      options.sharing != .own
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
    let items = triples.map(data.item)
    let batch = model.batch(items, sharing: options.sharing, threads: options.threads)
    let step = UInt64(cursor.step) << 16 | UInt64(part)
    let tape = Tape(
      model.parameters, gradients: gradients, memory: memory,
      dropout: Dropout(
        hidden: options.dropout, attention: options.dropout, seed: options.seed, step: step),
      precision: options.precision == .bf16 ? .bfloat16 : .float32)
    let scores = model.scores(TapeOperators(tape), batch)
    let values = scores.matrix.values
    let lists = batch.lists.map { $0.map { Double(values[$0]) } }
    let evaluation: Loss.Evaluation
    if let inBatchTeacher {
      evaluation = DualTeacherLoss.evaluate(
        lists, inBatchTeacher: try inBatchTeacher.scores(items), margins: triples.map(data.margin),
        weight: options.inBatchWeight)
    } else {
      evaluation = options.loss.evaluate(
        lists, teacher: options.loss.needsTeacher ? triples.map(data.teacher) : [],
        temperature: options.temperature)
    }
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
}
