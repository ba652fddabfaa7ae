import Formats
import Models
import Platform
import Store
import Synchronization

/// Reads a corpus on a thread of its own and encodes it on others, some blocks ahead of whoever
/// takes the finished blocks, in order, with `next`.
final class EncodingPipeline: Sendable {
  /// What the reader hands on: a block, or the error that ended reading.
  private enum Message: Sendable {
    case block(EncodingBlock)
    case failure(RetortError)
  }

  private struct Unit: Sendable {
    var block: EncodingBlock
    var number: Int
  }

  /// What never changes while the pipeline runs.
  private struct Settings: Sendable {
    var name: String
    var encoder: TextEncoder
    var modelPath: String
    var batchSize: Int
    var known: KnownPassages?
    var budget: ThreadBudget
    var clock: StageClock
  }

  private let settings: Settings
  private let blocks: BoundedQueue<Message>
  private let units: BoundedQueue<Unit>
  private let skipped = Mutex<(count: Int, report: [String], fields: [String])>((0, [], []))
  private let familiar = Mutex<(unchanged: Int, reused: Int)>((0, 0))
  private let threads = Mutex<[StageTask]>([])

  /// Bad lines skipped in the whole corpus, once all blocks have been taken.
  var badLines: Int { skipped.withLock { $0.count } }

  /// What was skipped and why, once all blocks have been taken.
  var badLineReport: [String] { skipped.withLock { $0.report } }

  /// What metadata was left out, once all blocks have been taken.
  var leftOutFields: [String] { skipped.withLock { $0.fields } }

  /// Passages left out because the index has them already, once all blocks have been taken.
  var unchanged: Int { familiar.withLock { $0.unchanged } }

  /// Passages whose vectors were taken from the index, once all blocks have been taken.
  var reused: Int { familiar.withLock { $0.reused } }

  /// Starts reading and encoding.
  ///
  /// - Parameters:
  ///   - known: what the index holds already; unchanged passages are left out, known texts are not
  ///     encoded again.
  ///   - done: the corpus hashes of the blocks that an earlier run finished; those are read again
  ///     and compared, but not handed out.
  init(
    reader: CorpusReader, encoder: TextEncoder, modelPath: String, batchSize: Int,
    known: KnownPassages?, done: [UInt128], threads count: Int, budget: ThreadBudget,
    clock: StageClock
  ) {
    settings = Settings(
      name: reader.name, encoder: encoder, modelPath: modelPath, batchSize: batchSize,
      known: known, budget: budget, clock: clock)
    // Enough to occupy every thread with blocks of one unit; texts of as many blocks are in memory.
    blocks = BoundedQueue(capacity: count + 2)
    units = BoundedQueue(capacity: count + 2)
    let source = UncheckedBox(reader)
    let reading = StageTask { [self] in
      do throws(RetortError) {
        try read(source.value, done: done)
      } catch {
        _ = blocks.push(.failure(error))
      }
      let reader = source.value
      skipped.withLock { $0 = (reader.badLines, reader.badLineReport, reader.leftOutFields) }
      units.close()
      blocks.close()
    }
    let workers = (0..<count).map { _ in
      StageTask { [self] in
        while let unit = units.pop() {
          settings.budget.compute {
            unit.block.encode(
              unit: unit.number, with: settings.encoder, modelPath: settings.modelPath,
              clock: settings.clock)
          }
        }
      }
    }
    threads.withLock { $0 = [reading] + workers }
  }

  /// The next block, encoded or about to be; nil after the last.
  func next() throws(RetortError) -> EncodingBlock? {
    switch blocks.pop() {
    case .block(let block): return block
    case .failure(let error): throw error
    case nil: return nil
    }
  }

  /// Ends the threads and waits for them, though not for ever: reading may hang in a pipe that
  /// nobody writes to, and ends with the pipe.
  func stop() {
    blocks.close()
    units.close()
    while blocks.pop() != nil {}
    while units.pop() != nil {}
    threads.withLock { threads in
      for thread in threads { thread.wait(atMost: 0.7) }
      threads = []
    }
  }

