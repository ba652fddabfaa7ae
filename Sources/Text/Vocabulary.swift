import Platform

/// The pieces of a vocabulary with their ids.
struct Vocabulary {
  private(set) var pieces: [(bytes: [UInt8], id: Int32)] = []
  private var ids: [[UInt8]: Int32] = [:]

  /// One more than the largest id.
  private(set) var size = 0

  /// The id of a piece.
  func id(of piece: String) -> Int32? { ids[Array(piece.utf8)] }

  private mutating func add(_ piece: [UInt8], id: Int32) -> Bool {
    guard ids.updateValue(id, forKey: piece) == nil else { return false }
    pieces.append((piece, id))
    size = max(size, Int(id) + 1)
    return true
  }

  /// Makes room for a token that lies beyond the vocabulary's own ids.
  mutating func include(id: Int32) { size = max(size, Int(id) + 1) }

  /// Reads `vocab.txt`: one piece per line, its id the line's number counted from 0.
  init(text bytes: [UInt8], path: String) throws(RetortError) {
    ids.reserveCapacity(bytes.count / 8)
    pieces.reserveCapacity(bytes.count / 8)
    var start = 0
    var line = 0
    while start < bytes.count {
      var end = bytes[start...].firstIndex(of: 10) ?? bytes.count
      let next = end + 1
      line += 1
      if end > start, bytes[end - 1] == 13 { end -= 1 }
      let piece = Array(bytes[start..<end])
      guard !piece.isEmpty else {
        throw RetortError(
          .badData, "is empty, but every line must hold one piece; copy the file again", path: path,
          at: .line(line))
      }
      guard String(validating: piece, as: UTF8.self) != nil else {
        throw RetortError(
          .badData, "is not valid UTF-8; copy the file again in binary mode", path: path,
          at: .line(line))
      }
      guard let id = Int32(exactly: line - 1), add(piece, id: id) else {
        throw RetortError(
          .badData, "repeats the piece of line \(firstLine(of: piece)); a piece has only one id",
          path: path, at: .line(line))
      }
      start = next
    }
    guard !pieces.isEmpty else {
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
        let pair = [piece, other].sorted()
        throw RetortError(
          .badData, "gives the id \(id) to both \"\(pair[0])\" and \"\(pair[1])\"", path: path)
      }
    }
    guard !map.isEmpty else {
      throw RetortError(
        .badData, "has an empty vocabulary; copy the file from the model's page", path: path)
    }
    for (piece, id) in map.sorted(by: { $0.value < $1.value }) {
      _ = add(Array(piece.utf8), id: Int32(id))
    }
  }

  private func firstLine(of piece: [UInt8]) -> Int {
    (pieces.firstIndex { $0.bytes == piece } ?? 0) + 1
  }
}
