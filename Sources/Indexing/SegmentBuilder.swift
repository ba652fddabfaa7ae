import Formats
import Graph
import Lexical
import Models
import Platform
import Store

// A segment is built by a pipeline; its stages overlap, with bounded queues between them:
//
//   read      corpus line → passage, in blocks (a thread of its own, which mostly waits)
//   encode    passage → token ids → vector, in units that `--threads` threads take in turn
//   write     block after block, in order → building/block-N.part (durable), vectors.seg, passages.seg
//
// and the graph is built when all vectors are there (why, says HNSWBuilder), on all threads. No more threads compute at a time than `--threads`
// (`ThreadBudget`). Only encoding is expensive enough to be checkpointed: a build that was killed
// reads its blocks again and repeats the rest. Nothing depends on the thread count, on timing or on
// where a build was interrupted: blocks start at fixed passages, a block is encoded alike whoever
// does it, and the graph's batches depend on counts alone.

/// Encodes a corpus into the files of one segment, in building/.
struct SegmentBuilder {
  let options: IndexBuildOptions
  let encoder: TextEncoder
  let modelPath: String
  let folder: IndexFolder
  let progress: ProgressReporter
  /// What the index holds already, when passages are added to one.
  let known: KnownPassages?
  /// Files of centroids that exist, one for each of the options' terms.
  let books: [Manifest.File?]
  /// What was done; complete after `run`.
  private(set) var report = IndexBuildReport()
  /// The fields that some passages have; complete after `run`.
  private(set) var fields: [String] = []

  init(
    options: IndexBuildOptions, encoder: TextEncoder, modelPath: String, folder: IndexFolder,
    progress: ProgressReporter, known: KnownPassages? = nil, books: [Manifest.File?] = []
  ) {
    self.options = options
    self.encoder = encoder
    self.modelPath = modelPath
    self.folder = folder
    self.progress = progress
    self.known = known
    self.books = books
  }

  /// The files of a segment with these fields, by role.
  static func files(fields: [String], lexical: LexicalSettings?) -> [String: String] {
    var files = ["vectors": "vectors.seg", "passages": "passages.seg", "graph": "graph.seg"]
    if !fields.isEmpty { files["metadata"] = "metadata.seg" }
    if lexical != nil { files["lexical"] = "lexical.seg" }
    return files
  }

  /// The files that `run` made, by role.
  var files: [String: String] {
    Self.files(fields: fields, lexical: options.lexical).merging(termFiles) { $1 }
  }

  /// The files of terms that `run` made, by role.
  private var termFiles: [String: String] = [:]

  /// Runs all stages; nil where the corpus holds nothing that the index does not.
  mutating func run(_ reader: CorpusReader) throws(RetortError) -> HNSWBuilder.Output? {
    let started = monotonicSeconds()
    let clock = StageClock()
    let budget = ThreadBudget(threads: options.threads)
    let output = try SegmentOutput(folder: folder, dimension: encoder.dimension)
    let progress = progress

    let done = try clock.measure(\.write) { () throws(RetortError) in
      try appendFinishedBlocks(to: output)
    }
    if output.count > 0 {
      progress.note("resuming after \(counted(output.count, "encoded passage"))")
    }
    progress.begin("encode", unit: "passages", total: nil, done: output.count)
    let corpusBytes = reader.totalBytes
    let pipeline = EncodingPipeline(
      reader: reader, encoder: encoder, modelPath: modelPath, batchSize: options.batchSize,
      known: known, done: done, threads: options.threads, budget: budget, clock: clock)
    defer { pipeline.stop() }
    while let block = try pipeline.next() {
      let encoded = try block.encoded()
      try write(block, encoded, to: output, budget, clock)
      if let corpusBytes, block.bytesRead > 0 {
        progress.update(
          output.count,
          estimatedTotal: Int(
            Double(output.count) * Double(corpusBytes) / Double(block.bytesRead)))
      } else {
        progress.update(output.count)
      }
    }
    try Interruption.check()
    progress.finishPhase()
    pipeline.badLineReport.forEach { progress.warn("skipped " + $0) }
    pipeline.leftOutFields.forEach { progress.warn($0) }
    // Not the last block's count: bad lines after the last full block belong to none.
    report.skippedLines = pipeline.badLines
    report.unchanged = pipeline.unchanged
    report.reused = pipeline.reused
    report.added = output.count
    report.threads = options.threads
    guard output.count > 0 else {
      guard report.unchanged > 0 else {
        throw RetortError(
          .badData, "holds no passages; check the path and --format", path: options.corpus)
      }
      report.stages = clock.seconds
      report.seconds = monotonicSeconds() - started
      return nil
    }
    fields = try clock.measure(\.write) { () throws(RetortError) in try output.finish() }
    try clock.measure(\.write, threads: options.threads) { () throws(RetortError) in
      try folder.writeLexical(options.lexical, threads: options.threads, progress)
    }
    if !options.terms.isEmpty { try writeTerms() }
    progress.begin("graph", unit: "nodes", total: output.count)
    let built = try clock.measure(\.graph, threads: options.threads) { () throws(RetortError) in
      try buildGraph()
    }
    progress.finishPhase()
    report.reachable = built.reachability.reachable
    report.linkedByPass = built.reachability.linked
    report.stages = clock.seconds
    report.seconds = monotonicSeconds() - started
    return built
  }

