import Formats
import Graph
import Lexical
import Platform
import Store

/// What to build an index of vectors from that were made elsewhere, and how.
public struct VectorImportOptions: Sendable {
  /// The vectors: .npy, .fvecs or .fbin, as the name says.
  public var vectors: String
  /// A file of ids, one a line, in the order of the vectors; nil: their numbers from 0.
  public var ids: String?
  /// A corpus whose passages the vectors stand for, in the same order; nil: there are no texts.
  public var corpus: String?
  /// The corpus' format.
  public var format: TextFormat
  /// The metadata fields of JSON lines to keep for filters; nil: all.
  public var fields: [String]?
  /// How texts become terms, for searches by words; nil: there will be none.
  public var lexical: LexicalSettings?
  /// The index folder to make.
  public var output: String
  /// How scores are computed.
  public var metric: Metric
  /// How the graph is built.
  public var graph: Manifest.GraphSettings
  /// Threads; the result does not depend on them.
  public var threads: Int
  /// Whether to replace a finished index.
  public var overwrite: Bool

  /// The usual values.
  public init(vectors: String, output: String) {
    let usual = IndexBuildOptions(corpus: "", output: output)
    self.vectors = vectors
    self.output = output
    format = .auto
    metric = .innerProduct
    graph = Manifest.GraphSettings(
      m: usual.m, efConstruction: usual.efConstruction, seed: usual.seed)
    threads = usual.threads
    overwrite = false
  }
}

/// Builds an index of vectors that were made elsewhere. It is searched with vectors, too.
public struct VectorImport {
  private let options: VectorImportOptions
  private let folder: IndexFolder
  private let progress: ProgressReporter
  private let table: VectorTable

  /// Builds the index that `options` describe. One that is interrupted or killed is started again.
  public static func build(
    _ options: VectorImportOptions, quiet: Bool = false
  ) throws(RetortError) -> IndexBuildReport {
    let table = try VectorTable(path: options.vectors)
    guard table.count > 0 else {
      throw RetortError(.badData, "holds no vectors; check the path", path: options.vectors)
    }
    return try VectorImport(
      options: options, folder: IndexFolder(options.output),
      progress: ProgressReporter(quiet: quiet),
      table: table
    ).run()
  }

  private func run() throws(RetortError) -> IndexBuildReport {
    var check = IndexBuildOptions(corpus: options.vectors, output: options.output)
    check.m = options.graph.m
    check.efConstruction = options.graph.efConstruction
    check.threads = options.threads
    try check.validate()
    let passages = try PassageSource(options, count: table.count)
    let state = try folder.state()
    guard state != .foreign else {
      throw RetortError(
        .usage, "exists and is not an index; name a new folder for --output", path: folder.path)
    }
    guard state == .absent || options.overwrite else {
      throw RetortError(
        .usage,
        "is \(state == .index ? "a finished index" : "an unfinished build"); add --overwrite to "
          + "replace it or name another --output", path: folder.path)
    }
    try FileSystem.makeFolder(folder.buildingPath)
    let lock = try FileLock(path: folder.buildingPath + "/lock")
    defer { lock.release() }
    do throws(RetortError) {
      return try build(passages, replaces: state == .index)
    } catch {
      try? FileSystem.removeTree(folder.buildingPath)
      if (try? folder.state()) == .absent { _ = rmdir(folder.path) }
      throw error
    }
  }

