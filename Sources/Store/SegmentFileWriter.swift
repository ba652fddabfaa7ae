import Platform

/// Writes a segment file (`SegmentFile` documents the layout): sections one after the other, each
/// streamed, checksummed on the way; the header last.
final class SegmentFileWriter {
  private struct Entry {
    var name: String
    var offset: Int
    var length: Int
    var blockLength: Int
    var checksums: [UInt32]
  }

  private let writer: FileWriter
  private let kind: SegmentKind
  private var entries: [Entry] = []
  private var current: Entry?
  private var pending: [UInt8] = []

  /// Starts a file at `path`, replacing what is there.
  init(path: String, kind: SegmentKind) throws(RetortError) {
    self.kind = kind
    writer = try FileWriter(path: path, mode: .replace)
    try writer.append([UInt8](repeating: 0, count: SegmentLayout.page))
  }

  /// Starts a section; `alignment` (a multiple of 64) places its data.
  func begin(
    _ name: String, blockLength: Int = SegmentLayout.defaultBlock, alignment: Int = 64
  ) throws(RetortError) {
    try writer.pad(to: alignment)
    current = Entry(
      name: name, offset: writer.length, length: 0, blockLength: blockLength, checksums: [])
  }

  /// Appends data to the section begun last.
  func append(_ bytes: [UInt8]) throws(RetortError) {
    guard var entry = current else { return }
    try writer.append(bytes)
    entry.length += bytes.count
    var start = 0
    while start < bytes.count {
      let take = min(entry.blockLength - pending.count, bytes.count - start)
      pending.append(contentsOf: bytes[start..<(start + take)])
      start += take
      if pending.count == entry.blockLength {
        entry.checksums.append(Checksum.crc32c(pending))
        pending.removeAll(keepingCapacity: true)
      }
    }
    current = entry
  }

  /// Appends 32-bit numbers.
  func append(words: [UInt32]) throws(RetortError) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(words.count * 4)
    for word in words { bytes.appendInteger(word) }
    try append(bytes)
  }

  /// Ends the section begun last.
  func end() {
    guard var entry = current else { return }
    if !pending.isEmpty { entry.checksums.append(Checksum.crc32c(pending)) }
    pending.removeAll(keepingCapacity: true)
    entries.append(entry)
    current = nil
  }

  /// A whole section at once.
  func add(_ name: String, _ bytes: [UInt8]) throws(RetortError) {
    try begin(name)
    try append(bytes)
    end()
  }

  /// Writes the checksum tables and the header, and makes the file durable.
  func finish() throws(RetortError) {
    var header = SegmentLayout.magic
    header.appendInteger(SegmentLayout.version)
    header.appendInteger(kind.rawValue)
    var table: [UInt8] = []
    for entry in entries {
      try writer.pad(to: 64)
      var checksums: [UInt8] = []
      for checksum in entry.checksums { checksums.appendInteger(checksum) }
      var name = Array(entry.name.utf8.prefix(16))
      name += [UInt8](repeating: 0, count: 16 - name.count)
      table += name
      table.appendInteger(UInt64(entry.offset))
      table.appendInteger(UInt64(entry.length))
      table.appendInteger(UInt64(writer.length))
      table.appendInteger(UInt32(entry.blockLength))
      table.appendInteger(Checksum.crc32c(checksums))
      table.appendInteger(UInt64(0))
      try writer.append(checksums)
    }
    header.appendInteger(UInt64(writer.length))
    header.appendInteger(UInt32(entries.count))
    header.appendInteger(UInt32(0))
    header += table
    header += [UInt8](repeating: 0, count: SegmentLayout.page - header.count)
    let checksum = Checksum.crc32c(header)
    for i in 0..<4 { header[28 + i] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(i))) }
    try writer.overwrite(header, at: 0)
    try writer.finish()
  }
}