  /// Encodes the texts in building/passages.seg with the re-rankers, and writes their terms.
  private mutating func writeTerms() throws(RetortError) {
    let passages = try PassageFile(path: folder.buildingPath + "/passages.seg")
    for (number, request) in options.terms.enumerated() {
      let builder = TermBuilder(
        folder: folder, request: request, number: number, suffix: "",
        batchSize: options.batchSize, threads: options.threads, progress: progress)
      let book = number < books.count ? books[number] : nil
      let made = try builder.write(passages, book: book.map { folder.path + "/" + $0.name })
      termFiles.merge(made.files) { $1 }
      if made.truncated > 0 {
        progress.warn(
          counted(
            made.truncated,
            "text was longer than \(request.source.kind) takes; its terms know only the start",
            "texts were longer than \(request.source.kind) takes; their terms know only the start"))
      }
    }
  }

  /// Links the vectors in building/vectors.seg and writes the graph beside them.
  private func buildGraph() throws(RetortError) -> HNSWBuilder.Output {
    let progress = progress
    let file = try VectorFile(path: folder.buildingPath + "/vectors.seg")
    let built = try HNSWBuilder.build(
      file.vectors, parameters: options.graphParameters, threads: options.threads,
      progress: { progress.update($0) })
    try file.file.mapping.checkIntact()
    try GraphFileWriter.write(
      built, to: folder.buildingPath + "/graph.seg", threads: options.threads)
    return built
  }

  /// Copies the blocks that an earlier run finished: block 0, 1, … as far as they are there.
  ///
  /// - Returns: the hash of the corpus at the end of each.
  private mutating func appendFinishedBlocks(
    to output: SegmentOutput
  ) throws(RetortError) -> [UInt128] {
    var hashes: [UInt128] = []
    while FileSystem.kind(of: StagedBlock.path(hashes.count, in: folder)) == .file {
      try Interruption.check()
      let path = StagedBlock.path(hashes.count, in: folder)
      let block = try StagedBlock(path: path)
      guard block.first == output.count, block.dimension == encoder.dimension else {
        throw RetortError(
          .badData, "a block of the unfinished build is out of place; build again with --overwrite",
          path: path)
      }
      try append(block, to: output)
      hashes.append(block.corpusHash)
    }
    return hashes
  }

