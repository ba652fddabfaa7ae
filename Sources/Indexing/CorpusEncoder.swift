import Formats
import Models
import Platform
import Store

// Encoding makes blocks, as a build does, and survives being killed as a build does: every block is
// a durable file below OUTPUT.part before the next is waited for. When all are there they are
// strung together into the files that were asked for, under temporary names until they are whole.
// Nothing depends on the thread count or on where a run was interrupted.

/// Encodes the texts of a corpus, or queries, into a file of vectors and one of ids.
package struct CorpusEncoder {
  private let options: CorpusEncodingOptions
  private let encoder: TextEncoder
  private let modelPath: String
  private let files: EncodedFiles
  private let progress: ProgressReporter
  private let clock = StageClock()
  private var report = CorpusEncodingReport()

  /// Encodes what `options` describe with `encoder`, whose folder is `modelPath`.
  ///
  /// Progress goes to standard error unless `quiet`. Work that is interrupted (Ctrl-C) throws
  /// `.cancelled`; it and a killed run go on when called again with `resume`.
  package static func encode(
    _ options: CorpusEncodingOptions, encoder: TextEncoder, modelPath: String, quiet: Bool = false
  ) throws(RetortError) -> CorpusEncodingReport {
    try options.validate()
    var work = CorpusEncoder(
      options: options, encoder: encoder, modelPath: modelPath,
      files: try EncodedFiles(options.output, shard: options.shard),
      progress: ProgressReporter(quiet: quiet))
    return try work.run()
  }

  private init(
    options: CorpusEncodingOptions, encoder: TextEncoder, modelPath: String, files: EncodedFiles,
    progress: ProgressReporter
  ) {
    self.options = options
    self.encoder = encoder
    self.modelPath = modelPath
    self.files = files
    self.progress = progress
  }

  private mutating func run() throws(RetortError) -> CorpusEncodingReport {
    let started = monotonicSeconds()
    // The texts are opened first: a misspelt path must not leave a folder behind.
    let reader = try CorpusReader(
      path: options.input, format: options.format, skipBadLines: options.skipBadLines,
      kind: options.kind, shard: options.shard)
    report.vectors = files.vectors
    report.ids = files.ids
    report.dimension = encoder.dimension
    report.threads = options.threads
    guard let lock = try prepare() else { return report }
    defer { lock.release() }
    do throws(RetortError) {
      try encodeBlocks(reader)
      try assemble()
    } catch {
      forgetWorkWithoutBlocks()
      throw error
    }
    try FileSystem.removeTree(files.staging.path)
    report.stages = clock.seconds
    report.seconds = monotonicSeconds() - started
    report.peakBytes = peakResidentBytes() ?? 0
    return report
  }

  // MARK: - Before

  /// Makes or finds the folder of unfinished work; nil when the files turn out to be finished.
  private mutating func prepare() throws(RetortError) -> FileLock? {
    guard try files.staging.state() != .foreign else {
      throw RetortError(
        .usage, "is in the way and not ours; move it or name another --output",
        path: files.staging.path)
    }
    let plan = EncodingPlan(options, model: encoder.fingerprint)
    var unfinished = FileSystem.kind(of: files.staging.planPath) == .file
    if files.exist, !unfinished, !options.overwrite {
      guard options.resume, let made = try files.read(), isSameWork(made) else {
        throw RetortError(
          .usage,
          "is there already\(options.resume ? ", of other texts or another model" : ""); add "
            + "--overwrite to replace it or name another --output", path: files.vectors)
      }
      finish(made)
      return nil
    }
    try FileSystem.makeFolder(files.staging.buildingPath)
    // Before giving advice about unfinished work: it may be running still.
    let lock = try FileLock(path: files.staging.buildingPath + "/lock")
    unfinished = FileSystem.kind(of: files.staging.planPath) == .file
    if unfinished, options.resume {
      if let difference = plan.difference(from: try .read(files.staging.planPath)) {
        throw RetortError(
          .usage,
          "cannot resume with other settings (\(difference)); repeat the first command's, or start "
            + "again with --overwrite", path: files.staging.path)
      }
      return lock
    }
    if unfinished, !options.overwrite {
      throw RetortError(
        .usage,
        "holds unfinished work; add --resume to go on with it or --overwrite to start again",
        path: files.staging.path)
    }
    for name in try FileSystem.names(in: files.staging.buildingPath) where name != "lock" {
      try FileSystem.removeTree(files.staging.buildingPath + "/" + name)
    }
    try plan.write(to: files.staging.planPath)
    return lock
  }

  /// Whether finished files are what these options would make, as far as can be told without
  /// reading the texts again.
  private func isSameWork(_ made: EncodedDescription) -> Bool {
    made.source.path == options.input && made.model.fingerprint == encoder.fingerprint
      && made.shardID == options.shard.id && made.shards == options.shard.count
      && FileSystem.kind(of: files.vectors) == .file && FileSystem.kind(of: files.ids) == .file
  }

  /// Reports files that were there already.
  private mutating func finish(_ made: EncodedDescription) {
    progress.note(
      "the work had finished; nothing to resume (the texts were not read again: --overwrite does)")
    report.count = made.count
    report.truncatedTexts = made.source.truncatedTexts
    report.emptyTexts = made.source.emptyTexts
    report.skippedLines = made.source.skippedLines
    report.bytes = (try? FileSystem.size(of: files.vectors)) ?? 0
  }

  /// Leaves nothing behind of work that failed before its first block: there is nothing to resume,
  /// and the corrected command should simply work.
  private func forgetWorkWithoutBlocks() {
    guard FileSystem.kind(of: StagedBlock.path(0, in: files.staging)) != .file else { return }
    try? FileSystem.removeTree(files.staging.path)
  }

  // MARK: - Encode

  private mutating func encodeBlocks(_ reader: CorpusReader) throws(RetortError) {
    let done = try finishedBlocks()
    if report.count > 0 { progress.note("resuming after \(counted(report.count, "encoded text"))") }
    if options.shard.count > 1 {
      progress.note("shard \(options.shard.id) of \(options.shard.count)")
    }
    progress.begin("encode", unit: "texts", total: nil, done: report.count)
    let size = reader.totalBytes
    let budget = ThreadBudget(threads: options.threads)
    let pipeline = EncodingPipeline(
      reader: reader, encoder: encoder, modelPath: modelPath, batchSize: options.batchSize,
      known: nil, done: done, threads: options.threads, budget: budget, clock: clock)
    defer { pipeline.stop() }
    while let block = try pipeline.next() {
      try save(block, budget)
      if let size, block.bytesRead > 0 {
        progress.update(
          report.count,
          estimatedTotal: Int(Double(report.count) * Double(size) / Double(block.bytesRead)))
      } else {
        progress.update(report.count)
      }
    }
    try Interruption.check()
    progress.finishPhase()
    pipeline.badLineReport.forEach { progress.warn("skipped " + $0) }
    report.skippedLines = pipeline.badLines
    guard reader.passagesRead > 0 else {
      throw RetortError(
        .badData, "holds no texts; check the path and --format", path: options.input)
    }
  }

  /// The hashes of the texts up to the end of each block an earlier run finished, 0, 1, … as far as
  /// they are there; counts what they hold.
  private mutating func finishedBlocks() throws(RetortError) -> [UInt128] {
    var hashes: [UInt128] = []
    while FileSystem.kind(of: StagedBlock.path(hashes.count, in: files.staging)) == .file {
      try Interruption.check()
      let path = StagedBlock.path(hashes.count, in: files.staging)
      let block = try StagedBlock(path: path)
      guard block.first == report.count, block.dimension == encoder.dimension else {
        throw RetortError(
          .badData, "a block of the unfinished work is out of place; start again with --overwrite",
          path: path)
      }
      count(block)
      hashes.append(block.corpusHash)
    }
    return hashes
  }

  private mutating func count(_ block: StagedBlock) {
    report.count += block.passages.count
    report.truncatedTexts += block.truncatedTexts
    report.emptyTexts += block.emptyTexts
  }

  /// Waits for a block and makes it durable. Its texts are not needed again.
  private mutating func save(
    _ block: EncodingBlock, _ budget: ThreadBudget
  ) throws(RetortError) {
    let encoded = try block.encoded()
    let staged = StagedBlock(
      first: report.count, dimension: encoder.dimension,
      vectors: encoded.vectors.littleEndianBytes,
      passages: block.passages.map { (Array($0.id.utf8), [], []) },
      truncatedTexts: encoded.truncatedTexts, emptyTexts: block.emptyTexts,
      corpusHash: block.corpusHash)
    let bytes = budget.compute { clock.measure(\.write) { staged.encoded() } }
    // Waiting for the disk takes no permit: others compute meanwhile.
    try FileSystem.replace(StagedBlock.path(block.number, in: files.staging), with: bytes)
    report.encoded += block.passages.count
    count(staged)
  }

  // MARK: - Assemble

  /// Strings the blocks together. The description goes first and comes last: while it is not there,
  /// vectors and ids may be of two runs.
  private mutating func assemble() throws(RetortError) {
    let started = monotonicSeconds()
    let vectors = try VectorTableWriter(
      path: files.vectors, format: files.format, dimension: encoder.dimension)
    let ids = try IDFileWriter(path: files.ids)
    var number = 0
    while vectors.count < report.count {
      try Interruption.check()
      let block = try StagedBlock(path: StagedBlock.path(number, in: files.staging))
      try vectors.append(bytes: block.vectors)
      for passage in block.passages { try ids.append(passage.id) }
      number += 1
    }
    try FileSystem.remove(files.description)
    try ids.finish()
    try vectors.finish()
    try files.write(
      EncodedDescription(
        count: report.count, dimension: encoder.dimension,
        model: Manifest.Model(encoder.summary, path: modelPath),
        source: Manifest.Corpus(
          path: options.input, truncatedTexts: report.truncatedTexts,
          emptyTexts: report.emptyTexts, skippedLines: report.skippedLines),
        shardID: options.shard.id, shards: options.shard.count,
        vectorsChecksum: try EncodedFiles.checksum(files.vectors),
        idsChecksum: try EncodedFiles.checksum(files.ids)))
    report.bytes = try FileSystem.size(of: files.vectors)
    clock.add(\.write, monotonicSeconds() - started)
  }
}
