import CKernels
import Models
import Platform

/// What linear layers multiply in. Attention, weights, gradients and the optimiser are f32 in any case.
package enum TrainingPrecision: String, Sendable, Codable, CaseIterable {
  case f32
  /// Both sides of a product rounded to bf16, the sums in f32: mixed precision.
  case bf16
}

/// What to train, on what, and how.
package struct TrainingOptions: Sendable, Codable, Equatable {
  /// The architecture.
  package var model: RankerKind
  /// The model directory to start from; empty for a new TK.
  package var initial: String
  /// Triples without a teacher.
  package var triples: String?
  /// Triples with a teacher's scores.
  package var teacherScores: String?
  /// Where passages are named by ids: their texts.
  package var collection: String?
  /// Where queries are named by ids: their texts.
  package var queries: String?
  /// The model directory to make.
  package var output: String

  /// What is made small.
  package var loss = Loss.marginMSE
  /// A ColBERT that scores all passages of a batch for every query; nil: none does.
  package var inBatchTeacher: String?
  /// The weight of what it teaches beside the loss of pairs.
  package var inBatchWeight = 0.75
  /// T of the losses of lists.
  package var temperature = 1.0
  /// How token vectors become one; nil as the start has it.
  package var pooling: Pooling?
  /// Whether vectors are scaled to length 1 (bert-dot).
  package var normalize = false
  /// Tokens of a query at most.
  package var queryLength = 32
  /// Tokens of a passage, or of a pair, at most; nil as the start has it.
  package var passageLength: Int?
  /// The family (`colbert`); nil: as the start has it, else the original.
  package var variant: ColBERTVariant?
  /// Components of a token's vector (`colbert`) or of a word's (`tk`); nil: what is usual.
  package var dimension: Int?
  /// The [MASK] tokens of queries (`colbert`); nil: what the start or the family has.
  package var queryMasks: QueryMasks?
  /// Layers that read query and passage apart (`prettr`); nil: as the start has it, else half of them.
  package var splitLayer: Int?
  /// Numbers of a passage's token that can be kept (`prettr`); nil: as the start has it, else all.
  package var compression: Int?
  /// A file of words' vectors (a new `tk`); nil: they are drawn.
  package var embeddings: String?
  /// Words at most (a new `tk`).
  package var vocabularySize = 200_000
  /// A corpus whose words count beside those of the triples (a new `tk`).
  package var vocabularyCorpus: String?

  /// Triples of a step.
  package var batchSize = 32
  /// Triples of a forward pass: more take more memory. Nil: all of the step.
  package var microBatch: Int?
  /// Steps; nil: what `epochs` needs.
  package var steps: Int?
  /// Passes over the triples.
  package var epochs = 1.0
  /// The highest learning rate.
  package var learningRate = 7e-6
  /// That of the embeddings, nil: the same.
  package var embeddingRate: Double?
  /// That of the head, nil: the same.
  package var headRate: Double?
  /// How the learning rate changes.
  package var schedule = Schedule.Shape.linear
  /// Steps of its rise.
  package var warmup = 0
  /// Where the weight decay goes.
  package var optimizer = OptimizerKind.adamW
  /// The weight decay; biases and normalisations have none.
  package var weightDecay = 0.0
  /// Decays of Adam's means.
  package var beta1 = 0.9, beta2 = 0.999
  /// Adam's ε.
  package var epsilon = 1e-8
  /// The longest gradient; longer ones are scaled down. 0: any.
  package var clipNorm = 0.0
  /// The share of hidden values and attention probabilities that is dropped.
  package var dropout = 0.1
  /// What linear layers multiply in, forwards and backwards.
  package var precision = TrainingPrecision.f32
  /// Of every random choice.
  package var seed: UInt64 = 1

  /// Clusters of the queries' vectors; a batch takes the queries of one. 0: none.
  package var topicClusters = 0
  /// Bins of a query's margins of which each is as likely as the others. 0: none.
  package var marginBins = 0

  /// What is held out, and what is made of it.
  package var validation = ValidationOptions()

  /// Steps between checkpoints; 0: none but the end.
  package var checkpointEvery = 1000
  /// Threads; the result does not depend on them.
  package var threads = availableProcessors()
  /// Whether to go on with unfinished work.
  package var resume = false
  /// Whether to replace a finished model or drop unfinished work.
  package var overwrite = false
  /// Whether bad lines are skipped and counted instead of ending the work.
  package var skipBadLines = false
  /// The share of triples that may name unknown ids.
  package var maxUnknown = 0.01

  /// The usual values.
  package init(model: RankerKind, initial: String, output: String) {
    self.model = model
    self.initial = initial
    // Names beside the output are made by appending to it.
    self.output = output
    while self.output.count > 1, self.output.hasSuffix("/") { self.output.removeLast() }
  }

  /// Which passages of a batch a query is scored with.
  var sharing: PassageSharing { inBatchTeacher == nil ? loss.sharing : .all }

  /// Whether queries and passages are named by ids.
  var namesIDs: Bool { collection != nil || queries != nil }

  func validate() throws(RetortError) {
    func check(_ holds: Bool, _ message: String) throws(RetortError) {
      if !holds { throw RetortError(.usage, message) }
    }
    func inRange(
      _ value: Int, _ range: ClosedRange<Int>, _ name: String
    ) throws(RetortError) {
      try check(
        range.contains(value),
        "\(name) is \(value) but must lie in \(range.lowerBound)...\(range.upperBound)")
    }
    func positive(_ value: Double, _ name: String) throws(RetortError) {
      try check(value.isFinite && value > 0, "\(name) is \(value) but must be a positive number")
    }
    try check(
      triples != nil || teacherScores != nil,
      "there is nothing to train on; name triples (--triples) or a teacher's scores of triples "
        + "(--teacher-scores)")
    try check(
      !loss.needsTeacher || teacherScores != nil,
      "the loss \(loss.rawValue) learns from a teacher; give --teacher-scores, or choose one of "
        + Loss.allCases.filter { !$0.needsTeacher }.map(\.rawValue).joined(separator: ", "))
    try check(
      (collection == nil) == (queries == nil),
      "ids need both --collection and --queries; without either, columns are texts")
    try check(
      !(loss.sharesPassages && (model == .bertCat || model == .prettr)),
      "the loss \(loss.rawValue) scores every query with every passage of the batch, which "
        + "\(model.rawValue) cannot afford; choose another, or train bert-dot")
    try check(
      inBatchTeacher == nil || (model == .bertDot && loss == .marginMSE),
      "a teacher of the batch (--in-batch-teacher) stands beside --loss margin-mse, and teaches "
        + "bert-dot alone; choose these, or leave it out")
    try check(
      inBatchWeight.isFinite && inBatchWeight >= 0, "the weight of the batch must not be negative")
    try inRange(batchSize, 1...65536, "the batch size")
    if let microBatch { try inRange(microBatch, 1...65536, "the micro-batch") }
    if let steps { try inRange(steps, 1...1_000_000_000, "the number of steps") }
    try inRange(warmup, 0...1_000_000_000, "the warm-up")
    try inRange(checkpointEvery, 0...1_000_000_000, "the distance of checkpoints")
    try inRange(threads, 1...4096, "the number of threads")
    try positive(epochs, "the number of epochs")
    try positive(temperature, "the temperature")
    try positive(learningRate, "the learning rate")
    try positive(epsilon, "epsilon")
    for rate in [embeddingRate, headRate] {
      try check((rate ?? 0).isFinite && (rate ?? 0) >= 0, "a learning rate must not be negative")
    }
    try check((0..<1).contains(beta1) && (0..<1).contains(beta2), "beta must lie in 0..<1")
    try check(
      precision == .f32 || retort_multiplies_bf16(retort_level_in_use()),
      "this CPU has no instructions for products of bf16; leave --precision bf16 out, or train where "
        + "`retort model info` says \"bf16 in hardware\"")
    try check((0..<1).contains(dropout), "the dropout is \(dropout) but must lie in 0..<1")
    try check(clipNorm.isFinite && clipNorm >= 0, "the norm to clip at must not be negative")
    try check(weightDecay.isFinite && weightDecay >= 0, "the weight decay must not be negative")
    try inRange(topicClusters, 0...1_000_000, "the number of topic clusters")
    try inRange(marginBins, 0...10_000, "the number of margin bins")
    try check(
      topicClusters == 0 || model == .bertDot,
      "topic clusters are clusters of the encoder's vectors, which \(model.rawValue) does not have; "
        + "train bert-dot, or leave --topic-clusters out")
    try checkArchitecture()
    try check(
      marginBins == 0 || teacherScores != nil,
      "margins are a teacher's; give --teacher-scores, or leave --margin-bins out")
    try check((0...1).contains(maxUnknown), "the share of unknown ids must lie in 0...1")
    try validation.validate(self)
  }

  /// The options that decide the weights, as a person reads them.
  var deciding: [(name: String, value: String)] {
    // Runs of versions that knew no such teacher go on where there is none.
    let teacher: [(name: String, value: String)] =
      inBatchTeacher == nil ? [] : [("--in-batch-weight", "\(inBatchWeight)")]
    let format: [(name: String, value: String)] =
      precision == .f32 ? [] : [("--precision", precision.rawValue)]
    return teacher + format + [
      ("--model", model.rawValue), ("--loss", loss.rawValue), ("--temperature", "\(temperature)"),
      ("--pooling", pooling?.rawValue ?? "as the start has it"),
      ("--normalize", normalize ? "yes" : "no"),
      ("--query-length", "\(queryLength)"),
      ("--passage-length", passageLength.map(String.init) ?? "as the start has it"),
      ("--batch-size", "\(batchSize)"),
      ("--micro-batch", microBatch.map(String.init) ?? "all"),
      ("--steps", steps.map(String.init) ?? "by --epochs"), ("--epochs", "\(epochs)"),
      ("--learning-rate", "\(learningRate)"),
      ("--embedding-rate", embeddingRate.map { "\($0)" } ?? "the same"),
      ("--head-rate", headRate.map { "\($0)" } ?? "the same"),
      ("--schedule", schedule.rawValue), ("--warmup", "\(warmup)"),
      ("--optimizer", optimizer.rawValue), ("--weight-decay", "\(weightDecay)"),
      ("--beta1", "\(beta1)"), ("--beta2", "\(beta2)"),
      ("--epsilon", "\(epsilon)"), ("--clip-norm", "\(clipNorm)"), ("--dropout", "\(dropout)"),
      ("--seed", "\(seed)"), ("--topic-clusters", "\(topicClusters)"),
      ("--margin-bins", "\(marginBins)"),
    ] + architecture + validation.deciding
  }
}

/// What training did.
package struct TrainingReport: Sendable, Codable {
  /// The model directory.
  package var model = ""
  /// Triples learned from, once.
  package var triples = 0
  /// Triples left out because an id of theirs is unknown.
  package var unknownTriples = 0
  /// Bad lines skipped on request.
  package var skippedLines = 0
  /// Steps taken, and those of them taken by this run.
  package var steps = 0, stepsNow = 0
  /// Steps of the weights that were written: those of the best validation, or all.
  package var exportedStep = 0
  /// What their validation found.
  package var validation: ValidationScores?
  /// Validations in a row that were no better, where that ended the run.
  package var patienceLost: Int?
  /// The mean loss of the first and the last tenth of this run's steps.
  package var firstLoss = 0.0, lastLoss = 0.0
  /// Tokens through the network by this run.
  package var tokens = 0
  /// Seconds of this run's steps, and of its validations.
  package var seconds = 0.0, validationSeconds = 0.0
  /// Texts of this run's batches that were cut.
  package var truncatedTexts = 0
  /// Bytes of activations per token of the largest forward pass.
  package var bytesPerToken = 0
  /// Peak resident memory of the process in bytes, 0 where unknown.
  package var peakBytes = 0
}