  /// Makes an encoded block durable and appends it to the files.
  private mutating func write(
    _ block: EncodingBlock, _ encoded: (vectors: [Float], truncatedTexts: Int),
    to output: SegmentOutput, _ budget: ThreadBudget, _ clock: StageClock
  ) throws(RetortError) {
    let staged = StagedBlock(
      first: output.count, dimension: encoder.dimension,
      vectors: encoded.vectors.littleEndianBytes,
      passages: block.passages.map {
        (Array($0.id.utf8), Array($0.text.utf8), encodedFields($0.fields))
      },
      truncatedTexts: encoded.truncatedTexts, emptyTexts: block.emptyTexts,
      corpusHash: block.corpusHash)
    let bytes = budget.compute { clock.measure(\.write) { staged.encoded() } }
    // Waiting for the disk takes no permit: others compute meanwhile.
    try FileSystem.replace(StagedBlock.path(block.number, in: folder), with: bytes)
    try budget.compute { () throws(RetortError) in
      try clock.measure(\.write) { () throws(RetortError) in try append(staged, to: output) }
    }
    report.encoded += block.units.reduce(0) { $0 + $1.count }
  }

  private mutating func append(
    _ block: StagedBlock, to output: SegmentOutput
  ) throws(RetortError) {
    try output.append(block)
    report.truncatedTexts += block.truncatedTexts
    report.emptyTexts += block.emptyTexts
  }

  /// What the manifest says about the segment, once its files are in place.
  func describe(
    _ graph: HNSWBuilder.Output, generation: Int, files: [String: Manifest.File]
  ) -> Manifest.Segment {
    Manifest.Segment(
      name: IndexFolder.name(ofGeneration: generation), passages: report.added,
      sources: [
        Manifest.Corpus(
          path: options.corpus, shard: options.shard.name, truncatedTexts: report.truncatedTexts,
          emptyTexts: report.emptyTexts, skippedLines: report.skippedLines)
      ], graph: Manifest.GraphInfo(graph), fields: fields, files: files)
  }
}

extension IndexFolder {
  /// Inverts the texts of building/passages.seg, if the index is to be searched by words.
  func writeLexical(
    _ settings: LexicalSettings?, threads: Int, _ progress: ProgressReporter
  ) throws(RetortError) {
    guard let settings else { return }
    try LexicalFile.write(
      try PassageFile(path: buildingPath + "/passages.seg"), settings,
      to: buildingPath + "/lexical.seg", threads: threads, progress: progress)
  }
}

extension Manifest.GraphInfo {
  /// Describes a graph that was just built.
  init(_ graph: HNSWBuilder.Output) {
    self.init(
      layers: graph.layers.count, links: graph.layers.first?.targets.count ?? 0,
      reachedBefore: graph.reachability.reachedBefore, linkedByPass: graph.reachability.linked,
      reachable: graph.reachability.reachable)
  }
}

/// The files of vectors, passages and metadata while they grow.
private final class SegmentOutput {
  /// Passages appended.
  private(set) var count = 0
  private let vectors: VectorFileWriter
  private let passages: PassageFileWriter
  private let metadata = MetadataFileWriter()
  private let vectorPath: String
  private let metadataPath: String

  init(folder: IndexFolder, dimension: Int) throws(RetortError) {
    vectorPath = folder.buildingPath + "/vectors.seg"
    metadataPath = folder.buildingPath + "/metadata.seg"
    vectors = try VectorFileWriter(path: vectorPath, dimension: dimension)
    passages = try PassageFileWriter(path: folder.buildingPath + "/passages.seg", threads: 1)
  }

  func append(_ block: StagedBlock) throws(RetortError) {
    try vectors.append(bytes: block.vectors)
    for passage in block.passages {
      try passages.append(id: passage.id, text: passage.text)
      guard let fields = decodedFields(passage.fields) else {
        throw RetortError(
          .badData, "a block of the unfinished build has damaged metadata; start again",
          path: FileSystem.parent(of: vectorPath))
      }
      try metadata.append(fields)
    }
    count += block.passages.count
  }

  /// Ends the files; the names of the fields.
  func finish() throws(RetortError) -> [String] {
    try vectors.finish()
    try passages.finish()
    return metadata.isEmpty ? [] : try metadata.finish(path: metadataPath)
  }
}
