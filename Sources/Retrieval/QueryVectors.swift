import Formats
import Platform

/// Queries that were encoded elsewhere: a file of vectors, and perhaps one of ids.
public struct QueryVectors: Sendable {
  private let table: VectorTable
  private let ids: [String]?

  /// Opens a .npy, .fvecs or .fbin file; `ids` names a file of ids, one a line.
  public init(path: String, ids: String? = nil) throws(RetortError) {
    table = try VectorTable(path: path)
    self.ids = try ids.map(readIDs)
    if let count = self.ids?.count, count != table.count {
      throw RetortError(
        .badData, "has \(count) ids for \(table.count) vectors; there must be one for each",
        path: ids)
    }
  }

  /// The number of queries.
  public var count: Int { table.count }

  /// Components a vector.
  public var dimension: Int { table.dimension }

  /// The id of a query: from the file of ids, else its number from 0.
  public func id(_ number: Int) -> String { ids?[number] ?? "\(number)" }

  /// The vectors of some queries, row-major.
  public func rows(_ range: Range<Int>) throws(RetortError) -> [Float] { try table.rows(range) }
}
