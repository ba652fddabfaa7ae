import Platform

/// The lines of a text source, one at a time, in constant memory.
///
/// A line ends at LF or CRLF, the last one also at the end of the source. A UTF-8 byte-order mark
/// at the very start is dropped. A line longer than `maximumLength` is an error, so that a file
/// without line ends cannot eat the memory. Every line is checked: `defect` tells of bytes that no
/// text format allows.
package final class LineReader {
  /// What is wrong with the bytes of a line.
  package enum Defect: Equatable {
    case invalidUTF8(byte: Int)
    case nul(byte: Int)
  }

  /// The longest line taken by default, in bytes.
  package static let defaultMaximumLength = 64 << 20

  /// The current line's number, from 1; 0 before the first.
  package private(set) var lineNumber = 0
  /// What is wrong with the current line's bytes, nil for clean UTF-8 without NUL.
  package private(set) var defect: Defect?
  private let source: ByteSource
  private let maximumLength: Int
  private var buffer: UnsafeMutableRawBufferPointer
  private var start = 0
  private var end = 0
  private var line = 0..<0
  private var isAtEnd = false

  /// Opens `path` (`-`: standard input).
  package init(
    path: String, maximumLength: Int = LineReader.defaultMaximumLength
  ) throws(RetortError) {
    source = try ByteSource(path: path)
    self.maximumLength = maximumLength
    buffer = .allocate(byteCount: 1 << 18, alignment: 16)
  }

  deinit { buffer.deallocate() }

  /// What errors call this source.
  package var name: String { source.name }
  /// Stored (compressed) bytes behind the lines taken so far. Of gzip's, those of lines that wait in
  /// the buffer count as well.
  package var bytesRead: Int {
    source.bytesTaken - (source.isCompressed ? 0 : end - start)
  }
  /// The size of the file as stored, nil for pipes.
  package var totalBytes: Int? { source.totalBytes }

  /// Moves to the next line; false at the end.
  package func next() throws(RetortError) -> Bool {
    // Bytes of the current line that are known to hold no LF.
    var searched = 0
    while true {
      if let base = buffer.baseAddress,
        let found = memchr(base + start + searched, 0x0A, end - start - searched)
      {
        let stop = UnsafeRawPointer(found) - UnsafeRawPointer(base)
        take(upTo: stop)
        start = stop + 1
        return true
      }
      searched = end - start
      if isAtEnd {
        guard start < end else { return false }
        take(upTo: end)
        start = end
        return true
      }
      guard searched <= maximumLength else {
        throw RetortError(
          .limitExceeded,
          "the line is longer than \(maximumLength) bytes; the file is probably not text with one "
            + "record a line", path: name, at: .line(lineNumber + 1))
      }
      try fill()
    }
  }

  /// Calls `body` with the bytes of the current line, without its end.
  package func withLine<Result, Failure: Error>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let bytes = UnsafeBufferPointer<UInt8>(
      start: buffer.baseAddress?.advanced(by: line.lowerBound).assumingMemoryBound(to: UInt8.self),
      count: line.count)
    return try body(bytes.span)
  }

  /// The current line, without its end.
  package var text: String {
    withLine { line in line.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) } }
  }

  /// An error about the current line.
  package func error(_ message: String) -> RetortError {
    RetortError(.badData, message, path: name, at: .line(lineNumber))
  }

  private func take(upTo stop: Int) {
    lineNumber += 1
    var lower = start
    var upper = stop
    if upper > lower, buffer[upper - 1] == 0x0D { upper -= 1 }
    if lineNumber == 1, upper - lower >= 3, buffer[lower] == 0xEF, buffer[lower + 1] == 0xBB,
      buffer[lower + 2] == 0xBF
    {
      lower += 3
    }
    line = lower..<upper
    defect = textDefect(UnsafeRawBufferPointer(rebasing: buffer[line]))
  }

  /// Appends bytes from the source, first moving the unfinished line to the front.
  private func fill() throws(RetortError) {
    if start > 0 {
      if let base = buffer.baseAddress, end > start {
        memmove(base, base + start, end - start)
      }
      end -= start
      start = 0
    }
    if end == buffer.count {
      let larger = UnsafeMutableRawBufferPointer.allocate(
        byteCount: buffer.count * 2, alignment: 16)
      larger.copyMemory(from: UnsafeRawBufferPointer(buffer))
      buffer.deallocate()
      buffer = larger
    }
    let count = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[end...]))
    if count == 0 { isAtEnd = true }
    end += count
  }
}

/// The first byte that makes `bytes` unfit as text (Unicode 16, table 3-7), or nil.
private func textDefect(_ bytes: UnsafeRawBufferPointer) -> LineReader.Defect? {
  let count = bytes.count
  var at = 0
  func continuation(_ index: Int, _ range: ClosedRange<UInt8> = 0x80...0xBF) -> Bool {
    index < count && range.contains(bytes[index])
  }
  while at < count {
    if at + 8 <= count {
      let word = bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)
      let zeroes = (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
      if word & 0x8080_8080_8080_8080 == 0, zeroes == 0 {
        at += 8
        continue
      }
    }
    let length: Int
    switch bytes[at] {
    case 0: return .nul(byte: at + 1)
    case 0x01...0x7F: length = 1
    case 0xC2...0xDF: length = continuation(at + 1) ? 2 : 0
    case 0xE0: length = continuation(at + 1, 0xA0...0xBF) && continuation(at + 2) ? 3 : 0
    case 0xED: length = continuation(at + 1, 0x80...0x9F) && continuation(at + 2) ? 3 : 0
    case 0xE1...0xEF: length = continuation(at + 1) && continuation(at + 2) ? 3 : 0
    case 0xF0...0xF4:
      let second: ClosedRange<UInt8> =
        bytes[at] == 0xF0 ? 0x90...0xBF : bytes[at] == 0xF4 ? 0x80...0x8F : 0x80...0xBF
      length =
        continuation(at + 1, second) && continuation(at + 2) && continuation(at + 3) ? 4 : 0
    default: length = 0
    }
    if length == 0 { return .invalidUTF8(byte: at + 1) }
    at += length
  }
  return nil
}
