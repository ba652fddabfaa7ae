import Platform

/// Vectors of words in a text file, as GloVe and word2vec publish them: a word and its numbers a line,
/// separated by spaces. word2vec's first line, the numbers of words and of components, may be there.
package enum WordVectors {
  /// What was found of the words wanted.
  package struct Found: Sendable {
    /// Components of a vector.
    package var dimension = 0
    /// By word.
    package var vectors: [String: [Float]] = [:]
    /// Words of the file.
    package var words = 0
  }

  /// More components than anybody's words have.
  private static let largestDimension = 65536

  /// Reads the vectors of `wanted`; of a word that occurs twice the first counts.
  ///
  /// Words may hold spaces: the numbers are taken from the line's end.
  package static func read(
    path: String, wanted: Set<String>
  ) throws(RetortError) -> Found {
    let reader = try LineReader(path: path, maximumLength: 4 << 20)
    var found = Found()
    var columns: [Range<Int>] = []
    while try reader.next() {
      if reader.lineNumber % 4096 == 0 { try Interruption.check() }
      if reader.defect != nil {
        throw reader.error("is not UTF-8 text; name a file of words with their numbers")
      }
      var word = ""
      var values: [Float]?
      let isHeader = reader.withLine { line in
        splitSpaces(line, into: &columns)
        if reader.lineNumber == 1 {
          found.dimension = columns.count - 1
          if columns.count == 2, integer(line, columns[0]) != nil,
            let dimension = integer(line, columns[1]), dimension > 0
          {
            found.dimension = Int(dimension)
            return true
          }
        }
        guard columns.count > found.dimension, found.dimension > 0 else { return false }
        let first = columns.count - found.dimension
        word = text(line, columns[0].lowerBound..<columns[first - 1].upperBound)
        guard wanted.contains(word), found.vectors[word] == nil else {
          values = []
          return false
        }
        let numbers = columns[first...].compactMap { number(line, $0) }
        if numbers.count == found.dimension { values = numbers }
        return false
      }
      guard !isHeader else { continue }
      guard let values, found.dimension <= largestDimension else {
        throw reader.error(
          "is not a word with \(max(found.dimension, 1)) finite numbers behind it, as the first line "
            + "has them; name a file in GloVe's text format")
      }
      found.words += 1
      if !values.isEmpty { found.vectors[word] = values }
    }
    guard found.words > 0 else {
      throw RetortError(.badData, "has no words; name a file in GloVe's text format", path: path)
    }
    return found
  }

  private static func text(_ line: Span<UInt8>, _ range: Range<Int>) -> String {
    var bytes: [UInt8] = []
    for index in range { bytes.append(line[index]) }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func number(_ line: Span<UInt8>, _ range: Range<Int>) -> Float? {
    guard let value = Float(text(line, range)), value.isFinite else { return nil }
    return value
  }
}
