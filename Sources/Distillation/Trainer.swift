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
    var modelOptions = TrainableModel.Options()
    modelOptions.pooling = options.pooling
    modelOptions.normalizes = options.normalize
    modelOptions.queryLength = options.queryLength
    modelOptions.passageLength = options.passageLength
    modelOptions.seed = options.seed
    let model = try TrainableModel(
      directory: options.initial, kind: options.model, options: modelOptions)
    for note in model.notes { reporter.note(note) }
    let data = try TrainingData(options)
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