  private func build(
    _ passages: PassageSource, replaces: Bool
  ) throws(RetortError) -> IndexBuildReport {
    let started = monotonicSeconds()
    for name in try FileSystem.names(in: folder.buildingPath) where name != "lock" {
      try FileSystem.removeTree(folder.buildingPath + "/" + name)
    }
    let finished = replaces ? try? folder.manifest() : nil
    let generation = max(finished?.generation ?? 0, try folder.highestGeneration()) + 1
    var report = IndexBuildReport()
    let fields = try copy(passages, &report)
    try folder.writeLexical(options.lexical, threads: options.threads, progress)
    let file = try VectorFile(path: folder.buildingPath + "/vectors.seg")
    progress.begin("graph", unit: "nodes", total: file.vectors.count)
    let progress = progress
    let graph = try HNSWBuilder.build(
      file.vectors,
      parameters: HNSWParameters(
        m: options.graph.m, efConstruction: options.graph.efConstruction, seed: options.graph.seed,
        metric: options.metric.graphMetric),
      threads: options.threads, progress: { progress.update($0) })
    try file.file.mapping.checkIntact()
    try GraphFileWriter.write(
      graph, to: folder.buildingPath + "/graph.seg", threads: options.threads)
    progress.finishPhase()
    let files = try folder.adopt(
      SegmentBuilder.files(fields: fields, lexical: options.lexical), generation: generation)
    let manifest = Manifest(
      generation: generation, dimension: table.dimension, metric: options.metric, model: nil,
      graph: options.graph, keptFields: options.fields?.ordered(), lexical: options.lexical,
      segments: [
        Manifest.Segment(
          name: IndexFolder.name(ofGeneration: generation), passages: table.count,
          sources: [
            Manifest.Corpus(
              path: options.vectors, truncatedTexts: 0, emptyTexts: report.emptyTexts,
              skippedLines: 0)
          ], graph: Manifest.GraphInfo(graph), fields: fields, files: files)
      ])
    try folder.publish(manifest)
    report.passages = manifest.passages
    report.added = manifest.passages
    report.bytes = manifest.bytes
    report.threads = options.threads
    report.reachable = graph.reachability.reachable
    report.linkedByPass = graph.reachability.linked
    report.seconds = monotonicSeconds() - started
    report.peakBytes = peakResidentBytes() ?? 0
    return report
  }

  /// Writes vectors, ids, texts and fields; the fields' names.
  private func copy(
    _ source: PassageSource, _ report: inout IndexBuildReport
  ) throws(RetortError) -> [String] {
    let building = folder.buildingPath
    let vectors = try VectorFileWriter(
      path: building + "/vectors.seg", dimension: table.dimension)
    let passages = try PassageFileWriter(
      path: building + "/passages.seg", threads: options.threads)
    let metadata = MetadataFileWriter()
    progress.begin("copy", unit: "vectors", total: table.count)
    for start in stride(from: 0, to: table.count, by: 4096) {
      try Interruption.check()
      let end = min(table.count, start + 4096)
      var rows = try table.rows(start..<end)
      if options.metric == .cosine { rows.normalizeRows(of: table.dimension) }
      try vectors.append(bytes: rows.littleEndianBytes)
      for number in start..<end {
        let passage = try source.next(number)
        try passages.append(id: Array(passage.id.utf8), text: Array(passage.text.utf8))
        try metadata.append(passage.fields)
      }
      progress.update(end)
    }
    try source.requireEnd()
    report.emptyTexts = source.emptyTexts
    try vectors.finish()
    try passages.finish()
    progress.finishPhase()
    return metadata.isEmpty ? [] : try metadata.finish(path: building + "/metadata.seg")
  }
}

/// The passages that vectors stand for: those of a corpus, or ids without text, or numbers.
private final class PassageSource {
  private let reader: CorpusReader?
  private let ids: [String]?
  private let count: Int
  private let path: String
  private var seen = Set<UInt128>()

  /// Passages of the corpus without text.
  var emptyTexts: Int { reader?.emptyTexts ?? 0 }

  init(_ options: VectorImportOptions, count: Int) throws(RetortError) {
    self.count = count
    path = options.corpus ?? options.ids ?? options.vectors
    reader = try options.corpus.map { corpus throws(RetortError) in
      try CorpusReader(
        path: corpus, format: options.format, fields: FieldSelection(options.fields))
    }
    ids = try options.ids.map(readIDs)
    if let ids, ids.count != count {
      throw RetortError(
        .badData, "has \(ids.count) ids for \(count) vectors; there must be one for each",
        path: path)
    }
  }

  func next(_ number: Int) throws(RetortError) -> Passage {
    var passage = Passage(id: "\(number)", text: "")
    if let reader {
      guard let next = try reader.next() else {
        throw RetortError(
          .badData, "has \(number) passages for \(count) vectors; there must be one for each",
          path: path)
      }
      passage = next
    }
    if let ids { passage.id = ids[number] }
    guard seen.insert(Hashing.hash128(passage.id.utf8, seed: 1)).inserted else {
      throw RetortError(
        .badData, "the id \"\(passage.id)\" occurs twice; ids must be unique in an index",
        path: path)
    }
    return passage
  }

  func requireEnd() throws(RetortError) {
    if let reader, try reader.next() != nil {
      throw RetortError(
        .badData, "has more passages than the \(count) vectors; there must be one for each",
        path: path)
    }
  }
}
