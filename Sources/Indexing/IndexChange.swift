import Graph
import Lexical
import Platform
import Store
import Terms

// How a finished index changes
//
// A writer takes the lock, makes new files beside the old ones and names them in a new manifest, one
// generation up. Nothing that exists is ever changed: deleting writes which passages of a segment
// are gone, adding writes a segment, merging writes one segment of what is left of several. Readers
// keep the generation they opened. A writer that is killed leaves the index as it was.

/// The right to change an index: its lock, and the generation that is changed.
struct IndexChange {
  let folder: IndexFolder
  let index: OpenedIndex
  /// The number of the generation to come: above all that left files.
  let generation: Int
  private let lock: FileLock

  /// Takes the lock of the index in `folder`.
  ///
  /// - Parameter resumes: whether an addition that broke off may lie there. For all others that is an
  ///   error: they would make it useless.
  init(_ folder: IndexFolder, resumes: Bool = false) throws(RetortError) {
    self.folder = folder
    _ = try folder.manifest()
    try FileSystem.makeFolder(folder.buildingPath)
    lock = try FileLock(path: folder.buildingPath + "/lock")
    index = try OpenedIndex(folder)
    let plan = try Self.unfinishedPlan(folder, index.manifest)
    let highest = max(index.manifest.generation, try folder.highestGeneration())
    generation = plan?.generation ?? highest + 1
    guard !resumes else { return }
    if let plan {
      throw RetortError(
        .usage,
        "holds an unfinished \(plan.work); finish it (the same "
          + "command with --resume), or give it up by removing the folder building",
        path: folder.path
      )
    }
    try clear()
  }

  /// What an addition or a build that broke off was asked to do.
  func unfinishedPlan() throws(RetortError) -> BuildPlan? {
    try Self.unfinishedPlan(folder, index.manifest)
  }

  private static func unfinishedPlan(
    _ folder: IndexFolder, _ manifest: Manifest
  ) throws(RetortError) -> BuildPlan? {
    guard FileSystem.kind(of: folder.planPath) == .file else { return nil }
    let plan = try BuildPlan.read(folder.planPath)
    // Killed between publishing and tidying up, it is finished for all that matters.
    return plan.generation > manifest.generation ? plan : nil
  }

  /// Writes `plan`, or finds it there and goes on with it.
  func begin(_ plan: BuildPlan, resume: Bool, restart: Bool) throws(RetortError) {
    guard let started = try unfinishedPlan(), !restart else {
      try clear()
      return try plan.write(to: folder.planPath)
    }
    guard resume else {
      throw RetortError(
        .usage,
        "holds an unfinished \(started.work); add --resume to go on with it or --restart to drop it",
        path: folder.path)
    }
    if let difference = plan.difference(from: started) {
      throw RetortError(
        .usage,
        "cannot resume with other settings (\(difference)); repeat the first command's, or start "
          + "again with --restart", path: folder.path)
    }
  }

  /// Removes what others left in building/.
  func clear() throws(RetortError) {
    for name in try FileSystem.names(in: folder.buildingPath) where name != "lock" {
      try FileSystem.removeTree(folder.buildingPath + "/" + name)
    }
  }

  /// Gives the index up unchanged.
  func cancel() {
    try? FileSystem.removeTree(folder.buildingPath)
    lock.release()
  }

  /// Publishes the index with other segments, and other lexical data or terms where they are named.
  func publish(
    _ segments: [Manifest.Segment], lexical: LexicalSettings? = nil,
    terms: [Manifest.Terms]? = nil
  ) throws(RetortError) -> Manifest {
    // What was made of a file that lost pages meanwhile must not be published.
    try index.checkIntact()
    var manifest = index.manifest.next(generation, segments: segments)
    if let lexical { manifest.lexical = lexical }
    if let terms { manifest.terms = terms }
    try folder.publish(manifest)
    lock.release()
    return manifest
  }

  /// The segments without the passages of these numbers; those that lose their last go.
  func segments(
    deleting numbers: some Sequence<Int>
  ) throws(RetortError) -> [Manifest.Segment] {
    var marks: [Int: [Int]] = [:]
    for number in numbers {
      let segment = index.segment(of: number)
      marks[segment.base, default: []].append(number - segment.base)
    }
    var segments: [Manifest.Segment] = []
    for segment in index.segments {
      guard let places = marks[segment.base] else {
        segments.append(segment.info)
        continue
      }
      var deleted = segment.deleted ?? NodeSet(count: segment.count)
      for place in places { deleted.insert(place) }
      guard deleted.population < segment.count else { continue }
      let file = "deleted-\(segment.info.name).seg"
      try TombstoneFile.write(deleted, to: folder.buildingPath + "/" + file)
      let adopted = try folder.adopt(["deleted": file], generation: generation)
      var info = segment.info
      info.deleted = deleted.population
      info.files["deleted"] = adopted["deleted"]
      segments.append(info)
    }
    return segments
  }
}
