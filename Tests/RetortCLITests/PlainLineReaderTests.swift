import Platform
import RetrievalCommands
import Testing

struct PlainLineReaderTests {
  /// A reader over bytes that come through a file, as `< queries.txt` brings them.
  private static func events(_ bytes: [UInt8]) throws -> [LineEvent] {
    let path = "/tmp/retort-lines-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    try FileSystem.replace(path, with: bytes)
    defer { unlink(path) }
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    var reader = PlainLineReader(descriptor: descriptor)
    var events: [LineEvent] = []
    while events.last != .endOfInput { events.append(try reader.next()) }
    #expect(try reader.next() == .endOfInput)
    return events
  }

  @Test func `lines come without their ends, the last one also without`() throws {
    #expect(
      try Self.events(Array("one\r\ntwo\n\n日本".utf8)) == [
        .line("one"), .line("two"), .line(""), .line("日本"), .endOfInput,
      ])
    #expect(try Self.events([]) == [.endOfInput])
    #expect(try Self.events(Array("\n".utf8)) == [.line(""), .endOfInput])
  }

  @Test func `lines longer than one read arrive whole`() throws {
    let long = String(repeating: "x", count: 200_000)
    #expect(
      try Self.events(Array("a\n\(long)\nb\n".utf8)) == [
        .line("a"), .line(long), .line("b"), .endOfInput,
      ])
  }

  @Test func `what is not UTF-8 is refused with its line`() throws {
    let error = #expect(throws: RetortError.self) {
      try Self.events(Array("one\n".utf8) + [0xFF, 0xFE, 0x0A])
    }
    #expect(error?.code == .badData)
    #expect(error?.position == .line(2))
  }

  @Test func `a line without end is refused before it fills the memory`() throws {
    let error = #expect(throws: RetortError.self) {
      try Self.events([UInt8](repeating: 0x61, count: 3_000_000))
    }
    #expect(error?.code == .limitExceeded)
  }
}
