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
  /// Texts that were longer than the model takes.
  package var truncated = 0

  package init() {}
}
