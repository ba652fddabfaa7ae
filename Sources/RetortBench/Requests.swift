import Foundation
import Platform

/// Prints a line at once: whoever asked is waiting.
func answer(_ line: String) {
  print(line)
  fflush(nil)
}

/// What was loaded under a name.
func loaded<Work>(_ name: String, _ works: [String: Work]) throws -> Work {
  guard let work = works[name] else { throw RetortError(.usage, "\"\(name)\" was not loaded") }
  return work
}

/// Sequences of token ids, one a line.
func readSequences(_ path: String) throws -> [[Int32]] {
  let text = String(decoding: try FileSystem.read(path), as: UTF8.self)
  let sequences = text.split(separator: "\n").map { line in
    line.split(separator: " ").compactMap { Int32($0) }
  }
  guard !sequences.isEmpty else {
    throw RetortError(.badData, "holds no sequences", path: path)
  }
  return sequences
}
