import Graph
import Lexical
import Platform

/// One segment of a finished index, mapped.
package struct OpenedSegment: Sendable {
  /// What the segment is.
  package let info: Manifest.Segment
  /// The number of the segment's first passage in the whole index.
  package let base: Int
  /// The vectors.
  package let vectors: VectorFile
  /// Ids and texts.
  package let passages: PassageFile
  /// The graph.
  package let graph: GraphFile
  /// The metadata; nil where no passage has any.
  package let metadata: MetadataFile?
  /// The inverted file; nil where the index has none.
  package let lexical: LexicalFile?
  /// The term vectors, in the order of the manifest.
  package let terms: [TermFile]
  /// The deleted passages; nil where there are none.
  package let deleted: NodeSet?
  /// The passages that are not deleted; nil where that is all of them.
  package let live: NodeSet?

  private let mappings: [MappedFile]

  /// Passages stored, deleted ones included.
  package var count: Int { info.passages }

  /// Throws where another program cut one of the files: nothing read so far can be relied on then.
  package func checkIntact() throws(RetortError) {
    for mapping in mappings { try mapping.checkIntact() }
  }

  /// Whether the passage with this place in the segment is deleted.
  package func isDeleted(_ place: Int) -> Bool { deleted?.contains(place) ?? false }

  fileprivate init(
    _ info: Manifest.Segment, base: Int, dimension: Int, metric: Metric,
    lexical settings: LexicalSettings?, terms stored: [Manifest.Terms], in folder: IndexFolder,
    _ budget: MemoryBudget?
  ) throws(RetortError) {
    self.info = info
    self.base = base
    vectors = try VectorFile(path: folder.check("vectors", of: info), budget: budget)
    passages = try PassageFile(path: folder.check("passages", of: info), budget: budget)
    graph = try GraphFile(path: folder.check("graph", of: info), budget: budget)
    metadata =
      info.fields.isEmpty
      ? nil : try MetadataFile(path: folder.check("metadata", of: info), count: info.passages)
    lexical = try settings.map { settings throws(RetortError) in
      try LexicalFile(
        path: folder.check("lexical", of: info), count: info.passages, settings: settings,
        budget: budget)
    }
    var terms: [TermFile] = []
    for (number, described) in stored.enumerated() {
      let book =
        described.codec.bits == nil ? nil : try folder.check(Manifest.book(number), of: info)
      terms.append(
        try TermFile(
          path: folder.check(Manifest.terms(number), of: info), book: book, count: info.passages,
          info: described, budget: budget))
    }
    self.terms = terms
    let others = [metadata?.file, lexical?.file] + terms.flatMap { [$0.file, $0.bookFile] }
    mappings =
      [vectors.file.mapping, passages.file.mapping, graph.file.mapping]
      + others.compactMap { $0?.mapping }
    let counts = [vectors.vectors.count, passages.count, graph.graph.count, info.passages]
    guard Set(counts).count == 1, vectors.vectors.dimension == dimension else {
      throw RetortError(
        .badData,
        "the files of segment \(info.name) disagree about the number of passages (\(counts)) or "
          + "the dimension; build the index again", path: folder.path)
    }
    let coded = graph.graph.codes?.book.dimension ?? dimension
    guard coded == dimension, graph.graph.metric == metric.graphMetric else {
      throw RetortError(
        .badData,
        "the graph of segment \(info.name) is of vectors of \(coded) dimensions, or by another "
          + "measure, than the index; build the index again", path: folder.path)
    }
    guard metadata?.names ?? [] == info.fields else {
      throw RetortError(
        .badData, "the metadata of segment \(info.name) has other fields than the manifest says",
        path: folder.path)
    }
    guard info.deleted > 0 || info.files["deleted"] != nil else {
      deleted = nil
      live = nil
      return
    }
    let path = try folder.check("deleted", of: info)
    let deleted = try TombstoneFile.read(path, count: info.passages)
    guard deleted.population == info.deleted else {
      throw RetortError(
        .badData,
        "names \(deleted.population) deleted passages, the manifest says \(info.deleted); build the "
          + "index again", path: path)
    }
    var live = NodeSet(count: info.passages, full: true)
    live.subtract(deleted)
    self.deleted = deleted
    self.live = live
  }
}

