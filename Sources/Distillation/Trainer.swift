import Formats
import Models
import Platform

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
      if !options.resume {
        // Not under the hands of a run that is still going on.
        let lock = try FileLock(path: store.folder + "/lock")
        defer { lock.release() }
        try FileSystem.removeTree(store.folder)
      }
    }
    let reporter = ProgressReporter(quiet: quiet)
    let model: any Ranker
    let data: TrainingData
    if options.model == .tk {
      // A new TK is made of the words of what it is to read.
      data = try TrainingData(options)
      model = try ranker(options, data)
    } else {
      model = try ranker(options)
      data = try TrainingData(options)
    }
    for note in model.notes { reporter.note(note) }
    return try train(model, data, options, store, reporter, quiet: quiet, afterStep)
  }

  private static func train(
    _ model: some Ranker, _ data: TrainingData, _ options: TrainingOptions,
    _ store: CheckpointStore, _ reporter: ProgressReporter, quiet: Bool,
    _ afterStep: (Int) throws(RetortError) -> Void
  ) throws(RetortError) -> TrainingReport {
    for warning in data.warnings { reporter.warn(warning) }
    let validation = try Validation(options, for: model)
    if let validation {
      for warning in validation.warnings { reporter.warn(warning) }
      reporter.note("validating with \(validation.summary)")
    }
    try FileSystem.makeFolder(store.folder)
    let lock = try FileLock(path: store.folder + "/lock")
    defer { lock.release() }
    var run = try TrainingRun(model, data, validation, options, store, reporter, quiet: quiet)
    return try run.finish(afterStep)
  }

  /// The model to train.
  private static func ranker(_ options: TrainingOptions) throws(RetortError) -> any Ranker {
    var model = TrainableModel.Options()
    model.pooling = options.pooling
    model.normalizes = options.normalize
    model.queryLength = options.queryLength
    model.passageLength = options.passageLength
    model.seed = options.seed
    model.variant = options.variant
    model.dimension = options.dimension
    model.queryMasks = options.queryMasks
    model.splitLayer = options.splitLayer
    model.compression = options.compression
    switch options.model {
    case .bertDot, .bertCat:
      return try TrainableModel(directory: options.initial, kind: options.model, options: model)
    case .colbert: return try TrainableColBERT(directory: options.initial, options: model)
    case .prettr: return try TrainablePreTTR(directory: options.initial, options: model)
    case .tk: return try TrainableTK(directory: options.initial, options: options.tk)
    }
  }

  /// The TK to train: that of a folder, or one of the words of the training's texts.
  private static func ranker(
    _ options: TrainingOptions, _ data: TrainingData
  ) throws(RetortError) -> any Ranker {
    guard options.initial.isEmpty else { return try ranker(options) }
    var start = TKStart()
    data.forEachText(passages: options.collection == nil) { start.add($0) }
    for path in [options.collection, options.vocabularyCorpus].compactMap({ $0 }) {
      let corpus = try CorpusReader(path: path, skipBadLines: options.skipBadLines)
      while let passage = try corpus.next() {
        try Interruption.check()
        start.add(passage.text)
      }
    }
    return try TrainableTK(start, options: options.tk)
  }

  /// Refuses to write over the start, or over a folder that is no trained model.
  private static func checkFolders(_ options: TrainingOptions) throws(RetortError) {
    try FileSystem.checkOutputFolder(FileSystem.parent(of: options.output))
    let output = FileSystem.resolved(options.output)
    let initial = options.initial.isEmpty ? "" : FileSystem.resolved(options.initial)
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
