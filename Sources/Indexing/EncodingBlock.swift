import Dispatch
import Formats
import Models
import Platform
import Synchronization

/// A block of passages on its way from the corpus to the index. What has no vector yet is encoded in
/// units that any thread may take; units depend on the texts alone.
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
  /// The places of the passages that are encoded together.
  let units: [[Int]]
  private let dimension: Int

  private struct State {
    /// Row-major, a row a passage.
    var vectors: [Float]
    var truncated = 0
    var remaining: Int
    var failure: (unit: Int, error: RetortError)?
  }

  private let state: Mutex<State>
  private let done = DispatchSemaphore(value: 0)

  /// Text that a unit holds about, in bytes: some thousand tokens, a second's work or less.
  private static let unitBytes = 64 << 10

  /// - Parameters:
  ///   - known: vectors, by place, of passages that need not be encoded.
  ///   - encoder: the encoder of the others.
  init(
    number: Int, passages: [Passage], known: [Int: [Float]], emptyTexts: Int, corpusHash: UInt128,
    bytesRead: Int, encoder: TextEncoder
  ) {
    self.number = number
    self.passages = passages
    self.emptyTexts = emptyTexts
    self.corpusHash = corpusHash
    self.bytesRead = bytesRead
    dimension = encoder.dimension
    units = Self.units(
      passages, places: passages.indices.filter { known[$0] == nil }, maxLength: encoder.maxLength)
    var vectors = [Float](repeating: 0, count: passages.count * encoder.dimension)
    for (place, vector) in known { vectors.setRow(place, to: vector[...]) }
    state = Mutex(State(vectors: vectors, remaining: units.count))
    if units.isEmpty { done.signal() }
  }

  private static func units(_ passages: [Passage], places: [Int], maxLength: Int) -> [[Int]] {
    var units: [[Int]] = []
    var unit: [Int] = []
    var bytes = 0
    for place in places {
      // A token is some four bytes; what lies beyond the maximum length costs next to nothing.
      unit.append(place)
      bytes += min(passages[place].text.utf8.count, 4 * maxLength) + 16
      if bytes >= unitBytes {
        units.append(unit)
        unit = []
        bytes = 0
      }
    }
    return unit.isEmpty ? units : units + [unit]
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
    _ places: [Int], with encoder: TextEncoder
  ) throws(RetortError) -> (ids: [[Int32]], truncated: Int) {
    var ids: [[Int32]] = []
    var truncated = 0
    for place in places {
      try Interruption.check()
      let tokens = encoder.tokenize(passages[place].text)
      ids.append(tokens.ids)
      if tokens.isTruncated { truncated += 1 }
    }
    return (ids, truncated)
  }

  private func requireFinite(
    _ vectors: [Float], _ places: [Int], modelPath: String
  ) throws(RetortError) {
    guard let bad = vectors.firstIndex(where: { !$0.isFinite }) else { return }
    let place = places[bad / dimension]
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
        for (row, place) in units[unit].enumerated() {
          state.vectors.setRow(
            place, to: encoded.vectors[(row * dimension)..<((row + 1) * dimension)])
        }
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
      return (state.vectors, state.truncated)
    }
  }
}

extension [Float] {
  /// Replaces the row at `place` of a row-major matrix as wide as `row`.
  fileprivate mutating func setRow(_ place: Int, to row: ArraySlice<Float>) {
    replaceSubrange((place * row.count)..<((place + 1) * row.count), with: row)
  }
}
