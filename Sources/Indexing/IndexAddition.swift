import Formats
import Graph
import Models
import Platform
import Store

/// What to add to an index, and how.
public struct IndexAdditionOptions: Sendable {
  /// The index folder.
  public var index: String
  /// The corpus of passages to add: a file, a BEIR folder or `-` for standard input.
  public var corpus: String
  /// The corpus' format; `.auto` decides by name and content.
  public var format: TextFormat
  /// Passages that are encoded and made durable together.
  public var batchSize: Int
  /// Threads; the result does not depend on them.
  public var threads: Int
  /// Whether to go on with an addition that broke off.
  public var resume: Bool
  /// Whether to drop an addition that broke off and start again.
  public var restart: Bool
  /// Whether bad lines are skipped and counted instead of ending the addition.
  public var skipBadLines: Bool

  /// The usual values.
  public init(index: String, corpus: String) {
    let usual = IndexBuildOptions(corpus: corpus, output: index)
    self.index = index
    self.corpus = corpus
    format = usual.format
    batchSize = usual.batchSize
    threads = usual.threads
    resume = false
    restart = false
    skipBadLines = false
  }
}

/// Adds passages to an index, as a segment of their own.
public struct IndexAddition {
  private let options: IndexBuildOptions
  private let restart: Bool
  private let encoder: TextEncoder
  private let modelPath: String
  private let change: IndexChange
  private let progress: ProgressReporter

  /// Adds the passages of a corpus to an index.
  ///
  /// A passage whose id the index has takes the place of the old one, unless its text is the same;
  /// then it stays as it is. Texts the index knows, under any id, are not encoded again. Searches see
  /// all of it or nothing; an addition that is interrupted or killed goes on with `resume`.
  ///
  /// - Parameters:
  ///   - encoder: the one that the index was built with; see `Searcher.encoder(of:at:)`.
  ///   - modelPath: the encoder's folder.
  ///   - terms: the re-rankers whose term vectors the index stores.
  public static func add(
    _ options: IndexAdditionOptions, encoder: TextEncoder, modelPath: String,
    terms: [TermSource] = [], quiet: Bool = false
  ) throws(RetortError) -> IndexBuildReport {
    // The corpus is opened first: a misspelt path must not leave anything behind.
    let kept = try IndexFolder(options.index).manifest().keptFields
    let reader = try CorpusReader(
      path: options.corpus, format: options.format, skipBadLines: options.skipBadLines,
      fields: FieldSelection(kept))
    let change = try IndexChange(IndexFolder(options.index), resumes: true)
    let manifest = change.index.manifest
    guard encoder.fingerprint == manifest.model?.fingerprint else {
      change.cancelUnlessResumable()
      throw RetortError(
        .dimensionMismatch,
        "was built with another model (other weights, tokenizer or settings); name that one with "
          + "--model", path: options.index)
    }
    var build = IndexBuildOptions(corpus: options.corpus, output: options.index)
    build.format = options.format
    build.m = manifest.graph.m
    build.efConstruction = manifest.graph.efConstruction
    build.seed = manifest.graph.seed
    build.batchSize = options.batchSize
    build.threads = options.threads
    build.resume = options.resume
    build.skipBadLines = options.skipBadLines
    build.fields = kept
    build.lexical = manifest.lexical
    for stored in manifest.terms ?? [] {
      guard let source = terms.first(where: { $0.fingerprint == stored.fingerprint }) else {
        change.cancelUnlessResumable()
        throw RetortError(
          .dimensionMismatch,
          "stores term vectors of \(stored.name), which the new passages need too; say with --terms "
            + "where that model is now", path: options.index)
      }
      do throws(RetortError) {
        build.terms.append(
          TermRequest(try source.continuing(stored, of: options.index), codec: stored.codec))
      } catch {
        change.cancelUnlessResumable()
        throw error
      }
    }
    let addition = IndexAddition(
      options: build, restart: options.restart, encoder: encoder, modelPath: modelPath,
      change: change, progress: ProgressReporter(quiet: quiet))
    do throws(RetortError) {
      return try addition.run(reader)
    } catch {
      change.cancelUnlessResumable()
      throw error
    }
  }

  private func run(_ reader: CorpusReader) throws(RetortError) -> IndexBuildReport {
    try options.validate()
    try prepare()
    var segment = SegmentBuilder(
      options: options, encoder: encoder, modelPath: modelPath, folder: change.folder,
      progress: progress, known: try KnownPassages(change.index),
      books: change.index.books)
    let graph = try segment.run(reader)
    var report = segment.report
    guard let graph else {
      change.cancel()
      report.passages = change.index.manifest.passages
      report.bytes = change.index.manifest.bytes
      return report
    }
    let replaced = try replacedPassages()
    report.replaced = replaced.count
    let old = try change.segments(deleting: replaced)
    var files = try change.folder.adopt(segment.files, generation: change.generation)
    for (number, book) in change.index.books.enumerated() {
      if let book { files[Manifest.book(number)] = book }
    }
    let manifest = try change.publish(
      old + [segment.describe(graph, generation: change.generation, files: files)])
    report.passages = manifest.passages
    report.bytes = manifest.bytes
    report.peakBytes = peakResidentBytes() ?? 0
    return report
  }

  /// Finds or writes the plan.
  private func prepare() throws(RetortError) {
    let plan = BuildPlan(
      options, model: encoder.fingerprint, modelPath: modelPath,
      base: change.index.manifest.generation, generation: change.generation)
    try change.begin(plan, resume: options.resume, restart: restart)
  }

  /// The numbers of the passages whose ids the new segment takes over.
  private func replacedPassages() throws(RetortError) -> [Int] {
    let added = try PassageFile(path: change.folder.buildingPath + "/passages.seg")
    var numbers: [Int] = []
    for place in 0..<added.count {
      try Interruption.check()
      if let number = try change.index.number(of: added.id(place)) { numbers.append(number) }
    }
    try added.file.mapping.checkIntact()
    return numbers
  }
}

extension OpenedIndex {
  /// For each of the stored terms the newest file of centroids, which new segments share.
  var books: [Manifest.File?] {
    (manifest.terms ?? []).indices.map { number in
      manifest.segments.last?.files[Manifest.book(number)]
    }
  }
}

extension IndexChange {
  /// Gives the index up unchanged, but keeps blocks that a later run can go on with.
  func cancelUnlessResumable() {
    if FileSystem.kind(of: StagedBlock.path(0, in: folder)) != .file { cancel() }
  }
}