  /// A block ends early after this much text, so that a few of them fit into memory.
  private static let blockBytes = 32 << 20

  private func read(_ reader: CorpusReader, done: [UInt128]) throws(RetortError) {
    var seen = Set<UInt128>()
    var hash: UInt128 = 0
    var number = 0
    while true {
      let start = threadSeconds()
      let (passages, empty) = try readBlock(reader, &seen, &hash)
      settings.clock.add(\.read, threadSeconds() - start)
      guard !passages.isEmpty else { break }
      let vectors = try knownVectors(passages)
      if number < done.count {
        guard done[number] == hash else {
          throw RetortError(
            .badData,
            "the corpus is not the one the build was started with (it differs before line "
              + "\(reader.lineNumber)); build again with --overwrite", path: settings.name)
        }
      } else {
        let block = EncodingBlock(
          number: number, passages: passages, known: vectors, emptyTexts: empty,
          corpusHash: hash, bytesRead: reader.bytesRead, encoder: settings.encoder)
        guard blocks.push(.block(block)) else { return }
        for unit in block.units.indices {
          guard units.push(Unit(block: block, number: unit)) else { return }
        }
      }
      number += 1
    }
    guard number >= done.count else {
      throw RetortError(
        .badData,
        "the corpus is shorter than when the build was started; build again with "
          + "--overwrite", path: settings.name)
    }
  }

  /// The next passages, none at the end of the corpus, and how many of them have no text.
  private func readBlock(
    _ reader: CorpusReader, _ seen: inout Set<UInt128>, _ hash: inout UInt128
  ) throws(RetortError) -> ([Passage], emptyTexts: Int) {
    var passages: [Passage] = []
    var emptyTexts = 0
    var bytes = 0
    while passages.count < settings.batchSize, bytes < Self.blockBytes {
      try Interruption.check()
      let emptyBefore = reader.emptyTexts
      guard let passage = try reader.next() else { break }
      let inserted = seen.insert(Hashing.hash128(passage.id.utf8, seed: 1)).inserted
      guard inserted else {
        throw RetortError(
          .badData,
          "the id \"\(passage.id)\" occurs twice; ids must be unique in a corpus",
          path: settings.name, at: .line(reader.lineNumber))
      }
      hash = Self.extend(hash, by: passage)
      if let known = settings.known, try known.holds(passage) {
        familiar.withLock { $0.unchanged += 1 }
        continue
      }
      bytes += passage.text.utf8.count
      emptyTexts += reader.emptyTexts - emptyBefore
      passages.append(passage)
    }
    return (passages, emptyTexts)
  }

  /// The vectors, by place, of the passages whose text the index knows.
  private func knownVectors(_ passages: [Passage]) throws(RetortError) -> [Int: [Float]] {
    guard let known = settings.known else { return [:] }
    var vectors: [Int: [Float]] = [:]
    for (place, passage) in passages.enumerated() {
      vectors[place] = try known.vector(ofText: passage.text)
    }
    familiar.withLock { $0.reused += vectors.count }
    return vectors
  }

  private static func extend(_ hash: UInt128, by passage: Passage) -> UInt128 {
    var seed = Hashing.mix(
      UInt64(truncatingIfNeeded: hash) ^ UInt64(truncatingIfNeeded: hash >> 64))
    seed ^= UInt64(passage.id.utf8.count)
    if !passage.fields.isEmpty {
      seed ^= UInt64(
        truncatingIfNeeded: Hashing.hash128(encodedFields(passage.fields), seed: seed))
    }
    return Hashing.hash128(passage.text.utf8, seed: seed)
      ^ Hashing.hash128(passage.id.utf8, seed: ~seed)
  }
}

/// Hands a value that is not Sendable to the one thread that will use it.
private struct UncheckedBox<Value>: @unchecked Sendable {
  let value: Value

  init(_ value: Value) { self.value = value }
}
