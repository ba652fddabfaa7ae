import Platform

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
  /// Steps taken.
  var steps: Int
  /// Steps of these weights: those of the best validation, or all.
  var exportedStep: Int
  var validation: ValidationScores?
}

extension TrainingRun {
  mutating func writeModel(_ curves: TrainingCurves) throws(RetortError) {
    let partial = options.output + ".partial"
    try FileSystem.removeTree(partial)
    try FileSystem.makeFolder(partial)
    try model.save(to: partial)
    let record = TrainingRecord(
      options: Dictionary(uniqueKeysWithValues: options.deciding.map { ($0.name, $0.value) }),
      initialWeights: model.origin, data: data.digest, triples: data.count,
      unknownTriples: data.unknownTriples, skippedLines: data.skippedLines, steps: cursor.step,
      exportedStep: exportedStep, validation: cursor.validation.best?.scores)
    let recorded = try encodedJSON(record)
    try FileSystem.replace(partial + "/" + TrainingRecord.file, with: recorded)
    try FileSystem.replace(
      partial + "/retort_training_log.jsonl", with: try FileSystem.read(store.logPath))
    try FileSystem.replace(
      partial + "/retort_training_config.json",
      with: try FileSystem.read(store.configurationPath))
    try FileSystem.replace(
      partial + "/retort_training_curves.svg", with: Array(curves.render().utf8))
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
    report.exportedStep = exportedStep
    report.validation = cursor.validation.best?.scores
    if hasLostPatience { report.patienceLost = options.validation.patience }
    report.peakBytes = peakResidentBytes() ?? 0
  }
}
