import Formats
import Graph
import Platform
import Store

/// Puts indexes that were built apart, such as shards of a corpus, into one.
public enum IndexJoin {
  /// Makes an index in the new folder `output` of the segments of all indexes in `folders`, side by
  /// side and in this order. Nothing is encoded and no graph is built; files are linked where the file
  /// system can, else copied.
  ///
  /// The indexes must come from the same model with the same settings, and no id may occur in two of
  /// them. A search over the joined index finds what merging the answers of all would give. The
  /// folders stay as they are.
  public static func join(
    _ folders: [String], into output: String, quiet: Bool = false
  ) throws(RetortError) -> IndexMergeReport {
    let started = monotonicSeconds()
    let progress = ProgressReporter(quiet: quiet)
    let folder = IndexFolder(output)
    guard try folder.state() == .absent else {
      throw RetortError(
        .usage, "exists already; name a new folder for --output", path: folder.path)
    }
    var indexes: [(path: String, index: OpenedIndex)] = []
    for path in folders { indexes.append((path, try OpenedIndex(IndexFolder(path)))) }
    guard let first = indexes.first else {
      throw RetortError(.usage, "there is nothing to join; name the indexes")
    }
    for (path, index) in indexes { try requireAlike(index, path, first.index, first.path) }
    try requireDistinctIDs(indexes, progress)
    try FileSystem.makeFolder(folder.buildingPath)
    let lock = try FileLock(path: folder.buildingPath + "/lock")
    defer { lock.release() }
    var segments: [Manifest.Segment] = []
    do throws(RetortError) {
      for (path, index) in indexes {
        for segment in index.manifest.segments {
          try Interruption.check()
          // Segments are named after generations, which the joined index counts from 1.
          segments.append(
            try copy(segment, from: path, to: folder, generation: segments.count + 1))
          progress.note("\(path), segment \(segment.name): \(counted(segment.live, "passage"))")
        }
      }
      for (_, index) in indexes { try index.checkIntact() }
      let manifest = first.index.manifest.next(max(segments.count, 1), segments: segments)
      try folder.publish(manifest)
      return IndexMergeReport(
        segments: segments.count, passages: manifest.passages, generation: manifest.generation,
        bytesBefore: manifest.bytes, bytes: manifest.bytes,
        seconds: monotonicSeconds() - started)
    } catch {
      try? FileSystem.removeTree(folder.path)
      throw error
    }
  }

  private static func requireAlike(
    _ index: OpenedIndex, _ path: String, _ first: OpenedIndex, _ firstPath: String
  ) throws(RetortError) {
    let (one, other) = (index.manifest, first.manifest)
    let difference: String? =
      one.model?.fingerprint != other.model?.fingerprint
      ? "its model"
      : one.dimension != other.dimension
        ? "its dimension"
        : one.metric != other.metric
          ? "its metric"
          : one.graph != other.graph
            ? "the settings of its graph"
            : one.keptFields != other.keptFields
              ? "the fields that are kept"
              : one.lexical != other.lexical
                ? "its lexical data (\(one.lexical.name), not \(other.lexical.name))"
                : one.terms != other.terms
                  ? "its term vectors (\(one.terms.name), not \(other.terms.name))" : nil
    guard let difference else { return }
    throw RetortError(
      .usage,
      "differs from \(firstPath) in \(difference); only indexes built alike can be joined",
      path: path)
  }

  /// Ids are looked up in all indexes before.
  private static func requireDistinctIDs(
    _ indexes: [(path: String, index: OpenedIndex)], _ progress: ProgressReporter
  ) throws(RetortError) {
    let total = indexes.reduce(0) { $0 + $1.index.manifest.passages }
    progress.begin("compare ids", unit: "passages", total: total)
    var done = 0
    for (place, (path, index)) in indexes.enumerated() {
      for segment in index.segments {
        for number in 0..<segment.count where !segment.isDeleted(number) {
          done += 1
          if done % 4096 == 0 {
            try Interruption.check()
            progress.update(done)
          }
          guard place > 0 else { continue }
          let id = try segment.passages.id(number)
          for (otherPath, other) in indexes[..<place] where try other.number(of: id) != nil {
            throw RetortError(
              .badData,
              "holds the id \"\(id)\", as \(otherPath) does; ids must be unique in an index",
              path: path)
          }
        }
      }
    }
    progress.update(done)
    progress.finishPhase()
  }

  /// Brings the files of a segment into the folder of `generation`.
  private static func copy(
    _ segment: Manifest.Segment, from path: String, to folder: IndexFolder, generation: Int
  ) throws(RetortError) -> Manifest.Segment {
    var names: [String: String] = [:]
    for (role, file) in segment.files {
      names[role] = role + ".seg"
      try FileSystem.link(
        IndexFolder(path).path + "/" + file.name, to: folder.buildingPath + "/\(role).seg")
    }
    var copy = segment
    copy.name = IndexFolder.name(ofGeneration: generation)
    copy.files = try folder.adopt(names, generation: generation)
    return copy
  }
}
