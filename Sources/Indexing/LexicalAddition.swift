import Lexical
import Platform
import Store

/// What adding lexical data to an index did.
public struct LexicalAdditionReport: Sendable, Codable, Equatable {
  /// Segments whose passages were inverted.
  public var segments = 0
  /// Whether the index had the same data already.
  public var wasThere = false
  /// Passages stored in the index, deleted ones included.
  public var passages = 0
  /// Bytes of the lexical data.
  public var bytes = 0
  /// The index's generation now.
  public var generation = 0
  /// Seconds it took.
  public var seconds = 0.0
}

/// Makes an index that exists searchable by words.
public enum LexicalAddition {
  /// Adds an inverted file of every segment to the index in folder `path`, in the place of those that
  /// were made with other settings.
  ///
  /// Whoever has the index open keeps what they opened. An addition that is interrupted or killed
  /// leaves the index as it was.
  public static func add(
    _ settings: LexicalSettings, to path: String, threads: Int, quiet: Bool = false
  ) throws(RetortError) -> LexicalAdditionReport {
    let started = monotonicSeconds()
    let change = try IndexChange(IndexFolder(path))
    do throws(RetortError) {
      var report = LexicalAdditionReport()
      var manifest = change.index.manifest
      if manifest.lexical == settings {
        report.wasThere = true
        change.cancel()
      } else {
        report.segments = manifest.segments.count
        let segments = try invert(settings, change, threads, ProgressReporter(quiet: quiet))
        manifest = try change.publish(segments, lexical: settings)
      }
      report.passages = manifest.segments.reduce(0) { $0 + $1.passages }
      report.bytes = manifest.segments.reduce(0) { $0 + ($1.files["lexical"]?.bytes ?? 0) }
      report.generation = manifest.generation
      report.seconds = monotonicSeconds() - started
      return report
    } catch {
      change.cancel()
      throw error
    }
  }

  private static func invert(
    _ settings: LexicalSettings, _ change: IndexChange, _ threads: Int,
    _ progress: ProgressReporter
  ) throws(RetortError) -> [Manifest.Segment] {
    var files: [String] = []
    for segment in change.index.segments {
      let file = "lexical-\(segment.info.name).seg"
      try LexicalFile.write(
        segment.passages, settings, to: change.folder.buildingPath + "/" + file, threads: threads,
        progress: progress)
      files.append(file)
    }
    var segments: [Manifest.Segment] = []
    for (segment, file) in zip(change.index.segments, files) {
      var info = segment.info
      info.files["lexical"] = try change.folder.adopt(
        ["lexical": file], generation: change.generation)["lexical"]
      segments.append(info)
    }
    return segments
  }
}
