/// Document ids in one block of memory: their bytes end to end, and where each ends.
///
/// A run of MS MARCO's size has seven million ids; as `String`s they would take three times the
/// room, and compare by canonical equivalence instead of by bytes.
package struct IDList: Sendable {
  private var bytes: [UInt8] = []
  private var ends: [Int] = []

  package init() {}

  /// The number of ids.
  package var count: Int { ends.count }

  /// The id at `index`.
  package subscript(index: Int) -> String { String(decoding: self.bytes(index), as: UTF8.self) }

  /// The bytes of the id at `index`.
  package func bytes(_ index: Int) -> ArraySlice<UInt8> {
    bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
  }

  /// The first eight bytes, most significant first, zero-filled: orders as the bytes do, and
  /// decides most comparisons alone.
  package func prefix(_ index: Int) -> UInt64 {
    var key: UInt64 = 0
    let id = bytes(index)
    for byte in id.prefix(8) { key = key << 8 | UInt64(byte) }
    return id.count >= 8 ? key : key << UInt64(8 * (8 - id.count))
  }

  mutating func append(_ line: Span<UInt8>, _ range: Range<Int>) {
    for index in range { bytes.append(line[index]) }
    ends.append(bytes.count)
  }

  mutating func append(_ id: some Collection<UInt8>) {
    bytes.append(contentsOf: id)
    ends.append(bytes.count)
  }

  /// Compares two ids byte-wise: negative, zero or positive, as memcmp.
  package static func compare(_ one: ArraySlice<UInt8>, _ other: ArraySlice<UInt8>) -> Int {
    let common = min(one.count, other.count)
    var i = one.startIndex
    var j = other.startIndex
    for _ in 0..<common {
      if one[i] != other[j] { return Int(one[i]) - Int(other[j]) }
      i += 1
      j += 1
    }
    return one.count - other.count
  }
}
