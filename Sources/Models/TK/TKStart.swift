import Formats
import Platform
import Tensors
import Text

/// What a new TK is made of: its words, and where their vectors come from.
package struct TKStart: Sendable {
  /// How often texts have each word.
  private var counts: [String: Int] = [:]
  /// Words counted.
  package private(set) var total = 0

  package init() {}

  /// Counts the words of a text.
  package mutating func add(_ text: String) {
    for word in WordSplitter.words(of: text) {
      counts[word, default: 0] += 1
      total += 1
    }
  }

  /// The network and its words, and what was decided, a sentence each.
  ///
  /// - Parameters:
  ///   - embeddings: a file of words' vectors; words that it lacks are unknown. Nil: vectors are drawn.
  ///   - dimension: the width of vectors that are drawn.
  ///   - limit: words at most, the most frequent ones; equally frequent ones by their bytes.
  func make(
    embeddings: String?, dimension: Int?, limit: Int, seed: UInt64,
    _ adjust: (inout TKConfiguration) -> Void
  ) throws(RetortError) -> (network: TKNetwork, vocabulary: WordVocabulary, notes: [String]) {
    var random = SplitMix64(seed: seed)
    let found = try embeddings.map { path throws(RetortError) in
      try WordVectors.read(path: path, wanted: Set(counts.keys))
    }
    if let found, let dimension, dimension != found.dimension {
      throw RetortError(
        .usage,
        "has vectors of \(found.dimension) numbers, not \(dimension); leave --dimension out",
        path: embeddings)
    }
    let known = found.map { found in counts.filter { found.vectors[$0.key] != nil } } ?? counts
    guard !known.isEmpty else {
      throw RetortError(
        .badData,
        "has vectors of none of the texts' \(counts.count) words; name vectors of lower-cased words "
          + "of their language", path: embeddings)
    }
    let ordered = known.ordered { one, other in
      one.value != other.value
        ? one.value > other.value : one.key.precedesInBytes(other.key)
    }
    let words = ordered.prefix(limit).map(\.key)
    let covered = ordered.prefix(limit).reduce(0) { $0 + $1.value }
    let vocabulary = WordVocabulary(words: words)
    let width = found?.dimension ?? dimension ?? Self.usualDimension
    var configuration = TKConfiguration(words: vocabulary.count, width: width)
    adjust(&configuration)
    try configuration.check()
    // Nothing, and unknown words: a vector near the others' origin.
    var values = [Float](repeating: 0, count: 2 * width)
    for column in 0..<width { values[width + column] = Float(0.1 * random.normal()) }
    values.reserveCapacity(vocabulary.count * width)
    for word in words {
      if let vector = found?.vectors[word] {
        values += vector
      } else {
        for _ in 0..<width { values.append(Float(random.normal())) }
      }
    }
    let network = TKNetwork(
      configuration, words: Matrix(rows: vocabulary.count, columns: width, values: values), &random)
    let share = Int((1000 * Double(covered) / Double(max(total, 1))).rounded())
    let source =
      found.map { "of \($0.words) in \(embeddings ?? "")" }
      ?? "drawn from N(0, 1) with the seed \(seed)"
    return (
      network, vocabulary,
      [
        "\(words.count) words, which are \(share / 10).\(share % 10)% of the texts'; their vectors of "
          + "\(width) numbers are \(source)",
        "queries are cut to \(configuration.queryLength) words, passages to "
          + "\(configuration.passageLength)",
      ]
    )
  }

  /// The width of GloVe's vectors.
  private static let usualDimension = 300
}
