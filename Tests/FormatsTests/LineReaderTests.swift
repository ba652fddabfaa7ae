import Formats
import Platform
import Testing

@Suite struct LineReaderTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func lines(_ path: String, maximum: Int = 1 << 20) throws -> [String] {
    let reader = try LineReader(path: path, maximumLength: maximum)
    var lines: [String] = []
    while try reader.next() {
      #expect(reader.defect == nil)
      lines.append(
        reader.withLine { line in
          String(decoding: (0..<line.count).map { line[$0] }, as: UTF8.self)
        })
      #expect(reader.lineNumber == lines.count)
    }
    return lines
  }

  @Test func `LF, CRLF, blank lines and a missing final line end`() throws {
    #expect(
      try lines(folder.file("a", "one\r\n\ntwo\rthree\n\r\nfour")) == [
        "one", "", "two\rthree", "", "four",
      ])
    #expect(try lines(folder.file("b", "")) == [])
    #expect(try lines(folder.file("c", "\n")) == [""])
  }

  @Test func `a byte-order mark is dropped at the start only`() throws {
    #expect(try lines(folder.file("a", "\u{FEFF}one\n\u{FEFF}two")) == ["one", "\u{FEFF}two"])
    #expect(try lines(folder.file("b", "\u{FEFF}")) == [""])
  }

  @Test func `lines across buffer borders arrive whole`() throws {
    let long = (0..<60).map { String(repeating: "\($0 % 10)", count: $0 * 9973) }
    #expect(try lines(folder.file("a", long.joined(separator: "\n"))) == long)
    let text = Array(long.joined(separator: "\n").utf8)
    #expect(try lines(folder.file("a.gz", gzip(text))) == long)
  }

  @Test func `concatenated gzip members are one text, zero padding is nothing`() throws {
    let bytes = try gzip(Array("one\ntw".utf8)) + gzip([]) + gzip(Array("o\nthree".utf8))
    #expect(try lines(folder.file("a.gz", bytes)) == ["one", "two", "three"])
    #expect(
      try lines(folder.file("b", bytes + [UInt8](repeating: 0, count: 700)))
        == ["one", "two", "three"])
  }

  @Test func `a gzip file cut anywhere is an error that names it`() throws {
    var seed: UInt64 = 7
    let text = (0..<3000).map { _ -> UInt8 in
      seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(0x21 + (seed >> 33) % 90)
    }
    let whole = try gzip(text)
    for length in [
      3, 9, 10, 11, whole.count / 2, whole.count - 9, whole.count - 8, whole.count - 1,
    ] {
      let path = try folder.file("a.gz", Array(whole[..<length]))
      let error = #expect(throws: RetortError.self) { try lines(path) }
      #expect(error?.code == .truncated)
      #expect(error?.path == path)
    }
  }

  @Test func `damaged gzip is an error`() throws {
    var bytes = try gzip(Array("some text that is long enough to matter".utf8))
    bytes[bytes.count - 6] ^= 0x55
    let error = #expect(throws: RetortError.self) { try lines(folder.file("a.gz", bytes)) }
    #expect(error?.code == .badData)
    let trailing = try gzip([65]) + Array("garbage".utf8)
    #expect(throws: RetortError.self) { try lines(folder.file("b.gz", trailing)) }
    let plain = #expect(throws: RetortError.self) { try lines(folder.file("c.gz", "plain")) }
    #expect(plain?.code == .badMagic)
  }

  @Test func `a line of 50 MB is read, an endless one is an error`() throws {
    let path = try folder.file("a", [UInt8](repeating: 65, count: 50_000_000) + [10, 66])
    let reader = try LineReader(path: path)
    #expect(try reader.next())
    #expect(reader.withLine { $0.count } == 50_000_000)
    #expect(try reader.next())
    #expect(reader.withLine { $0.count } == 1)
    let error = #expect(throws: RetortError.self) { try lines("/dev/zero", maximum: 1 << 20) }
    #expect(error?.code == .limitExceeded)
    #expect(error?.description.hasPrefix("/dev/zero:1: ") == true)
  }

  @Test(
    arguments: [
      ([0x61, 0xFF], 2), ([0x80], 1), ([0xC0, 0x80], 1), ([0xC3], 1), ([0xE0, 0x9F, 0x80], 1),
      ([0xED, 0xA0, 0x80], 1), ([0xF0, 0x8F, 0x80, 0x80], 1), ([0xF4, 0x90, 0x80, 0x80], 1),
      ([0xF5, 0x80, 0x80, 0x80], 1), ([0xE2, 0x82], 1), (Array("12345678".utf8) + [0xE2], 9),
    ] as [([UInt8], Int)])
  func `invalid UTF-8 is found where it starts`(bytes: [UInt8], place: Int) throws {
    let reader = try LineReader(path: folder.file("a", bytes + [10]))
    #expect(try reader.next())
    #expect(reader.defect == .invalidUTF8(byte: place))
    #expect(String(validating: bytes, as: UTF8.self) == nil)
  }

  @Test func `the text check agrees with the standard library on random bytes`() throws {
    let seed = UInt64.random(in: 0..<1 << 40)
    var state = seed
    let alphabet: [UInt8] = [
      0x41, 0x42, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED,
      0xEE, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF,
    ]
    var valid = 0
    for _ in 0..<300 {
      var bytes: [UInt8] = []
      for _ in 0..<12 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let choice = Int(state >> 33)
        if choice % 5 == 0 {
          bytes += Array(["é", "€", "😀", "a", "\u{FEFF}"][choice / 5 % 5].utf8)
        } else if choice % 5 == 1 {
          bytes.append(alphabet[choice / 5 % alphabet.count])
        } else {
          bytes.append(0x61)
        }
      }
      let reader = try LineReader(path: folder.file("a", [0x61, 10] + bytes))
      #expect(try reader.next() && reader.next())
      let isValid = String(validating: bytes, as: UTF8.self) != nil
      if isValid { valid += 1 }
      #expect((reader.defect == nil) == isValid, "seed \(seed): \(bytes)")
    }
    #expect(valid > 0 && valid < 300)
  }

  @Test func `missing files and folders are named`() throws {
    for path in [folder.path + "/none", folder.path] {
      let error = #expect(throws: RetortError.self) { try LineReader(path: path) }
      #expect(error?.code == .missingInput)
      #expect(error?.path == path)
    }
  }
}
