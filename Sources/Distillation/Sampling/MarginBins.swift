import Platform

/// A query's triples by the teacher's margin, in bins of equal width.
package enum MarginBins {
  /// The bin of each margin, of `count` from the smallest margin to the largest.
  ///
  /// The largest lies in the last bin. Where all margins are the same, or so near that a bin would
  /// have no width, all lie in the first.
  package static func places(_ margins: [Double], count: Int) -> [Int] {
    guard let least = margins.min(), let most = margins.max() else { return [] }
    let width = (most - least) / Double(max(count, 1))
    guard count > 1, width > 0, width.isFinite else { return margins.map { _ in 0 } }
    return margins.map { min(Int(($0 - least) / width), count - 1) }
  }

  /// By query its triples in bins, empty ones left out; without `bins` all of them in one.
  static func byQuery(_ data: TrainingData, bins: Int) -> [[[Int32]]] {
    var members = [[Int32]](repeating: [], count: data.queryCount)
    for triple in 0..<data.count { members[data.query(ofTriple: triple)].append(Int32(triple)) }
    return members.map { triples in
      let places = Self.places(triples.map { data.margin(Int($0)) }, count: bins)
      var filled = [[Int32]](repeating: [], count: max(bins, 1))
      for (triple, place) in zip(triples, places) { filled[place].append(triple) }
      return filled.filter { !$0.isEmpty }
    }
  }
}
