import CZlib
import Foundation
import Platform

/// A folder that goes away with the value.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "/retort-formats-\(UUID().uuidString)"
    try FileSystem.makeFolder(path)
  }

  deinit { try? FileSystem.removeTree(path) }

  /// Writes a file and returns its path.
  func file(_ name: String, _ bytes: [UInt8]) throws -> String {
    let file = path + "/" + name
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    return file
  }

  /// Writes a file and returns its path.
  func file(_ name: String, _ text: String) throws -> String {
    try file(name, Array(text.utf8))
  }
}

/// One gzip member.
func gzip(_ bytes: [UInt8]) throws -> [UInt8] {
  let folder = try TemporaryFolder()
  let path = folder.path + "/member.gz"
  let file = gzopen(path, "wb")
  defer { try? FileSystem.remove(path) }
  let written = gzwrite(file, bytes, UInt32(bytes.count))
  precondition(written == Int32(bytes.count) && gzclose(file) == Z_OK)
  return try FileSystem.read(path)
}

/// The folder of real collections, nil when RETORT_DATA is unset.
let dataFolder = ProcessInfo.processInfo.environment["RETORT_DATA"].map { $0 + "/data" }

/// Processor time of this thread: other tests and processes do not count.
func threadSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
