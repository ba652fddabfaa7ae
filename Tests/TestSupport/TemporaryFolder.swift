import Foundation
import Platform

/// A folder that goes away with the value.
package final class TemporaryFolder: Sendable {
  /// The folder's path.
  package let path: String

  /// Makes an empty folder below the system's temporary one.
  package init(_ purpose: String = "test") throws {
    path =
      FileManager.default.temporaryDirectory.path + "/retort-\(purpose)-\(UUID().uuidString)"
    try FileSystem.makeFolder(path)
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

/// Has the system forget what it holds of a file, where it can: the next read asks the disk.
package func forget(_ path: String) throws {
  let descriptor = open(path, O_RDONLY)
  guard descriptor >= 0 else { throw RetortError.system("open", path: path, errno: errno) }
  defer { close(descriptor) }
  fsync(descriptor)
  #if os(Linux)
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
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
