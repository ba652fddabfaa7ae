import Formats
import Platform

/// Names (ids, or texts that stand for themselves) in the order they were met.
struct NameTable: Sendable {
  /// The names.
  private(set) var names: [String] = []
  /// Where each of them is.
  private(set) var places: [ByteKey: Int32] = [:]

  /// Where `name` is; a new one is added. `reader` says where the file was when the table was full.
  mutating func place(of name: String, _ reader: TripleReader) throws(RetortError) -> Int32 {
    let key = ByteKey(name)
    if let known = places[key] { return known }
    guard let fresh = Int32(exactly: names.count) else {
      throw reader.error("more than 2³¹ different texts; use a part of the file at a time")
    }
    places[key] = fresh
    names.append(name)
    return fresh
  }
}
