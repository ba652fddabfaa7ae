import Platform

/// The pieces of a vocabulary with their ids.
///
/// Pieces are ranges of one block of memory: thirty thousand arrays would cost a query's start
/// more than its answer.
struct Vocabulary {
  /// A piece in the order it was read.
  typealias Piece = (bytes: ArraySlice<UInt8>, id: Int32)

  /// One more than the largest id.
  private(set) var size = 0

  /// The length of the longest piece in bytes.
  private(set) var longestPiece = 0
  /// The memory of all pieces.
  private(set) var storage: [UInt8] = []

  /// Where a piece lies in the storage; files are far smaller than 4 GB.
  struct Entry {
    private let start: UInt32
    private let end: UInt32
    let id: Int32

    var range: Range<Int> { Int(start)..<Int(end) }

    init(_ range: Range<Int>, id: Int32) {
      start = UInt32(range.lowerBound)
      end = UInt32(range.upperBound)
      self.id = id
    }
  }

  private var entries: [Entry] = []
  /// Numbers of entries by the hash of their bytes, with linear probing; -1 where free.
  private var table: [Int32] = []

  /// All pieces.
  var pieces: some RandomAccessCollection<Piece> {
    entries.lazy.map { [storage] in (storage[$0.range], $0.id) }
  }

  /// An upper bound of the bytes of all pieces.
  var bytes: Int { storage.count }

  /// The id of a piece.
  func id(of piece: String) -> Int32? {
    let bytes = Array(piece.utf8)
    let entry = table[slot(of: bytes, bytes.indices)]
    return entry < 0 ? nil : entries[Int(entry)].id
  }

  /// Makes room for a token that lies beyond the vocabulary's own ids.
  mutating func include(id: Int32) { size = max(size, Int(id) + 1) }

  /// Reads `vocab.txt`: one piece per line, its id the line's number counted from 0.
  init(text bytes: [UInt8], path: String) throws(RetortError) {
    storage = bytes
    // A file that is not UTF-8 has a line that is not: only then are the lines looked at one by one.
    let isUTF8 = String(validating: bytes, as: UTF8.self) != nil
    makeTable(for: bytes.count { $0 == 10 } + 1)
    var start = 0
    var line = 0
    while start < bytes.count {
      var end = bytes[start...].firstIndex(of: 10) ?? bytes.count
      let next = end + 1
      line += 1
      if end > start, bytes[end - 1] == 13 { end -= 1 }
      guard end > start else {
        throw RetortError(
          .badData, "is empty, but every line must hold one piece; copy the file again", path: path,
          at: .line(line))
      }
      guard isUTF8 || String(validating: bytes[start..<end], as: UTF8.self) != nil else {
        throw RetortError(
          .badData, "is not valid UTF-8; copy the file again in binary mode", path: path,
          at: .line(line))
      }
      guard let id = Int32(exactly: line - 1), add(start..<end, id: id) else {
        throw RetortError(
          .badData,
          "repeats the piece of line \(firstLine(of: bytes[start..<end])); a piece has "
            + "only one id", path: path, at: .line(line))
      }
      start = next
    }
    guard !entries.isEmpty else {
      throw RetortError(
        .badData, "is empty; copy the vocabulary from the model's page", path: path)
    }
  }

  /// Takes the map of `tokenizer.json`, ordered by id.
  init(map: [String: Int], path: String) throws(RetortError) {
    var seen: [Int: String] = [:]
    seen.reserveCapacity(map.count)
    for (piece, id) in map {
      guard id >= 0, id < Int(Int32.max) else {
        throw RetortError(.badData, "gives the piece \"\(piece)\" the id \(id)", path: path)
      }
      if let other = seen.updateValue(piece, forKey: id) {
        let pair = [piece, other].ordered()
        throw RetortError(
          .badData, "gives the id \(id) to both \"\(pair[0])\" and \"\(pair[1])\"", path: path)
      }
    }
    guard !map.isEmpty else {
      throw RetortError(
        .badData, "has an empty vocabulary; copy the file from the model's page", path: path)
    }
    makeTable(for: map.count)
    for (piece, id) in map.ordered(by: { $0.value < $1.value }) {
      let start = storage.count
      storage += Array(piece.utf8)
      _ = add(start..<storage.count, id: Int32(id))
    }
  }

  private mutating func makeTable(for count: Int) {
    var slots = 16
    while slots < 2 * count { slots *= 2 }
    table = Array(repeating: -1, count: slots)
    entries.reserveCapacity(count)
  }

  /// Adds a piece; false where it is there already.
  private mutating func add(_ range: Range<Int>, id: Int32) -> Bool {
    let slot = slot(of: storage, range)
    guard table[slot] < 0 else { return false }
    table[slot] = Int32(entries.count)
    entries.append(Entry(range, id: id))
    longestPiece = max(longestPiece, range.count)
    size = max(size, Int(id) + 1)
    return true
  }

  /// The slot of a range of bytes, or the free one where they belong; half of all slots are free.
  private func slot(of bytes: [UInt8], _ range: Range<Int>) -> Int {
    var hash = PieceHash()
    for place in range { hash.add(bytes[place]) }
    var slot = firstSlot(hash.value)
    while let entry = entry(at: slot), !isEqual(entry.range, bytes, range) {
      slot = self.slot(after: slot)
    }
    return slot
  }

  /// Where the search for a hash begins.
  func firstSlot(_ hash: UInt64) -> Int {
    Int(truncatingIfNeeded: Hashing.mix(hash)) & (table.count - 1)
  }

  func slot(after slot: Int) -> Int { (slot + 1) & (table.count - 1) }

  /// The piece in a slot, nil where it is free.
  func entry(at slot: Int) -> Entry? {
    let entry = table[slot]
    return entry < 0 ? nil : entries[Int(entry)]
  }

  /// Whether a stored piece has the bytes of a range.
  private func isEqual(_ piece: Range<Int>, _ bytes: [UInt8], _ range: Range<Int>) -> Bool {
    guard piece.count == range.count else { return false }
    for place in 0..<piece.count
    where storage[piece.lowerBound + place] != bytes[range.lowerBound + place] {
      return false
    }
    return true
  }

  private func firstLine(of piece: ArraySlice<UInt8>) -> Int {
    (entries.firstIndex { storage[$0.range] == piece } ?? 0) + 1
  }
}

/// FNV-1a (Fowler, Noll, Vo) over the bytes of a piece: every prefix has its hash on the way.
struct PieceHash {
  private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

  @inline(__always)
  mutating func add(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
}
