/// What searches cost, added up over calls.
public final class SearchStatistics: @unchecked Sendable {
  /// Queries answered, exact ones not counted.
  public private(set) var queries = 0
  /// Passages those walks scored, by their compact codes where the graph has any.
  public private(set) var scored = 0
  /// Passages those walks scored again, by their vectors.
  public private(set) var rescored = 0
  /// Nodes those walks expanded.
  public private(set) var hops = 0
  /// Passages scored by scans of selected passages, without a walk or after one.
  public private(set) var scanned = 0

  /// Counters at zero. Not for use by several calls at once.
  public init() {}

  func add(queries: Int, _ scratches: UncheckedScratches, scanned: Int) {
    self.queries += queries
    scored += scratches.reduce(0) { $0 + $1.scored }
    rescored += scratches.reduce(0) { $0 + $1.rescored }
    hops += scratches.reduce(0) { $0 + $1.hops }
    self.scanned += scanned
  }
}
