import Formats
import Graph
import Models
import Platform
import Store

// A build runs in three phases, each of which a killed build can repeat:
//
//   encode   corpus line → passage → token ids (a thread of its own, two blocks ahead) → vectors
//            (all threads) → building/block-N.part, one durable file a block
//   store    the blocks in order → vectors.seg, passages.seg
//   graph    vectors.seg → graph.seg
//
// then the three files are published with a new manifest. Only encoding is expensive enough to be
// checkpointed; the other two start again from the blocks. Nothing depends on the thread count or
// on where a build was interrupted: blocks start at fixed passages, and a block is encoded alike
// whoever does it.

/// Builds an index from a corpus.
public struct IndexBuilder {
  private let options: IndexBuildOptions
  private let encoder: TextEncoder
  private let modelPath: String
  private let folder: IndexFolder
  private let progress: ProgressReporter
  private var report = IndexBuildReport()

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
      path: options.corpus, format: options.format, skipBadLines: options.skipBadLines)
    guard let (plan, lock) = try prepare() else { return report }
    defer { lock.release() }
    let blocks: Int
    do throws(RetortError) {
      blocks = try encodeAll(reader)
    } catch {
      forgetBuildWithoutBlocks()
      throw error
    }
    try store(blocks)
    try connect()
    try publish(plan)
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
    if state == .index, !options.overwrite, FileSystem.kind(of: folder.planPath) != .file {
      let manifest = try folder.manifest()
      try requireSameBuild(manifest)
      finish(manifest)
      return nil
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
      corpus: options.corpus, format: options.format.rawValue, model: encoder.fingerprint,
      modelPath: modelPath, m: options.m, efConstruction: options.efConstruction,
      seed: options.seed, batchSize: options.batchSize, skipBadLines: options.skipBadLines,
      generation: generation)
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
    report.truncatedTexts = manifest.corpus.truncatedTexts
    report.emptyTexts = manifest.corpus.emptyTexts
    report.skippedLines = manifest.corpus.skippedLines
    report.bytes = manifest.files.values.reduce(0) { $0 + $1.bytes }
    report.reachable = manifest.graph.reachable
    report.linkedByPass = manifest.graph.linkedByPass
  }

  /// Throws unless a finished index is what these options would make, as far as it can tell.
  private func requireSameBuild(_ manifest: Manifest) throws(RetortError) {
    let graph = manifest.graph
    guard manifest.corpus.path == options.corpus, manifest.model.fingerprint == encoder.fingerprint,
      graph.m == options.m, graph.efConstruction == options.efConstruction,
      graph.seed == options.seed
    else {
      throw RetortError(
        .usage,
        "is a finished index of another corpus, model or graph; there is nothing to resume: add "
          + "--overwrite to replace it or name another --output", path: folder.path)
    }
  }

  // MARK: - Encode

  /// The blocks an earlier run finished: block 0, 1, … as far as they are whole.
  private func finishedBlocks() throws(RetortError) -> [(passages: Int, hash: UInt128)] {
    var blocks: [(passages: Int, hash: UInt128)] = []
    while FileSystem.kind(of: StagedBlock.path(blocks.count, in: folder)) == .file {
      try Interruption.check()
      let block = try StagedBlock(path: StagedBlock.path(blocks.count, in: folder))
      blocks.append((block.passages.count, block.corpusHash))
    }
    return blocks
  }

  /// Encodes what is not encoded yet; returns the number of blocks.
  private mutating func encodeAll(_ reader: CorpusReader) throws(RetortError) -> Int {
    let started = monotonicSeconds()
    let done = try finishedBlocks()
    var passages = done.reduce(0) { $0 + $1.passages }
    if passages > 0 { progress.note("resuming after \(passages) encoded passages") }
    progress.begin("encode", unit: "passages", total: nil, done: passages)
    let corpusBytes = reader.totalBytes
    let stage = CorpusStage(
      reader: reader, encoder: encoder, batchSize: options.batchSize, done: done.map(\.hash))
    defer { stage.stop() }
    var count = done.count
    while let block = try stage.next() {
      try encode(block, first: passages)
      passages += block.passages.count
      report.encoded += block.passages.count
      count += 1
      if let corpusBytes, block.bytesRead > 0 {
        progress.update(
          passages,
          estimatedTotal: Int(Double(passages) * Double(corpusBytes) / Double(block.bytesRead)))
      } else {
        progress.update(passages)
      }
    }
    try Interruption.check()
    progress.finishPhase()
    stage.badLineReport.forEach { progress.warn("skipped " + $0) }
    // Not the last block's count: bad lines after the last full block belong to none.
    report.skippedLines = stage.badLines
    guard passages > 0 else {
      throw RetortError(
        .badData, "holds no passages; check the path and --format", path: options.corpus)
    }
    report.encodeSeconds = monotonicSeconds() - started
    return count
  }

  /// Leaves nothing behind of a build that failed before its first block: there is nothing to resume,
  /// and the corrected command should simply work.
  private func forgetBuildWithoutBlocks() {
    guard FileSystem.kind(of: StagedBlock.path(0, in: folder)) != .file else { return }
    try? FileSystem.removeTree(folder.buildingPath)
    if (try? folder.state()) == .absent { _ = rmdir(folder.path) }
  }

  /// Encodes one block and makes it durable.
  private func encode(_ block: TokenizedBlock, first: Int) throws(RetortError) {
    let vectors = try encoder.encode(block.ids, threads: options.threads)
    for (i, passage) in block.passages.enumerated() {
      let row = vectors[(i * encoder.dimension)..<((i + 1) * encoder.dimension)]
      guard row.allSatisfy(\.isFinite) else {
        throw RetortError(
          .badData,
          "the model gives a vector with NaN or infinity for passage \"\(passage.id)\"; its weights "
            + "are damaged or not an encoder's", path: modelPath)
      }
    }
    let staged = StagedBlock(
      first: first, dimension: encoder.dimension,
      vectors: vectors.littleEndianBytes,
      passages: block.passages.map { (Array($0.id.utf8), Array($0.text.utf8)) },
      truncatedTexts: block.truncatedTexts, emptyTexts: block.emptyTexts,
      corpusHash: block.corpusHash)
    try FileSystem.replace(StagedBlock.path(block.number, in: folder), with: staged.encoded())
  }

  // MARK: - Store

  private mutating func store(_ blocks: Int) throws(RetortError) {
    let started = monotonicSeconds()
    progress.begin("store", unit: "blocks", total: blocks)
    let vectors = try VectorFileWriter(
      path: folder.buildingPath + "/vectors.seg", dimension: encoder.dimension)
    let passages = try PassageFileWriter(
      path: folder.buildingPath + "/passages.seg", threads: options.threads)
    for number in 0..<blocks {
      try Interruption.check()
      let path = StagedBlock.path(number, in: folder)
      let block = try StagedBlock(path: path)
      guard block.first == report.passages, block.dimension == encoder.dimension else {
        throw RetortError(
          .badData, "a block of the unfinished build is out of place; build again with --overwrite",
          path: path)
      }
      try vectors.append(bytes: block.vectors)
      for passage in block.passages { try passages.append(id: passage.id, text: passage.text) }
      report.passages += block.passages.count
      report.truncatedTexts += block.truncatedTexts
      report.emptyTexts += block.emptyTexts
      progress.update(number + 1)
    }
    try vectors.finish()
    try passages.finish()
    progress.finishPhase()
    report.storeSeconds = monotonicSeconds() - started
  }

  // MARK: - Graph

  private var graph: HNSWBuilder.Output?

  private mutating func connect() throws(RetortError) {
    let started = monotonicSeconds()
    let vectors = try VectorFile(path: folder.buildingPath + "/vectors.seg")
    progress.begin("graph", unit: "nodes", total: report.passages)
    let built = try HNSWBuilder.build(
      vectors.vectors, parameters: options.graphParameters, threads: options.threads,
      progress: progress.update)
    try GraphFileWriter.write(
      built, to: folder.buildingPath + "/graph.seg", threads: options.threads)
    progress.finishPhase()
    report.reachable = built.reachability.reachable
    report.linkedByPass = built.reachability.linked
    report.graphSeconds = monotonicSeconds() - started
    graph = built
  }

  // MARK: - Publish

  private mutating func publish(_ plan: BuildPlan) throws(RetortError) {
    guard let graph else { return }
    let model = encoder.summary
    let report = report
    let options = options
    let dimension = encoder.dimension
    let modelPath = modelPath
    var bytes = 0
    try folder.publish(
      generation: plan.generation,
      files: ["vectors": "vectors.seg", "passages": "passages.seg", "graph": "graph.seg"]
    ) { files in
      bytes = files.values.reduce(0) { $0 + $1.bytes }
      return Manifest(
        generation: plan.generation, passages: report.passages, dimension: dimension,
        model: Manifest.Model(
          path: modelPath, fingerprint: model.fingerprint,
          architecture: model.architecture.rawValue, pooling: model.pooling.value.rawValue,
          normalized: model.normalize.value, maxLength: model.maxLength.value,
          precision: model.precision.value.rawValue),
        corpus: Manifest.Corpus(
          path: options.corpus, truncatedTexts: report.truncatedTexts,
          emptyTexts: report.emptyTexts, skippedLines: report.skippedLines),
        graph: Manifest.GraphInfo(
          m: options.m, efConstruction: options.efConstruction, seed: options.seed,
          layers: graph.layers.count, links: graph.layers.first?.targets.count ?? 0,
          reachedBefore: graph.reachability.reachedBefore, linkedByPass: graph.reachability.linked,
          reachable: graph.reachability.reachable),
        files: files)
    }
    self.report.bytes = bytes
  }
}
