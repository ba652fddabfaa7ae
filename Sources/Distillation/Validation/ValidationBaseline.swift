import Evaluation
import Formats
import Platform

/// The queries and passages of a reduced corpus that a baseline chooses: what Hofstätter et al.
/// stop early by.
///
/// Queries are drawn in equal shares from bins of equal width over what a measure gives the
/// baseline's answers, so that those it fails at are not outnumbered; the passages are its best for
/// each of them. Measures over these and all relevant passages follow those over the whole corpus.
package struct ValidationBaseline {
  /// Drawn queries, in the order given.
  package private(set) var queries: [Query] = []
  /// Ids of the baseline's best passages for them.
  package private(set) var passages: Set<ByteKey> = []
  /// The shares, in a few words.
  package private(set) var summary = ""

  /// Draws from `queries`, which have relevant passages.
  package init(
    run path: String, _ options: ValidationOptions, qrels: Qrels, queries: [Query], seed: UInt64
  ) throws(RetortError) {
    let run = try Run(path: path)
    let answered = queries.count { run.hits(for: $0.id) != nil }
    guard answered > 0 else {
      throw RetortError(
        .badData, "answers none of the validation's queries; name a run of theirs", path: path)
    }
    let measure =
      options.target == .nDCG10
      ? Measure(.nDCG, cutoff: 10) : Measure(.reciprocalRank, cutoff: 10)
    let evaluation = RunEvaluation(run, against: qrels, measures: [measure])
    let values = Dictionary(
      zip(evaluation.queryIDs, evaluation.values(0)).map { (ByteKey($0), $1) }
    ) { first, _ in first }
    // A query that the baseline did not answer is one it fails at.
    let drawn = Self.draw(
      queries.map { ($0.id, values[ByteKey($0.id)] ?? 0) }, count: options.queries,
      bins: options.bins, seed: seed)
    self.queries = drawn.places.map { queries[$0] }
    for query in self.queries {
      guard let place = run.table.query(query.id) else { continue }
      for row in run.rankedRows(place).prefix(options.depth) {
        passages.insert(ByteKey(run.table.documents[row]))
      }
    }
    let shares = drawn.shares.map(String.init).joined(separator: ", ")
    summary =
      "\(self.queries.count) of \(counted(queries.count, "query")), by the baseline's "
      + "\(options.target.rawValue) from low to high \(shares)"
  }

  /// Places of drawn queries, ascending, and how many come from each bin: `count` / `bins` of each,
  /// all of a bin that has fewer, those whose hashes of seed and id are least.
  package static func draw(
    _ queries: [(id: String, value: Double)], count: Int, bins: Int, seed: UInt64
  ) -> (places: [Int], shares: [Int]) {
    var members = [[(hash: UInt128, place: Int)]](repeating: [], count: bins)
    let places = EqualWidthBins.places(queries.map(\.value), count: bins)
    for (place, bin) in places.enumerated() {
      let hash = Hashing.hash128(Array(queries[place].id.utf8), seed: seed)
      members[bin].append((hash, place))
    }
    let drawn = members.map { $0.ordered { $0.hash < $1.hash }.prefix(count / bins) }
    return (drawn.joined().map(\.place).ordered(), drawn.map(\.count))
  }
}
