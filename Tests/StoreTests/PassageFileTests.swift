import Platform
import Store
import TestSupport
import Testing

@Suite struct PassageFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder("passages") }

  private func write(
    _ passages: [(id: String, text: String)], threads: Int = 2, to name: String = "passages.seg"
  ) throws -> PassageFile {
    let path = folder.path + "/" + name
    let writer = try PassageFileWriter(path: path, threads: threads)
    for passage in passages {
      try writer.append(id: Array(passage.id.utf8), text: Array(passage.text.utf8))
    }
    try writer.finish()
    return try PassageFile(path: path)
  }

  @Test func `texts of all sizes come back, whatever the thread count`() throws {
    var random = SplitMix64(seed: 11)
    var passages = SyntheticCorpus(count: 3000, seed: 12).passages
    for (number, length) in [(0, 0), (1, 1), (1023, 16 << 10), (1024, 3_000_000), (2999, 0)] {
      passages[number].text = String(
        decoding: (0..<length).map { _ in UInt8(97 + random.next() % 26) }, as: UTF8.self)
    }
    passages[5].id = String(repeating: "long id ", count: 20_000)
    passages[6].id = " "
    let file = try write(passages)
    #expect(file.count == passages.count)
    for (number, passage) in passages.enumerated() {
      #expect(try file.id(number) == passage.id)
      #expect(try file.text(number) == passage.text)
      #expect(try file.number(of: passage.id) == number)
    }
    try file.verifyTexts()
    try file.file.verifyAll()
    _ = try write(passages, threads: 1, to: "one.seg")
    #expect(
      try FileSystem.read(folder.path + "/one.seg")
        == FileSystem.read(folder.path + "/passages.seg"))
  }

  @Test(arguments: [1, 1023, 1024, 1025])
  func `blocks of ids end where they should`(count: Int) throws {
    let passages = (0..<count).map { (id: "\($0)", text: "") }
    let file = try write(passages)
    #expect(try (0..<count).map { try file.id($0) } == passages.map(\.id))
    #expect(try file.number(of: "\(count - 1)") == count - 1)
    #expect(try file.number(of: "\(count)") == nil)
    try file.verifyTexts()
  }

  @Test func `a file without passages is empty, not broken`() throws {
    let file = try write([])
    #expect(file.count == 0)
    #expect(try file.number(of: "x") == nil)
    try file.verifyTexts()
  }

  @Test func `ids that Swift thinks equal but have other bytes stay apart`() throws {
    let file = try write([("caf\u{E9}", "composed"), ("cafe\u{301}", "decomposed")])
    #expect(try file.number(of: "caf\u{E9}") == 0)
    #expect(try file.number(of: "cafe\u{301}") == 1)
  }
}
