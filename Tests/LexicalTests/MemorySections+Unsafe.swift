import Lexical
import Platform

/// The sections of an inverted file in memory.
struct MemorySections {
  var sections: [String: [UInt8]]

  /// Inverts texts, `chunk` of them at a time.
  init(_ texts: [String], _ settings: LexicalSettings, chunk: Int = .max) throws {
    let analyzer = Analyzer(settings)
    var chunks: [InvertedChunk] = []
    var start = 0
    while start < texts.count {
      let end = start + min(chunk, texts.count - start)
      chunks.append(InvertedChunk(texts[start..<end].map { Array($0.utf8)[...] }, analyzer))
      start = end
    }
    var postings: [UInt8] = []
    let others = try InvertedFileWriter.write(chunks, settings) { postings += $0 }
    sections = Dictionary(uniqueKeysWithValues: others.map { ($0.name, $0.bytes) })
    sections["postings"] = postings
  }

  func opened() throws(RetortError) -> InvertedFile {
    try InvertedFile { MemorySection($0, sections[$0] ?? []) }
  }
}

private final class MemorySection: VerifiedBytes, @unchecked Sendable {
  private let name: String
  private let memory: UnsafeMutableRawBufferPointer

  init(_ name: String, _ bytes: [UInt8]) {
    self.name = name
    memory = .allocate(byteCount: bytes.count, alignment: 8)
    memory.copyBytes(from: bytes)
  }

  deinit { memory.deallocate() }

  var count: Int { memory.count }

  func bytes(_ range: Range<Int>) throws(RetortError) -> UnsafeRawBufferPointer {
    guard range.upperBound <= count else { throw damaged("\(range) lies outside") }
    return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[range])
  }

  func damaged(_ reason: String) -> RetortError { RetortError(.badData, "\(name): \(reason)") }
}
