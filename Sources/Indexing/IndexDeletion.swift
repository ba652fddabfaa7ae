import Platform
import Store

/// What a deletion did.
public struct IndexDeletionReport: Sendable, Codable, Equatable {
  /// Passages that were deleted.
  public var deleted = 0
  /// Ids that no passage has.
  public var missing: [String] = []
  /// Passages left in the index.
  public var passages = 0
  /// The index's generation now.
  public var generation = 0
}

/// Deletes passages from an index.
public enum IndexDeletion {
  /// Deletes the passages called `ids` from the index in folder `path`.
  ///
  /// They are gone for whoever opens the index afterwards; their room is freed by
  /// `IndexMerge.merge`. Ids that no passage has are reported; where none has any, the index stays as
  /// it is.
  public static func delete(
    _ ids: [String], from path: String
  ) throws(RetortError) -> IndexDeletionReport {
    let change = try IndexChange(IndexFolder(path))
    do throws(RetortError) {
      return try delete(ids, change)
    } catch {
      change.cancel()
      throw error
    }
  }

  private static func delete(
    _ ids: [String], _ change: IndexChange
  ) throws(RetortError) -> IndexDeletionReport {
    var report = IndexDeletionReport()
    var numbers = Set<Int>()
    for id in ids {
      try Interruption.check()
      if let number = try change.index.number(of: id) {
        numbers.insert(number)
      } else {
        report.missing.append(id)
      }
    }
    report.deleted = numbers.count
    guard !numbers.isEmpty else {
      report.passages = change.index.manifest.passages
      report.generation = change.index.manifest.generation
      change.cancel()
      return report
    }
    let manifest = try change.publish(change.segments(deleting: numbers.ordered()))
    report.passages = manifest.passages
    report.generation = manifest.generation
    return report
  }
}
