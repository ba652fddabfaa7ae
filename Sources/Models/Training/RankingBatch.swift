import Platform
import Tensors

/// A query with passages to rank, as texts; the positive passage comes first.
package struct RankingItem: Sendable {
  /// The query.
  package var query: String
  /// The passages.
  package var passages: [String]

  /// Makes an item.
  package init(query: String, passages: [String]) {
    self.query = query
    self.passages = passages
  }
}

/// Which passages of a batch a query is scored with.
package enum PassageSharing: Sendable {
  /// Its own.
  case own
  /// Its own, then those of other items, but for its positive one, which is no negative of itself.
  case others
  /// Those of all items, in their order.
  case all
}

/// Items as token ids, and where their scores are.
package struct RankingBatch: Sendable {
  /// All sequences of the forward pass.
  package var tokens = RaggedBatch()
  /// For models that encode queries and passages by themselves: the sequences of every score.
  package var pairs: [(Int32, Int32)] = []
  /// The scores of every item: its own passages in order, then what it shares with the batch.
  package var lists: [Range<Int>] = []
  /// The rows of `tokens` that have a vector; nil: all.
  package var kept: [Int32]?
  /// Which of these rows are a sequence's: `offsets[s]..<offsets[s + 1]`.
  package var keptOffsets: [Int] = []
  /// Texts that were longer than the model takes.
  package var truncated = 0

  package init() {}
}

/// A query with its passages as sequences of their own.
struct SequenceItem: Sendable {
  var query: TermSequence
  var passages: [TermSequence]

  /// Tokenises items on `threads` threads.
  static func make(
    _ items: [RankingItem], threads: Int,
    _ sequence: @Sendable (String, TextRole) -> TermSequence
  ) -> [SequenceItem] {
    let encoded = OrderedResults<SequenceItem>(count: items.count)
    parallelFor(items.count, threads: threads) { number, _ in
      let item = items[number]
      encoded.set(
        number,
        SequenceItem(
          query: sequence(item.query, .query),
          passages: item.passages.map { sequence($0, .passage) }))
    }
    return encoded.values
  }

  /// Items of sequences of ids.
  static func make(ids items: [(query: [Int32], passages: [[Int32]])]) -> [SequenceItem] {
    items.map { item in
      SequenceItem(
        query: TermSequence(item.query), passages: item.passages.map { TermSequence($0) })
    }
  }
}

extension RankingBatch {
  /// Adds lists of so many scores, one behind the other.
  mutating func addLists(_ counts: [Int]) {
    for count in counts {
      let first = lists.last?.upperBound ?? 0
      lists.append(first..<first + count)
    }
  }

  /// A batch of queries and passages that are encoded by themselves.
  ///
  /// `sharing` says which passages a query is scored with. `append` adds a sequence to the batch's
  /// tokens, where the model has a way of its own.
  init(
    _ items: [SequenceItem], sharing: PassageSharing,
    _ append: ((inout RaggedBatch, TermSequence, TextRole) -> Void)? = nil
  ) {
    self.init()
    var kept: [Int32] = []
    keptOffsets = [0]
    func add(_ sequence: TermSequence, _ role: TextRole) {
      let first = Int32(tokens.tokens)
      if let append {
        append(&tokens, sequence, role)
      } else {
        tokens.append(sequence.ids, keys: sequence.keys)
      }
      kept += sequence.kept.map { first + $0 }
      keptOffsets.append(kept.count)
      if sequence.isTruncated { truncated += 1 }
    }
    var own: [Range<Int32>] = []
    for item in items {
      add(item.query, .query)
      let first = Int32(tokens.count)
      for passage in item.passages { add(passage, .passage) }
      own.append(first..<Int32(tokens.count))
    }
    if kept.count != tokens.tokens { self.kept = kept }
    for (number, passages) in own.enumerated() {
      let first = pairs.count
      let query = passages.lowerBound - 1
      for passage in sharing == .all ? own.flatMap({ $0 }) : Array(passages) {
        pairs.append((query, passage))
      }
      if sharing == .others {
        // The positive passage may be in other triples, too: it is no negative of itself.
        let positive = items[number].passages.first?.ids
        for (other, range) in own.enumerated() where other != number {
          for (passage, place) in zip(items[other].passages, range) where passage.ids != positive {
            pairs.append((query, place))
          }
        }
      }
      lists.append(first..<pairs.count)
    }
  }
}
