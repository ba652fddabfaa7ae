/// What was mined for one query; a line of the file that survives a killed run.
struct MinedQuery: Sendable, Equatable {
  /// Passages by number, and what the teacher says of them.
  struct Pair: Sendable, Equatable {
    var positive: Int
    var negative: Int
    var scores: [Float] = []
  }

  /// The place of the query.
  var place: Int
  var counts: MiningCounts
  var pairs: [Pair]

  init(place: Int, counts: MiningCounts, pairs: [Pair]) {
    self.place = place
    self.counts = counts
    self.pairs = pairs
  }

  /// `place TAB counts` and for every pair `TAB positive negative`, with a teacher's two scores.
  var line: String {
    var columns = ["\(place)", counts.values.map(String.init).joined(separator: " ")]
    for pair in pairs {
      columns.append(
        (["\(pair.positive)", "\(pair.negative)"] + pair.scores.map { "\($0)" })
          .joined(separator: " "))
    }
    return columns.joined(separator: "\t")
  }

  /// Reads `line`; nil where it is not one of the query `place`, about passages below `capacity`.
  init?(_ line: String, place: Int, capacity: Int) {
    let columns = line.split(separator: "\t", omittingEmptySubsequences: false)
    guard columns.count >= 2, Int(decimal: columns[0]) == place else { return nil }
    let numbers = columns[1].split(separator: " ").map { Int(decimal: $0) }
    guard let counts = MiningCounts(numbers.compactMap { $0 }), !numbers.contains(nil) else {
      return nil
    }
    self.place = place
    self.counts = counts
    pairs = []
    for column in columns.dropFirst(2) {
      let parts = column.split(separator: " ")
      guard parts.count == 2 || parts.count == 4, let positive = Int(decimal: parts[0]),
        let negative = Int(decimal: parts[1]), (0..<capacity).contains(positive),
        (0..<capacity).contains(negative)
      else { return nil }
      let scores = parts.dropFirst(2).compactMap { Float($0) }
      guard scores.count == parts.count - 2, scores.allSatisfy(\.isFinite) else { return nil }
      pairs.append(Pair(positive: positive, negative: negative, scores: scores))
    }
  }
}
