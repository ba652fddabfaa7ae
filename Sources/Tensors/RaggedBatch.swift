/// Sequences of token ids laid end to end: one row per real token, no padding.
package struct RaggedBatch: Sendable {
  /// Token ids of all sequences.
  package private(set) var ids: [Int32] = []
  /// The token type (segment) of every token.
  package private(set) var types: [Int32] = []
  /// The position of every token in its sequence.
  package private(set) var positions: [Int32] = []
  /// How many tokens of every sequence, from its first, others attend to; nearly always all.
  package private(set) var keys: [Int] = []
  /// Row offsets: sequence s is rows `offsets[s]..<offsets[s + 1]`.
  package private(set) var offsets: [Int] = [0]

  /// An empty batch.
  package init() {}

  /// A batch of sequences with positions from 0 and all types 0.
  package init(_ sequences: [[Int32]]) {
    for sequence in sequences { append(sequence) }
  }

  /// Sequences of which only the lengths matter.
  package init(lengths: [Int]) {
    for length in lengths { append([Int32](repeating: 0, count: length)) }
  }

  /// The number of sequences.
  package var count: Int { offsets.count - 1 }
  /// The number of tokens.
  package var tokens: Int { ids.count }

  /// Appends a sequence; `types` is all 0 when nil, positions count from `firstPosition`, and
  /// `keys` is all of it when nil.
  package mutating func append(
    _ ids: [Int32], types: [Int32]? = nil, firstPosition: Int32 = 0, keys: Int? = nil
  ) {
    precondition(keys.map { $0 > 0 && $0 <= ids.count } ?? true, "keys are tokens of the sequence")
    self.keys.append(keys ?? ids.count)
    precondition(types == nil || types?.count == ids.count, "one type per token")
    self.ids += ids
    self.types += types ?? [Int32](repeating: 0, count: ids.count)
    for position in 0..<Int32(ids.count) { positions.append(firstPosition + position) }
    offsets.append(self.ids.count)
  }

  /// The first row of every sequence ([CLS]); every sequence must have one.
  package var firstRows: [Int32] { offsets.dropLast().map(Int32.init) }
}

/// How many sequences run together: a plan that depends on lengths alone, never on threads.
package enum MicroBatches {
  /// Indices of sequences, grouped for one forward pass each, longest first.
  ///
  /// Groups hold up to `tokens` tokens (or one longer sequence), so that matrix products are tall
  /// enough to be fast and activations still fit the cache. Sequences of length 0 are left out.
  package static func plan(lengths: [Int], tokens: Int) -> [[Int]] {
    let order = lengths.indices.filter { lengths[$0] > 0 }
      .ordered { (lengths[$1], $0) < (lengths[$0], $1) }
    var batches: [[Int]] = []
    var current: [Int] = []
    var filled = 0
    for index in order {
      if !current.isEmpty, filled + lengths[index] > tokens {
        batches.append(current)
        current = []
        filled = 0
      }
      current.append(index)
      filled += lengths[index]
    }
    if !current.isEmpty { batches.append(current) }
    return batches
  }
}
