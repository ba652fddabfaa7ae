import Formats
import Platform

/// A score file that is not finished: `OUTPUT.part`, and `OUTPUT.part.json`, which says what it is of.
///
/// `OUTPUT.part.lock` keeps a second run away. Lines are appended; what a killed run left behind its last whole batch is cut away.
struct PartialScores {
  private let output: String
  private let lock: FileLock
  private let writer: FileWriter
  /// Whole lines in the file.
  private(set) var count: Int

  private var part: String { output + ".part" }
  private static let planSuffix = ".part.json"
  private static let lockSuffix = ".part.lock"

  /// Starts the file, or goes on with it where `--resume` asks for that and the plan is the same.
  init(_ options: TeacherScoringOptions, plan: [UInt8]) throws(RetortError) {
    output = options.output
    let (part, planPath) = (output + ".part", output + Self.planSuffix)
    lock = try FileLock(path: output + Self.lockSuffix)
    // Under the lock: another run may have finished the file until now.
    guard options.overwrite || FileSystem.kind(of: output) == .nothing else {
      try FileSystem.remove(output + Self.lockSuffix)
      throw RetortError(
        .usage, "exists; give another name, or --overwrite to replace it", path: output)
    }
    let isStarted = FileSystem.kind(of: planPath) == .file
    guard isStarted, FileSystem.kind(of: part) == .file else {
      try FileSystem.replace(planPath, with: plan)
      writer = try FileWriter(path: part, mode: .replace)
      count = 0
      return
    }
    guard options.resume || options.overwrite else {
      throw RetortError(
        .usage,
        "is of a run that did not finish; go on with --resume, or start again with "
          + "--overwrite", path: part)
    }
    guard options.resume else {
      try FileSystem.replace(planPath, with: plan)
      writer = try FileWriter(path: part, mode: .replace)
      count = 0
      return
    }
    guard try FileSystem.read(planPath) == plan else {
      throw RetortError(
        .usage,
        "is of another teacher, other triples, or another length or batch size; run that command "
          + "again, or start again with --overwrite and without --resume", path: part)
    }
    let kept = try Self.wholeBatches(of: part, size: options.batchSize)
    writer = try FileWriter(path: part, mode: .resume(length: kept.bytes))
    count = kept.lines
  }

  /// The lines of the file's whole batches, and where the last one ends.
  private static func wholeBatches(
    of path: String, size: Int
  ) throws(RetortError) -> (lines: Int, bytes: Int) {
    let file = try MappedFile(path: path)
    var (lines, kept) = (0, (lines: 0, bytes: 0))
    for (place, byte) in file.bytes.enumerated() where byte == 10 {
      lines += 1
      if lines % size == 0 { kept = (lines, place + 1) }
    }
    return kept
  }

  mutating func append(_ line: String) throws(RetortError) {
    try writer.append(Array(line.utf8) + [10])
    count += 1
  }

  /// Makes the lines so far safe.
  func flush() throws(RetortError) { try writer.sync() }

  /// Fills in what only the finished file knows; it is read back, so that a resumed run says the same.
  func describe(_ report: inout TeacherScoringReport) throws(RetortError) {
    try writer.sync()
    let reader = try TripleReader(path: part, layout: .teacherScores)
    var (sum, squares, margins) = (0.0, 0.0, 0.0)
    while let triple = try reader.next() {
      guard let scores = triple.scores else { continue }
      sum += scores.positive + scores.negative
      squares += scores.positive * scores.positive + scores.negative * scores.negative
      margins += scores.positive - scores.negative
      if scores.positive <= scores.negative { report.reversed += 1 }
    }
    let values = Double(max(2 * report.triples, 1))
    report.mean = sum / values
    report.deviation = max(squares / values - report.mean * report.mean, 0).squareRoot()
    report.meanMargin = 2 * margins / values
  }

  /// Gives the file its name, the report first.
  func publish(report: [UInt8]) throws(RetortError) {
    try writer.finish()
    try FileSystem.replace(output + ".json", with: report)
    try FileSystem.rename(part, to: output)
    try FileSystem.remove(output + Self.planSuffix)
    try FileSystem.remove(output + Self.lockSuffix)
    lock.release()
    try FileSystem.syncFolder(FileSystem.parent(of: output))
  }
}
