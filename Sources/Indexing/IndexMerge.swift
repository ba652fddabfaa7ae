import Graph
import Platform
import Store
import Terms

/// What a merge did.
public struct IndexMergeReport: Sendable, Codable, Equatable {
  /// Segments before.
  public var segments = 0
  /// Deleted passages whose room was freed.
  public var removed = 0
  /// Passages in the index.
  public var passages = 0
  /// The index's generation now.
  public var generation = 0
  /// Bytes of the index before and now.
  public var bytesBefore = 0, bytes = 0
  /// Seconds it took.
  public var seconds = 0.0

  init(
    segments: Int = 0, removed: Int = 0, passages: Int = 0, generation: Int = 0,
    bytesBefore: Int = 0, bytes: Int = 0, seconds: Double = 0
  ) {
    self.segments = segments
    self.removed = removed
    self.passages = passages
    self.generation = generation
    self.bytesBefore = bytesBefore
    self.bytes = bytes
    self.seconds = seconds
  }
}

/// Makes one segment of all, without the deleted passages.
public struct IndexMerge {
  private let change: IndexChange
  private let terms: (Manifest.Terms) throws(RetortError) -> TermSource
  private let threads: Int
  private let progress: ProgressReporter

  /// Merges all segments of the index in folder `path`, rebuilding the graph over what is left; the
  /// result has the bytes of a build of the same passages in the same order.
  ///
  /// An index of one segment without deletions stays as it is. A merge that is interrupted or killed
  /// leaves the index as it was.
  /// Term vectors are copied where all segments were compressed alike. Where they were not, as in
  /// an index joined of several, they are encoded again by the models that `terms` loads.
  public static func merge(
    _ path: String, threads: Int, quiet: Bool = false,
    terms: @escaping (Manifest.Terms) throws(RetortError) -> TermSource = IndexMerge.noTerms
  ) throws(RetortError) -> IndexMergeReport {
    let merge = IndexMerge(
      change: try IndexChange(IndexFolder(path)), terms: terms, threads: threads,
      progress: ProgressReporter(quiet: quiet))
    do throws(RetortError) {
      return try merge.run()
    } catch {
      merge.change.cancel()
      throw error
    }
  }

  /// Loads nothing.
  public static func noTerms(_ terms: Manifest.Terms) throws(RetortError) -> TermSource {
    throw RetortError(
      .usage,
      "the segments' term vectors of \(terms.name) were compressed apart and would have to be encoded "
        + "again, but there is no model; give one")
  }

  private func run() throws(RetortError) -> IndexMergeReport {
    let started = monotonicSeconds()
    let before = change.index.manifest
    var report = IndexMergeReport()
    report.segments = before.segments.count
    report.removed = before.segments.reduce(0) { $0 + $1.deleted }
    report.bytesBefore = before.bytes
    var manifest = before
    if before.segments.count > 1 || report.removed > 0 {
      manifest = try change.publish(before.passages > 0 ? [try mergedSegment()] : [])
    } else {
      change.cancel()
    }
    report.passages = manifest.passages
    report.generation = manifest.generation
    report.bytes = manifest.bytes
    report.seconds = monotonicSeconds() - started
    return report
  }

  private func mergedSegment() throws(RetortError) -> Manifest.Segment {
    let index = change.index
    let building = change.folder.buildingPath
    let fields = try copyLive()
    try change.folder.writeLexical(index.manifest.lexical, threads: threads, progress)
    let terms = try mergedTerms()
    let vectors = try VectorFile(path: building + "/vectors.seg")
    progress.begin("graph", unit: "nodes", total: vectors.vectors.count)
    let settings = index.manifest.graph
    let graph = try HNSWBuilder.build(
      vectors.vectors,
      parameters: HNSWParameters(
        m: settings.m, efConstruction: settings.efConstruction, seed: settings.seed,
        metric: index.manifest.metric.graphMetric),
      threads: threads, progress: { progress.update($0) })
    try vectors.file.mapping.checkIntact()
    try GraphFileWriter.write(graph, to: building + "/graph.seg", threads: threads)
    progress.finishPhase()
    var files = SegmentBuilder.files(fields: fields, lexical: index.manifest.lexical)
    files.merge(terms.made) { $1 }
    let adopted = try change.folder.adopt(files, generation: change.generation)
    return Manifest.Segment(
      name: IndexFolder.name(ofGeneration: change.generation), passages: vectors.vectors.count,
      sources: index.manifest.segments.flatMap(\.sources), graph: Manifest.GraphInfo(graph),
      fields: fields, files: adopted.merging(terms.kept) { $1 })
  }

