/// What searches cost, added up over calls.
public final class SearchStatistics: @unchecked Sendable {
  /// Queries answered, exact ones not counted.
  public private(set) var queries = 0
  /// Inner products those walks computed.
  public private(set) var distanceEvaluations = 0
  /// Nodes those walks expanded.
  public private(set) var hops = 0
  /// Passages scored by scans of selected passages, without a walk or after one.
  public private(set) var scanned = 0

  /// Counters at zero. Not for use by several calls at once.
  public init() {}

  func add(queries: Int, _ evaluations: Int, _ hops: Int, scanned: Int) {
    self.queries += queries
    distanceEvaluations += evaluations
    self.hops += hops
    self.scanned += scanned
  }
}
