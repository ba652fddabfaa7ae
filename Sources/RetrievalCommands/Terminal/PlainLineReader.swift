import Platform

/// Lines of a file descriptor that is no terminal (a pipe, a file), without a prompt.
package struct PlainLineReader {
  private static let limit = 1 << 20
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var position = 0
  private var isAtEnd = false
  private var lineNumber = 0

  /// Reads from `descriptor`, which stays open.
  package init(descriptor: Int32) { self.descriptor = descriptor }

  /// The next line; `.endOfInput` for ever after the last.
  package mutating func next() throws(RetortError) -> LineEvent {
    var scanned = position
    while true {
      if let end = buffer[scanned...].firstIndex(of: UInt8(ascii: "\n")) {
        let line = buffer[position..<end]
        position = end + 1
        return .line(try text(line))
      }
      scanned = buffer.count
      if isAtEnd {
        guard position < buffer.count else { return .endOfInput }
        let line = buffer[position...]
        position = buffer.count
        return .line(try text(line))
      }
      guard buffer.count - position <= Self.limit else {
        throw RetortError(
          .limitExceeded, "is longer than \(Self.limit) bytes; put one query on a line",
          path: "standard input", at: .line(lineNumber + 1))
      }
      scanned -= position
      buffer.removeFirst(position)
      position = 0
      try fill()
    }
  }

  private mutating func text(_ bytes: ArraySlice<UInt8>) throws(RetortError) -> String {
    lineNumber += 1
    var bytes = bytes
    if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
    guard let line = String(validating: bytes, as: UTF8.self) else {
      throw RetortError(
        .badData, "is not UTF-8; convert it, for example with iconv", path: "standard input",
        at: .line(lineNumber))
    }
    return line
  }

  private mutating func fill() throws(RetortError) {
    guard try waitForInput(descriptor) else { throw .init(.cancelled, "interrupted") }
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    let count = read(descriptor, &chunk, chunk.count)
    if count < 0 {
      if errno == EINTR { return }
      throw .system("read", path: "standard input", errno: errno)
    }
    isAtEnd = count == 0
    buffer.append(contentsOf: chunk[..<count])
  }
}

/// Waits until something can be read; false where a signal asks to stop.
///
/// The signal handlers let system calls restart, and a signal may arrive just before the call: so
/// the wait is cut into pieces, each with a look at the flag.
func waitForInput(_ descriptor: Int32) throws(RetortError) -> Bool {
  while true {
    if Interruption.isRequested { return false }
    var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    let count = poll(&request, 1, 100)
    if count > 0 { return true }
    if count < 0, errno != EINTR {
      throw .system("wait for", path: "standard input", errno: errno)
    }
  }
}
