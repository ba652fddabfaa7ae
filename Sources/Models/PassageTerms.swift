/// What a re-ranker keeps of passages so that it need not read them again: a row of numbers a token.
package struct PassageTerms: Sendable, Equatable {
  /// The rows of all passages, Σ tokens × the re-ranker's `termDimension`, real tokens only.
  package var values: [Float]
  /// Where each passage's rows begin, and one past the last: passages + 1 numbers of rows.
  package var offsets: [Int]
  /// Passages that were longer than the model takes, and of which only the start was read.
  package var truncated: Int

  /// Terms of passages.
  package init(values: [Float] = [], offsets: [Int] = [0], truncated: Int = 0) {
    self.values = values
    self.offsets = offsets
    self.truncated = truncated
  }
}
