import Dispatch
import Formats
import Models
import Platform
import Synchronization

/// A block of passages on its way from the corpus to the index. It is encoded in units that any
/// thread may take; units depend on the texts alone.
final class EncodingBlock: Sendable {
  /// The block's place among all blocks, from 0.
  let number: Int
  let passages: [Passage]
  /// Passages without text.
  let emptyTexts: Int
  /// The hash of the corpus up to the end of this block.
  let corpusHash: UInt128
  /// Bytes of the corpus read so far, for the time left.
  let bytesRead: Int
  /// The ranges of passages that are encoded together.
  let units: [Range<Int>]

  private struct State {
    var vectors: [[Float]]
    var truncated = 0
    var remaining: Int
    var failure: (unit: Int, error: RetortError)?
  }

  private let state: Mutex<State>
  private let done = DispatchSemaphore(value: 0)

  /// Text that a unit holds about, in bytes: some thousand tokens, a second's work or less.
  private static let unitBytes = 64 << 10

  /// - Parameter maxLength: tokens of a text that are encoded at most.
  init(
    number: Int, passages: [Passage], emptyTexts: Int, corpusHash: UInt128, bytesRead: Int,
    maxLength: Int
  ) {
    self.number = number
    self.passages = passages
    self.emptyTexts = emptyTexts
    self.corpusHash = corpusHash
    self.bytesRead = bytesRead
    units = Self.units(passages, maxLength: maxLength)
    state = Mutex(State(vectors: Array(repeating: [], count: units.count), remaining: units.count))
  }

  private static func units(_ passages: [Passage], maxLength: Int) -> [Range<Int>] {
    var units: [Range<Int>] = []
    var start = 0
    var bytes = 0
    for (place, passage) in passages.enumerated() {
      // A token is some four bytes; what lies beyond the maximum length costs next to nothing.
      bytes += min(passage.text.utf8.count, 4 * maxLength) + 16
      if bytes >= unitBytes || place + 1 == passages.count {
        units.append(start..<(place + 1))
        start = place + 1
        bytes = 0
      }
    }
    return units
  }

  /// Tokenizes and encodes one unit on the calling thread; failures are kept for `vectors`.
  func encode(unit: Int, with encoder: TextEncoder, modelPath: String, clock: StageClock) {
    let result: Result<(vectors: [Float], truncated: Int), RetortError>
    do throws(RetortError) {
      let tokens = try clock.measure(\.tokenize) { () throws(RetortError) in
        try tokenize(units[unit], with: encoder)
      }
      let vectors = try clock.measure(\.encode) { () throws(RetortError) in
        try encoder.encode(tokens.ids, threads: 1)
      }
      try requireFinite(vectors, units[unit], modelPath: modelPath)
      result = .success((vectors, tokens.truncated))
    } catch {
      result = .failure(error)
    }
    finish(unit, result)
  }

  private func tokenize(
    _ range: Range<Int>, with encoder: TextEncoder
  ) throws(RetortError) -> (ids: [[Int32]], truncated: Int) {
    var ids: [[Int32]] = []
    var truncated = 0
    for place in range {
      try Interruption.check()
      let tokens = encoder.tokenize(passages[place].text)
      ids.append(tokens.ids)
      if tokens.isTruncated { truncated += 1 }
    }
    return (ids, truncated)
  }

  private func requireFinite(
    _ vectors: [Float], _ range: Range<Int>, modelPath: String
  ) throws(RetortError) {
    guard let bad = vectors.firstIndex(where: { !$0.isFinite }) else { return }
    let place = range.lowerBound + bad / (vectors.count / range.count)
    throw RetortError(
      .badData,
      "the model gives a vector with NaN or infinity for passage \"\(passages[place].id)\"; its "
        + "weights are damaged or not an encoder's", path: modelPath)
  }

  private func finish(
    _ unit: Int, _ result: Result<(vectors: [Float], truncated: Int), RetortError>
  ) {
    let isLast = state.withLock { state in
      switch result {
      case .success(let encoded):
        state.vectors[unit] = encoded.vectors
        state.truncated += encoded.truncated
      case .failure(let error):
        if state.failure.map({ unit < $0.unit }) ?? true { state.failure = (unit, error) }
      }
      state.remaining -= 1
      return state.remaining == 0
    }
    if isLast { done.signal() }
  }

  /// Waits until all units are encoded; the vectors row by row, and how many texts were cut. Called
  /// once.
  func encoded() throws(RetortError) -> (vectors: [Float], truncatedTexts: Int) {
    done.wait()
    return try state.withLock { state throws(RetortError) in
      if let failure = state.failure { throw failure.error }
      return (Array(state.vectors.joined()), state.truncated)
    }
  }
}