  /// The terms of all passages that are not deleted: new files in building/, and old files of
  /// centroids that go on being used.
  private func mergedTerms() throws(RetortError) -> (
    made: [String: String], kept: [String: Manifest.File]
  ) {
    var made: [String: String] = [:]
    var kept: [String: Manifest.File] = [:]
    let building = change.folder.buildingPath
    for (number, stored) in (change.index.manifest.terms ?? []).enumerated() {
      let role = Manifest.book(number)
      let books = change.index.segments.map { $0.info.files[role] }
      guard Set(books.map { $0?.headerChecksum }).count == 1 else {
        let builder = TermBuilder(
          folder: change.folder,
          request: TermRequest(
            try terms(stored).continuing(stored, of: change.folder.path), codec: stored.codec),
          number: number, suffix: "", batchSize: 512, threads: threads, progress: progress)
        let passages = try PassageFile(path: building + "/passages.seg")
        made.merge(try builder.write(passages, book: nil).files) { $1 }
        continue
      }
      let book = books.first ?? nil
      let file = Manifest.terms(number) + ".seg"
      try copyTerms(
        number, stored, to: building + "/" + file,
        book: book.map { change.folder.path + "/" + $0.name })
      made[Manifest.terms(number)] = file
      if let book {
        // It outlives the segments it came with: damage must not go on unseen.
        try SegmentFile(path: change.folder.path + "/" + book.name, kind: .book).verifyAll()
        kept[role] = book
      }
    }
    return (made, kept)
  }

  private func copyTerms(
    _ number: Int, _ stored: Manifest.Terms, to path: String, book: String?
  ) throws(RetortError) {
    progress.begin("terms", unit: "passages", total: change.index.manifest.passages)
    let writer = try TermFileWriter(
      path: path, codec: stored.codec, dimension: stored.dimension, book: book)
    var done = 0
    for segment in change.index.segments {
      let terms = segment.terms[number].terms
      for place in 0..<segment.count where !segment.isDeleted(place) {
        let range = try terms.range(place)
        try writer.append(counts: [range.count], [try terms.coded(range)])
        done += 1
        if done % 1024 == 0 {
          try Interruption.check()
          progress.update(done)
        }
      }
    }
    try writer.finish()
    progress.update(done)
    progress.finishPhase()
  }

  /// Copies vectors, ids, texts and fields of all passages that are not deleted; the fields' names.
  private func copyLive() throws(RetortError) -> [String] {
    let index = change.index
    let building = change.folder.buildingPath
    progress.begin("copy", unit: "passages", total: index.manifest.passages)
    let vectors = try VectorFileWriter(
      path: building + "/vectors.seg", dimension: index.manifest.dimension)
    let passages = try PassageFileWriter(path: building + "/passages.seg", threads: threads)
    let metadata = MetadataFileWriter()
    var copied = 0
    for segment in index.segments {
      let fields = try segment.metadata.map(MetadataReader.init)
      try segment.passages.forEachText { place, text throws(RetortError) in
        guard !segment.isDeleted(place) else { return }
        try vectors.append(bytes: segment.vectors.vectors.vector(place).littleEndianBytes)
        try passages.append(id: Array(segment.passages.id(place).utf8), text: Array(text))
        try metadata.append(fields?.fields(of: place) ?? [:])
        copied += 1
        if copied % 1024 == 0 { progress.update(copied) }
      }
    }
    try vectors.finish()
    try passages.finish()
    let names = metadata.isEmpty ? [] : try metadata.finish(path: building + "/metadata.seg")
    progress.update(copied)
    progress.finishPhase()
    return names
  }
}
