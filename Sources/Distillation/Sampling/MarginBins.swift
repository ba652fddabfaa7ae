import Evaluation

/// A query's triples by the teacher's margin, in bins of equal width.
enum MarginBins {
  /// By query its triples in bins, empty ones left out; without `bins` all of them in one.
  static func byQuery(_ data: TrainingData, bins: Int) -> [[[Int32]]] {
    var members = [[Int32]](repeating: [], count: data.queryCount)
    for triple in 0..<data.count { members[data.query(ofTriple: triple)].append(Int32(triple)) }
    return members.map { triples in
      let places = EqualWidthBins.places(triples.map { data.margin(Int($0)) }, count: bins)
      var filled = [[Int32]](repeating: [], count: max(bins, 1))
      for (triple, place) in zip(triples, places) { filled[place].append(triple) }
      return filled.filter { !$0.isEmpty }
    }
  }
}
