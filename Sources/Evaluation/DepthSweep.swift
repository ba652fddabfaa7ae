import Formats
import Platform

/// The measures of a re-ranked run at every depth, from one scoring.
///
/// At depth n the run is what it would be if only the first n candidates of every query had been
/// re-ranked, and nothing else been retrieved: documents whose candidate rank exceeds n are taken out
/// and the others move up.
public struct DepthSweep: Sendable {
  /// What was measured.
  public let measures: [Measure]
  /// The depths, ascending.
  public let depths: [Int]
  /// The number of queries that count.
  public let queries: Int
  /// Judged queries that the run lacks.
  public let missingQueries: Int
  /// Documents of the run that are not among the candidates of their query; they are left out.
  public let strangers: Int
  /// Documents of the run in judged queries, strangers included.
  public let documents: Int
  private let sums: [[Double]]

  /// Measures a run at depths of its candidates' order.
  ///
  /// The run and the candidates are ordered as `RunEvaluation` orders them.
  ///
  /// - Parameters:
  ///   - candidates: the run that was re-ranked.
  ///   - depths: from 1; nil: 1, 2, 5, 10, 20, 50 and so on as far as there are candidates.
  public init(
    _ run: Run, candidates: Run, against qrels: Qrels, measures: [Measure] = Measure.defaults,
    depths: [Int]? = nil, queries: RunEvaluation.QuerySet = .allJudged,
    scores: RunEvaluation.ScorePrecision = .float32, relevance: Int = 1
  ) {
    let deepest = candidates.queryIDs.indices.map { candidates.table.rows($0).count }.max() ?? 0
    let depths = Set(depths ?? Self.usualDepths(upTo: deepest)).ordered()
    var sums = [[Double]](
      repeating: [Double](repeating: 0, count: measures.count), count: depths.count)
    var (counted, missing, strangers, documents) = (0, 0, 0, 0)
    for (query, id) in qrels.table.queryIDs.enumerated() {
      let place = run.table.query(id)
      if place == nil {
        missing += 1
        if queries == .common { continue }
      }
      counted += 1
      let sweep = RankedCandidates(
        run: run, query: place, candidates: candidates, id: id, qrels: qrels, judgedQuery: query,
        scores: scores)
      strangers += sweep.strangers
      documents += place.map { run.table.rows($0).count } ?? 0
      for (row, depth) in depths.enumerated() {
        let ranking = sweep.ranking(depth: depth)
        for (column, measure) in measures.enumerated() {
          sums[row][column] += measure.value(of: ranking, defaultRelevance: relevance)
        }
      }
    }
    self.measures = measures
    self.depths = depths
    self.queries = counted
    self.sums = sums
    self.strangers = strangers
    self.documents = documents
    missingQueries = missing
  }

  /// 1, 2, 5 and their tens, up to the number of candidates, which is the last.
  private static func usualDepths(upTo deepest: Int) -> [Int] {
    var depths: [Int] = []
    var power = 1
    while power < deepest {
      depths += [power, 2 * power, 5 * power].filter { $0 < deepest }
      power *= 10
    }
    return depths + [max(deepest, 1)]
  }

  /// The mean over the queries of a measure at a depth (the sum, for counts), by their places.
  public func value(depth: Int, measure: Int) -> Double {
    let sum = sums[depth][measure]
    return measures[measure].isSum || queries == 0 ? sum : sum / Double(queries)
  }

  /// The place of the depth at which a measure is highest; of equal ones the smallest.
  public func best(measure: Int) -> Int? {
    depths.indices.max { one, other in
      let (first, second) = (
        value(depth: one, measure: measure), value(depth: other, measure: measure)
      )
      return first != second ? first < second : one > other
    }
  }

  /// The sweep as a chart: a line a measure over the depth.
  public func chart(title: String) -> SVGChart {
    SVGChart(
      title: title, xLabel: "re-ranking depth", yLabel: measures.count == 1 ? "\(measures[0])" : "",
      logX: true,
      series: measures.indices.filter { !measures[$0].isSum }.map { column in
        (
          name: "\(measures[column])",
          points: depths.indices.map {
            (x: Double(depths[$0]), y: value(depth: $0, measure: column))
          }
        )
      })
  }
}
