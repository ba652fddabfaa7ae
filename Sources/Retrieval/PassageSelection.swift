import Formats
import Graph
import Platform
import Store

/// Some of an index's passages: what a search may find.
public struct PassageSelection: Sendable {
  /// How many passages are selected.
  public let count: Int
  /// Per segment, those of its passages that are selected and not deleted.
  let segments: [NodeSet]

  init(segments: [NodeSet]) {
    self.segments = segments
    count = segments.reduce(0) { $0 + $1.population }
  }
}

extension PassageIndex {
  /// The names of the fields that filters may ask about, ascending.
  public var fields: [String] {
    Set(opened.segments.flatMap { $0.metadata?.names ?? [] })
      .ordered { $0.precedesInBytes($1) }
  }

  /// The passages that pass a filter, and are called one of `ids` where those are given.
  ///
  /// A field that no passage has is an error, as it is most likely a misspelling; ids that no
  /// passage has select nothing.
  public func select(
    _ filter: Filter? = nil, ids: [String]? = nil
  ) throws(RetortError) -> PassageSelection {
    let known = Set(fields)
    if let unknown = filter?.fields.subtracting(known).min() {
      let names = fields.map { "\"\($0)\"" }.joined(separator: ", ")
      throw RetortError(
        .usage,
        "no passage has the field \"\(unknown)\"; "
          + (names.isEmpty ? "the index has no fields to filter by" : "there are \(names)"),
        path: path)
    }
    return try reading { () throws(RetortError) in try selection(filter, ids) }
  }

  private func selection(
    _ filter: Filter?, _ ids: [String]?
  ) throws(RetortError) -> PassageSelection {
    var selected: [NodeSet] = []
    for segment in opened.segments {
      var passages = segment.live ?? NodeSet(count: segment.count, full: true)
      if let filter { passages.formIntersection(try segment.passages(filter.condition)) }
      if let ids { passages.formIntersection(try segment.passages(called: ids)) }
      selected.append(passages)
    }
    return PassageSelection(segments: selected)
  }
}

extension OpenedSegment {
  /// The passages that meet a condition, deleted ones included.
  fileprivate func passages(_ condition: Filter.Condition) throws(RetortError) -> NodeSet {
    switch condition {
    case .and(let one, let other):
      var found = try passages(one)
      found.formIntersection(try passages(other))
      return found
    case .or(let one, let other):
      var found = try passages(one)
      found.formUnion(try passages(other))
      return found
    case .not(let inner):
      var found = NodeSet(count: count, full: true)
      found.subtract(try passages(inner))
      return found
    case .test(let field, let test):
      return try metadata?.passages(where: field, test.accepts) ?? NodeSet(count: count)
    }
  }

  fileprivate func passages(called ids: [String]) throws(RetortError) -> NodeSet {
    var found = NodeSet(count: count)
    for id in ids {
      if let place = try passages.number(of: id) { found.insert(place) }
    }
    return found
  }
}
