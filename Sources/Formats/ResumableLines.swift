import Platform

/// Lines of long work that is not finished: `OUTPUT.part`, and `OUTPUT.part.json`, the plan, which
/// says what they depend on.
///
/// `OUTPUT.part.lock` keeps a second run away. Lines are appended in batches; what a killed run left
/// behind its last whole batch is cut away.
package struct ResumableLines {
  private let output: String
  private let lock: FileLock
  private let writer: FileWriter
  /// Whole lines in the file.
  package private(set) var count: Int

  /// The file of lines.
  package var path: String { output + Self.suffix }

  private static let suffix = ".part"
  private static let planSuffix = ".part.json"
  private static let lockSuffix = ".part.lock"

  /// Whether work towards `output` was begun and not finished.
  package static func isStarted(_ output: String) -> Bool {
    FileSystem.kind(of: output + suffix) == .file
      && FileSystem.kind(of: output + planSuffix) == .file
  }

  /// Starts the file, or goes on with it where `resume` asks for that and the plan is the same.
  ///
  /// - Parameters:
  ///   - plan: the bytes that say what the lines depend on.
  ///   - difference: what a file with another plan may be of, for the error.
  ///   - whole: of a number of lines, how many make whole batches.
  package init(
    output: String, plan: [UInt8], resume: Bool, overwrite: Bool, difference: String,
    whole: (Int) -> Int
  ) throws(RetortError) {
    self.output = output
    let (part, planPath) = (output + Self.suffix, output + Self.planSuffix)
    lock = try FileLock(path: output + Self.lockSuffix)
    // Under the lock: another run may have finished the file until now.
    guard overwrite || FileSystem.kind(of: output) == .nothing else {
      try FileSystem.remove(output + Self.lockSuffix)
      throw RetortError(
        .usage, "exists; give another name, or --overwrite to replace it", path: output)
    }
    let isStarted = Self.isStarted(output)
    guard !isStarted || resume || overwrite else {
      throw RetortError(
        .usage,
        "is of a run that did not finish; go on with --resume, or start again with --overwrite",
        path: part)
    }
    guard isStarted, resume else {
      // The lines first: they must never lie beside a plan that is not theirs.
      try FileSystem.remove(part)
      try FileSystem.replace(planPath, with: plan)
      writer = try FileWriter(path: part, mode: .replace)
      count = 0
      return
    }
    guard try FileSystem.read(planPath) == plan else {
      throw RetortError(
        .usage,
        "is of \(difference); run that command again, or start again with --overwrite and without "
          + "--resume", path: part)
    }
    let file = try MappedFile(path: part)
    let ends = file.bytes.indices.filter { file.bytes[$0] == 10 }
    try file.checkIntact()
    count = whole(ends.count)
    let length = count == 0 ? 0 : ends[count - 1] + 1
    writer = try FileWriter(path: part, mode: .resume(length: length))
  }

  /// Appends a line, given without its end.
  package mutating func append(_ line: String) throws(RetortError) {
    try writer.append(Array(line.utf8) + [10])
    count += 1
  }

  /// Makes the lines so far safe.
  package func sync() throws(RetortError) { try writer.sync() }

  /// Completes the file and gives it the output's name.
  package func publish() throws(RetortError) {
    try writer.finish()
    try FileSystem.rename(path, to: output)
    try FileSystem.remove(output + Self.planSuffix)
    try FileSystem.remove(output + Self.lockSuffix)
    lock.release()
    try FileSystem.syncFolder(FileSystem.parent(of: output))
  }

  /// Removes the file, when the output was made of it.
  package func discard() throws(RetortError) {
    try writer.finish()
    try FileSystem.remove(output + Self.planSuffix)
    try FileSystem.remove(path)
    try FileSystem.remove(output + Self.lockSuffix)
    lock.release()
  }
}
