import Foundation
import Platform

/// A body kept in memory, for the hub's listing.
final class MemorySink: BodySink {
  private(set) var bytes: [UInt8] = []
  private let limit: Int

  init(limit: Int) { self.limit = limit }

  func begin(status: Int, contentRange: String?, length: Int?) throws(RetortError) {
    if status != 200 {
      throw RetortError(
        .network, "the server answers a part of what was asked for; check HF_ENDPOINT")
    }
    bytes.removeAll()
  }

  func take(_ more: [UInt8]) throws(RetortError) {
    guard bytes.count + more.count <= limit else {
      throw RetortError(
        .limitExceeded, "the hub's answer is larger than \(limit) bytes; check HF_ENDPOINT")
    }
    bytes.append(contentsOf: more)
  }

  func end() throws(RetortError) {}
}

/// A body appended to a `.part` file, continuing where an earlier attempt ended.
final class PartSink: BodySink {
  private let path: String
  private let file: HubFile
  private let offset: Int
  private let report: (Int) -> Void
  private var writer: FileWriter?

  /// - Parameters:
  ///   - offset: bytes the `.part` file holds, from which on the request asks.
  ///   - report: told how many bytes of the file there are.
  init(path: String, file: HubFile, offset: Int, report: @escaping (Int) -> Void) {
    self.path = path
    self.file = file
    self.offset = offset
    self.report = report
  }

  func begin(status: Int, contentRange: String?, length: Int?) throws(RetortError) {
    var start = 0
    if status == 206 {
      start = offset
      guard let range = contentRange, let (first, total) = Self.parse(range), first == offset,
        total == nil || total == file.size
      else { throw lie("the range '\(visible(contentRange ?? ""))' from byte \(offset) on") }
    }
    if let length, length != file.size - start {
      throw lie("\(length) more bytes at byte \(start)")
    }
    // A server that ignores ranges sends everything again; so does this file start again.
    writer = try FileWriter(path: path, mode: start == 0 ? .replace : .resume(length: start))
    report(start)
  }

  func take(_ more: [UInt8]) throws(RetortError) {
    guard let writer else { return }
    guard more.count <= file.size - writer.length else { throw lie("more bytes than that") }
    try writer.append(more)
    report(writer.length)
  }

  func end() throws(RetortError) {
    try writer?.finish()
    writer = nil
  }

  private func lie(_ claim: String) -> RetortError {
    RetortError(
      .network,
      "the server sends \(claim), but the hub lists \(file.size) bytes for \(file.path); "
        + "try again later or check HF_ENDPOINT")
  }

  /// First byte and total of `bytes <first>-<last>/<total or *>`.
  private static func parse(_ header: String) -> (first: Int, total: Int?)? {
    let trimmed = header.lowercased().trimmingCharacters(in: .whitespaces)
    guard trimmed.hasPrefix("bytes ") else { return nil }
    let parts = trimmed.dropFirst("bytes ".count).split(separator: "/")
    guard parts.count == 2, let dash = parts[0].firstIndex(of: "-"),
      let first = Int(decimal: parts[0][..<dash].trimmingCharacters(in: .whitespaces))
    else { return nil }
    if parts[1] == "*" { return (first, nil) }
    return Int(decimal: parts[1]).map { (first, $0) }
  }
}
