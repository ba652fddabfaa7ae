extension Run {
  /// The rows of a query's hits from the best, as evaluators order them: by score in 32 bits, higher
  /// first, equal scores by id, byte-wise, larger first; MS MARCO runs by their rank.
  package func rankedRows(_ query: Int) -> [Int] {
    let rows = table.rows(query)
    guard order == .byScore else { return rows.ordered { table.values[$0] < table.values[$1] } }
    return rows.ordered { one, other in
      let (first, second) = (Float(table.values[one]), Float(table.values[other]))
      if first != second { return first > second }
      return IDList.compare(table.documents.bytes(one), table.documents.bytes(other)) > 0
    }
  }
}