/// A finished index, mapped: everything that search reads. Immutable, whatever writers do.
package struct OpenedIndex: Sendable {
  /// What the index is.
  package let manifest: Manifest
  /// Its segments, oldest first.
  package let segments: [OpenedSegment]
  /// Passage numbers lie below this.
  package let capacity: Int
  /// What bounds the memory of its data; nil: nothing does.
  package let budget: MemoryBudget?

  /// Maps the index in `folder` and checks that its files belong together.
  ///
  /// A writer may replace the index between the reading of the manifest and the opening of the
  /// files it names; then the new manifest is followed.
  ///
  /// - Parameter memoryLimit: bytes that its data may take of memory; nil: as much as there is. Whoever
  ///   sets one calls `close()` when the index is not needed any more.
  package init(_ folder: IndexFolder, memoryLimit: Int? = nil) throws(RetortError) {
    var manifest = try folder.manifest()
    while true {
      let budget = memoryLimit.map { MemoryBudget(limit: $0) }
      do throws(RetortError) {
        try self.init(folder, manifest, budget)
        try checkIntact()
        return
      } catch {
        budget?.close()
        let newer = try folder.manifest()
        guard newer != manifest else { throw error }
        manifest = newer
      }
    }
  }

  private init(
    _ folder: IndexFolder, _ manifest: Manifest, _ budget: MemoryBudget?
  ) throws(RetortError) {
    self.manifest = manifest
    self.budget = budget
    guard (1...(1 << 16)).contains(manifest.dimension) else {
      throw RetortError(
        .badData, "names vectors of \(manifest.dimension) dimensions", path: folder.manifestPath)
    }
    var segments: [OpenedSegment] = []
    var base = 0
    for info in manifest.segments {
      let (next, overflow) = base.addingReportingOverflow(info.passages)
      guard (0..<(1 << 31)).contains(info.passages), !overflow,
        (0...info.passages).contains(info.deleted)
      else {
        throw RetortError(
          .badData, "segment \(info.name) has \(info.passages) passages, \(info.deleted) deleted",
          path: folder.manifestPath)
      }
      segments.append(
        try OpenedSegment(
          info, base: base, dimension: manifest.dimension, metric: manifest.metric,
          lexical: manifest.lexical, terms: manifest.terms ?? [], in: folder, budget))
      base = next
    }
    guard manifest.passages == segments.reduce(0, { $0 + $1.info.live }) else {
      throw RetortError(
        .badData, "the number of passages is not that of the segments", path: folder.manifestPath)
    }
    self.segments = segments
    capacity = base
  }

  /// Throws where another program cut one of the files: nothing read so far can be relied on then.
  package func checkIntact() throws(RetortError) {
    for segment in segments { try segment.checkIntact() }
  }

  /// The segment that holds passage `number`, which must be below `capacity`.
  package func segment(of number: Int) -> OpenedSegment {
    var low = 0
    var high = segments.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if segments[middle].base <= number { low = middle } else { high = middle }
    }
    return segments[low]
  }

  /// The number of the passage called `id`, deleted ones aside; nil where there is none.
  package func number(of id: String) throws(RetortError) -> Int? {
    // The newest first: an id may occur in several segments, but lives in one at most.
    for segment in segments.reversed() {
      if let place = try segment.passages.number(of: id), !segment.isDeleted(place) {
        return segment.base + place
      }
    }
    return nil
  }

  /// The number of some passage with exactly this text, deleted or not.
  package func number(ofText text: String) throws(RetortError) -> Int? {
    for segment in segments {
      if let place = try segment.passages.number(ofText: text) { return segment.base + place }
    }
    return nil
  }
}

extension IndexFolder {
  /// The path of a segment's file, which is the one the manifest means.
  fileprivate func check(
    _ role: String, of segment: Manifest.Segment
  ) throws(RetortError) -> String {
    guard let file = segment.files[role], !file.name.hasPrefix("/"), !file.name.contains("..")
    else {
      throw RetortError(
        .badData, "names no \(role) file of segment \(segment.name)", path: manifestPath)
    }
    let path = path + "/" + file.name
    let mapped = try MappedFile(path: path)
    guard mapped.count == file.bytes else {
      throw RetortError(
        .truncated,
        "has \(mapped.count) bytes, the manifest says \(file.bytes); restore the file from a "
          + "copy or build the index again", path: path)
    }
    let page = try mapped.slice(offset: 0, length: UInt64(SegmentLayout.page))
    let checksum = withExtendedLifetime(mapped) { Checksum.crc32c(page) }
    try mapped.checkIntact()
    guard checksum == file.headerChecksum else {
      throw RetortError(
        .checksumMismatch,
        "is not the file the manifest names (another generation, or damaged); restore it from a "
          + "copy or build the index again", path: path)
    }
    return path
  }
}
