import Formats
import Graph
import Models
import Platform
import Store

/// Builds an index from a corpus.
public struct IndexBuilder {
  let options: IndexBuildOptions
  let encoder: TextEncoder
  let modelPath: String
  let folder: IndexFolder
  let progress: ProgressReporter
  var report = IndexBuildReport()

  /// Builds the index that `options` describe; vectors come from `encoder`, whose folder is
  /// `modelPath`.
  ///
  /// Progress goes to standard error unless `quiet`. A build that is interrupted (Ctrl-C) throws
  /// `.cancelled`; it and a killed one go on when called again with `resume`.
  public static func build(
    _ options: IndexBuildOptions, encoder: TextEncoder, modelPath: String, quiet: Bool = false
  ) throws(RetortError) -> IndexBuildReport {
    var builder = IndexBuilder(
      options: options, encoder: encoder, modelPath: modelPath,
      folder: IndexFolder(options.output), progress: ProgressReporter(quiet: quiet))
    return try builder.run()
  }

  private init(
    options: IndexBuildOptions, encoder: TextEncoder, modelPath: String, folder: IndexFolder,
    progress: ProgressReporter
  ) {
    self.options = options
    self.encoder = encoder
    self.modelPath = modelPath
    self.folder = folder
    self.progress = progress
  }

  private mutating func run() throws(RetortError) -> IndexBuildReport {
    try options.validate()
    // The corpus is opened first: a misspelt path must not leave a folder behind.
    let reader = try CorpusReader(
      path: options.corpus, format: options.format, skipBadLines: options.skipBadLines,
      kind: .corpus, shard: options.shard, fields: FieldSelection(options.fields))
    guard let (plan, lock) = try prepare() else { return report }
    defer { lock.release() }
    var segment = SegmentBuilder(
      options: options, encoder: encoder, modelPath: modelPath, folder: folder, progress: progress)
    do throws(RetortError) {
      // Without known passages there is a graph or an error.
      guard let graph = try segment.run(reader) else { return report }
      report = segment.report
      try publish(plan, segment, graph)
    } catch {
      forgetBuildWithoutBlocks()
      throw error
    }
    report.peakBytes = peakResidentBytes() ?? 0
    return report
  }

  // MARK: - Before

  /// Makes or finds the folder of unfinished work; nil when the index turns out to be finished.
  private mutating func prepare() throws(RetortError) -> (BuildPlan, FileLock)? {
    let state = try folder.state()
    if state == .foreign {
      throw RetortError(
        .usage, "exists and is not an index; name a new folder for --output", path: folder.path)
    }
    if state == .index, !options.overwrite, !options.resume {
      throw RetortError(
        .usage, "is a finished index; add --overwrite to replace it or name another --output",
        path: folder.path)
    }
    if state == .index, options.resume, FileSystem.kind(of: folder.planPath) != .file {
      let manifest = try folder.manifest()
      if isSameBuild(manifest) {
        finish(manifest)
        return nil
      }
      guard options.overwrite else {
        throw RetortError(
          .usage,
          "is a finished index of another corpus, model or graph; there is nothing to resume: add "
            + "--overwrite to replace it or name another --output", path: folder.path)
      }
    }
    try FileSystem.makeFolder(folder.buildingPath)
    // Before giving advice about an unfinished build: it may be one that is still running.
    let lock = try FileLock(path: folder.buildingPath + "/lock")
    let unfinished = FileSystem.kind(of: folder.planPath) == .file
    if unfinished, !options.resume, !options.overwrite {
      throw RetortError(
        .usage,
        "holds an unfinished build; add --resume to go on with it or --overwrite to start again",
        path: folder.path)
    }
    let finished = try folder.state() == .index ? try? folder.manifest() : nil
    if state == .unfinished, options.overwrite {
      // Files that were moved into place by a build that was killed before it named them.
      try FileSystem.removeTree(folder.path + "/segments")
    }
    // Above every generation that left files, also where the manifest cannot be read.
    let generation = try max(finished?.generation ?? 0, folder.highestGeneration()) + 1
    var plan = BuildPlan(
      options, model: encoder.fingerprint, modelPath: modelPath, base: nil, generation: generation)
    if unfinished, options.resume {
      let started = try BuildPlan.read(folder.planPath)
      if let finished, finished.generation >= started.generation {
        // Killed between publishing and tidying up: only the latter is left.
        try folder.tidy(keeping: finished)
        finish(finished)
        lock.release()
        return nil
      }
      if let difference = plan.difference(from: started) {
        throw RetortError(
          .usage,
          "cannot resume with other settings (\(difference)); repeat the first command's, or "
            + "start again with --overwrite", path: folder.path)
      }
      plan.generation = started.generation
      return (plan, lock)
    }
    for name in try FileSystem.names(in: folder.buildingPath) where name != "lock" {
      try FileSystem.removeTree(folder.buildingPath + "/" + name)
    }
    try plan.write(to: folder.planPath)
    return (plan, lock)
  }

