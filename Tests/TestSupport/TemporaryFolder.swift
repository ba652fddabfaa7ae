import Foundation
import Platform

/// A folder that goes away with the value.
package final class TemporaryFolder: Sendable {
  /// The folder's path.
  package let path: String

  /// Makes an empty folder below `parent`, or below the system's temporary one.
  package init(_ purpose: String = "test", in parent: String? = nil) throws {
    path =
      (parent ?? FileManager.default.temporaryDirectory.path)
      + "/retort-\(purpose)-\(UUID().uuidString)"
    try FileSystem.makeFolder(path)
  }

  /// Whether the folder lies on an ext4 disk, as far as the system tells.
  package var isOnExt4: Bool {
    guard let mounts = try? FileSystem.read("/proc/mounts") else { return false }
    var found: (point: Substring, kind: Substring) = ("", "")
    for line in String(decoding: mounts, as: UTF8.self).split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard fields.count > 2, fields[1].count >= found.point.count else { continue }
      if fields[1] == "/" || path.hasPrefix(fields[1] + "/") { found = (fields[1], fields[2]) }
    }
    return found.kind == "ext4"
  }

  deinit { try? FileSystem.removeTree(path) }

  /// Writes a file and returns its path.
  @discardableResult
  package func file(_ name: String, _ bytes: [UInt8]) throws -> String {
    let file = path + "/" + name
    try FileSystem.makeFolder(FileSystem.parent(of: file))
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    return file
  }

  /// Writes a file and returns its path.
  @discardableResult
  package func file(_ name: String, _ text: String) throws -> String {
    try file(name, Array(text.utf8))
  }
}

/// Has the system forget what it holds of a file, where it can: the next read asks the disk. Not by fsync,
/// which waits for all that others wrote before.
package func forget(_ path: String) throws {
  let descriptor = open(path, O_RDONLY)
  guard descriptor >= 0 else { throw RetortError.system("open", path: path, errno: errno) }
  defer { close(descriptor) }
  #if os(Linux)
    // The first begins to write what is not on the disk yet, the others drop it.
    for _ in 0..<3 {
      posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
      usleep(20_000)
    }
  #endif
}

/// Cuts a file where it lies, as a program does that knows nothing of its readers.
package func cut(_ path: String, to length: Int) throws {
  guard truncate(path, off_t(length)) == 0 else {
    throw RetortError.system("cut", path: path, errno: errno)
  }
}

/// Every file below `path` with its bytes, by its path from there.
package func contents(of path: String) throws -> [String: [UInt8]] {
  var files: [String: [UInt8]] = [:]
  for name in try FileSystem.names(in: path) {
    let inner = path + "/" + name
    if FileSystem.kind(of: inner) == .folder {
      files[name + "/"] = []
      for (below, bytes) in try contents(of: inner) { files[name + "/" + below] = bytes }
    } else {
      files[name] = try FileSystem.read(inner)
    }
  }
  return files
}

/// The names of files that only one of two folders has or that differ in bytes.
package func differences(_ one: String, _ other: String) throws -> [String] {
  let first = try contents(of: one)
  let second = try contents(of: other)
  return Set(first.keys).union(second.keys).sorted().filter { first[$0] != second[$0] }
}
