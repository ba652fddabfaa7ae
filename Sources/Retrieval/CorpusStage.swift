import Formats
import Foundation
import Models
import Platform
import Synchronization

/// A block of passages, tokenized, on its way to the encoder.
struct TokenizedBlock: Sendable {
  var number: Int
  var passages: [Passage]
  var ids: [[Int32]]
  var truncatedTexts: Int
  var emptyTexts: Int
  var corpusHash: UInt128
  /// Bytes of the corpus read so far, for the time left.
  var bytesRead: Int
}

/// Reads and tokenizes a corpus on a thread of its own, a few blocks ahead of the encoder.
final class CorpusStage: Sendable {
  /// What comes out: a block, or the error that ended reading.
  private enum Message: Sendable {
    case block(TokenizedBlock)
    case failure(RetortError)
  }

  private let name: String
  private let queue = BoundedQueue<Message>(capacity: 2)
  private let finished = DispatchSemaphore(value: 0)
  private let skipped = Mutex<(count: Int, report: [String])>((0, []))

  /// Bad lines skipped in the whole corpus, once all blocks have been taken.
  var badLines: Int { skipped.withLock { $0.count } }

  /// What was skipped and why, once all blocks have been taken.
  var badLineReport: [String] { skipped.withLock { $0.report } }

  /// Starts reading.
  ///
  /// - Parameters:
  ///   - done: the corpus hashes of the blocks that an earlier run finished; those are read again
  ///     and compared, but not handed out.
  init(
    reader: CorpusReader, encoder: TextEncoder, batchSize: Int, done: [UInt128]
  ) {
    name = reader.name
    let source = UncheckedBox(reader)
    let thread = Thread { [self] in
      do throws(RetortError) {
        try read(source.value, encoder: encoder, batchSize: batchSize, done: done)
      } catch {
        _ = queue.push(.failure(error))
      }
      skipped.withLock { $0 = (source.value.badLines, source.value.badLineReport) }
      queue.close()
      finished.signal()
    }
    thread.stackSize = 8 << 20
    thread.start()
  }

  /// The next block, nil after the last.
  func next() throws(RetortError) -> TokenizedBlock? {
    switch queue.pop() {
    case .block(let block): return block
    case .failure(let error): throw error
    case nil: return nil
    }
  }

  /// Ends the thread and waits for it, though not for ever: it may hang in the read of a pipe that
  /// nobody writes to, and then ends with the pipe.
  func stop() {
    queue.close()
    while queue.pop() != nil {}
    _ = finished.wait(timeout: .now() + 1)
  }

  /// A block ends early after this much text, so that a few of them fit into memory.
  private static let blockBytes = 32 << 20

  private func read(
    _ reader: CorpusReader, encoder: TextEncoder, batchSize: Int, done: [UInt128]
  ) throws(RetortError) {
    var seen = Set<UInt128>()
    var hash: UInt128 = 0
    var number = 0
    var atEnd = false
    while !atEnd {
      let empty = reader.emptyTexts
      var passages: [Passage] = []
      var bytes = 0
      while passages.count < batchSize, bytes < Self.blockBytes {
        try Interruption.check()
        guard let passage = try reader.next() else {
          atEnd = true
          break
        }
        let inserted = seen.insert(Hashing.hash128(passage.id.utf8, seed: 1)).inserted
        guard inserted else {
          throw RetortError(
            .badData,
            "the id \"\(passage.id)\" occurs twice; ids must be unique in a corpus",
            path: name, at: .line(reader.lineNumber))
        }
        hash = Self.extend(hash, by: passage)
        bytes += passage.text.utf8.count
        passages.append(passage)
      }
      guard !passages.isEmpty else { break }
      if number < done.count {
        guard done[number] == hash else {
          throw RetortError(
            .badData,
            "the corpus is not the one the build was started with (it differs before line "
              + "\(reader.lineNumber)); build again with --overwrite", path: name)
        }
      } else {
        let block = try tokenize(
          passages, encoder, number: number, empty: reader.emptyTexts - empty, hash: hash,
          reader: reader)
        guard queue.push(.block(block)) else { return }
      }
      number += 1
    }
    guard number >= done.count else {
      throw RetortError(
        .badData,
        "the corpus is shorter than when the build was started; build again with "
          + "--overwrite", path: name)
    }
  }

  private func tokenize(
    _ passages: [Passage], _ encoder: TextEncoder, number: Int, empty: Int, hash: UInt128,
    reader: CorpusReader
  ) throws(RetortError) -> TokenizedBlock {
    var ids: [[Int32]] = []
    var truncated = 0
    for passage in passages {
      try Interruption.check()
      let tokens = encoder.tokenize(passage.text)
      ids.append(tokens.ids)
      if tokens.isTruncated { truncated += 1 }
    }
    return TokenizedBlock(
      number: number, passages: passages, ids: ids, truncatedTexts: truncated, emptyTexts: empty,
      corpusHash: hash, bytesRead: reader.bytesRead)
  }

  private static func extend(_ hash: UInt128, by passage: Passage) -> UInt128 {
    var seed = Hashing.mix(
      UInt64(truncatingIfNeeded: hash) ^ UInt64(truncatingIfNeeded: hash >> 64))
    seed ^= UInt64(passage.id.utf8.count)
    return Hashing.hash128(passage.text.utf8, seed: seed)
      ^ Hashing.hash128(passage.id.utf8, seed: ~seed)
  }
}

/// Hands a value that is not Sendable to the one thread that will use it.
private struct UncheckedBox<Value>: @unchecked Sendable {
  let value: Value

  init(_ value: Value) { self.value = value }
}