  /// Reports an index that was there already.
  private mutating func finish(_ manifest: Manifest) {
    progress.note(
      "the build had finished; nothing to resume (the corpus was not read again: --overwrite does)")
    report.passages = manifest.passages
    report.added = manifest.passages
    for source in manifest.sources {
      report.truncatedTexts += source.truncatedTexts
      report.emptyTexts += source.emptyTexts
      report.skippedLines += source.skippedLines
    }
    report.bytes = manifest.bytes
    report.reachable = manifest.segments.reduce(0) { $0 + $1.graph.reachable }
    report.linkedByPass = manifest.segments.reduce(0) { $0 + $1.graph.linkedByPass }
  }

  /// Whether a finished index is what these options would make, as far as it can tell.
  private func isSameBuild(_ manifest: Manifest) -> Bool {
    let graph = manifest.graph
    return manifest.segments.count == 1 && manifest.sources.map(\.path) == [options.corpus]
      && manifest.sources.map(\.shard) == [options.shard.name]
      && manifest.model?.fingerprint == encoder.fingerprint
      && graph.m == options.m && graph.efConstruction == options.efConstruction
      && graph.seed == options.seed && manifest.keptFields == options.fields?.ordered()
      && manifest.lexical == options.lexical
      && manifest.terms ?? [] == options.terms.map(\.described)
  }

  /// Leaves nothing behind of a build that failed before its first block: there is nothing to resume,
  /// and the corrected command should simply work.
  private func forgetBuildWithoutBlocks() {
    guard FileSystem.kind(of: StagedBlock.path(0, in: folder)) != .file else { return }
    try? FileSystem.removeTree(folder.buildingPath)
    if (try? folder.state()) == .absent { _ = rmdir(folder.path) }
  }

  // MARK: - After

  private mutating func publish(
    _ plan: BuildPlan, _ segment: SegmentBuilder, _ graph: HNSWBuilder.Output
  ) throws(RetortError) {
    let files = try folder.adopt(segment.files, generation: plan.generation)
    let manifest = Manifest(
      generation: plan.generation, dimension: encoder.dimension,
      model: Manifest.Model(encoder.summary, path: modelPath),
      graph: Manifest.GraphSettings(
        m: options.m, efConstruction: options.efConstruction, seed: options.seed),
      keptFields: options.fields?.ordered(), lexical: options.lexical, terms: plan.terms,
      segments: [segment.describe(graph, generation: plan.generation, files: files)])
    try folder.publish(manifest)
    report.passages = manifest.passages
    report.bytes = manifest.bytes
  }
}

extension Manifest.Model {
  /// Describes the encoder of an index.
  init(_ model: ModelSummary, path: String) {
    self.init(
      path: path, fingerprint: model.fingerprint, architecture: model.architecture.rawValue,
      pooling: model.pooling.value.rawValue, normalized: model.normalize.value,
      maxLength: model.maxLength.value, precision: model.precision.value.rawValue)
  }
}
