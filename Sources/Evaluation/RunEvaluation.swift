import Formats
import Platform

/// The values of measures for a run, query by query.
public struct RunEvaluation: Sendable {
  /// Which queries are averaged over.
  public enum QuerySet: Sendable {
    /// All queries of the qrels; one that the run lacks scores 0. ir_measures' way, trec_eval's -c.
    case allJudged
    /// The queries that both run and qrels have. trec_eval's way without -c.
    case common
  }

  /// How precisely scores are compared.
  public enum ScorePrecision: String, Sendable, CaseIterable {
    /// 32 bits, as trec_eval up to version 9 and all that wrap it: close scores tie.
    case float32
    /// 64 bits, as trec_eval 10.
    case float64
  }

  /// What was measured.
  public let measures: [Measure]
  /// The queries that count, in the order of the qrels.
  public let queryIDs: [String]
  /// Judged queries that the run lacks. They count as 0 or not at all, by the query set.
  public let missingQueries: Int
  /// Queries of the run without judgements; they never count.
  public let unjudgedQueries: Int
  private let byMeasure: [[Double]]

  /// Measures a run.
  ///
  /// Documents are ordered by score, higher first, and equal scores by id, byte-wise, larger
  /// first; MS MARCO runs by their rank column, whose gaps stay gaps. A document that is not
  /// judged is not relevant. A query without relevant documents scores 0 and counts.
  /// `relevance` is the lowest relevant grade for measures that do not name their own.
  public init(
    _ run: Run, against qrels: Qrels, measures: [Measure] = Measure.defaults,
    queries: QuerySet = .allJudged, scores: ScorePrecision = .float32, relevance: Int = 1
  ) {
    var ids: [String] = []
    var values = [[Double]](repeating: [], count: measures.count)
    var missing = 0
    for (query, id) in qrels.table.queryIDs.enumerated() {
      let place = run.table.query(id)
      if place == nil {
        missing += 1
        if queries == .common { continue }
      }
      let ranking = JudgedRanking(
        run: run, query: place, qrels: qrels, judgedQuery: query, scores: scores)
      ids.append(id)
      for (index, measure) in measures.enumerated() {
        values[index].append(measure.value(of: ranking, defaultRelevance: relevance))
      }
    }
    self.measures = measures
    queryIDs = ids
    byMeasure = values
    missingQueries = missing
    unjudgedQueries = run.queryIDs.count { qrels.table.query($0) == nil }
  }

  /// The values of the measure at `index`, one a query, in the order of `queryIDs`.
  public func values(_ index: Int) -> [Double] { byMeasure[index] }

  /// The mean over the queries of the measure at `index` (the sum, for counts); 0 without queries.
  public func summary(_ index: Int) -> Double {
    let values = byMeasure[index]
    let sum = values.reduce(0, +)
    return measures[index].isSum || values.isEmpty ? sum : sum / Double(values.count)
  }
}

extension RunEvaluation {
  /// The same evaluation over only those of its queries that `keep` holds.
  func restricted(to keep: Set<ByteKey>) -> RunEvaluation {
    let places = queryIDs.indices.filter { keep.contains(ByteKey(queryIDs[$0])) }
    return RunEvaluation(
      measures: measures, queryIDs: places.map { queryIDs[$0] }, missingQueries: missingQueries,
      unjudgedQueries: unjudgedQueries,
      byMeasure: byMeasure.map { values in places.map { values[$0] } })
  }

  private init(
    measures: [Measure], queryIDs: [String], missingQueries: Int, unjudgedQueries: Int,
    byMeasure: [[Double]]
  ) {
    self.measures = measures
    self.queryIDs = queryIDs
    self.missingQueries = missingQueries
    self.unjudgedQueries = unjudgedQueries
    self.byMeasure = byMeasure
  }
}
