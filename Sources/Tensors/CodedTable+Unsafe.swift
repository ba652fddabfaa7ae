import Platform

/// Vectors as eight-bit codes: value = scale of the row × code, codes in ±127.
///
/// Immutable, which makes it `Sendable`; the memory is kept alive by its owners.
package struct CodedTable: @unchecked Sendable {
  /// The number of vectors.
  package let rows: Int
  /// The width of a vector.
  package let columns: Int

  private let codes: UnsafePointer<Int8>
  private let scales: UnsafePointer<Float>
  private let owners: [AnyObject]
  private let blocks: BlockGuard?

  /// Rows that are verified together.
  package static let blockRows = 64

  /// A table over `rows × columns` codes and `rows` scales.
  ///
  /// `blocks`, where given, verifies stretches of `blockRows` rows; whoever reads rows calls
  /// `verify` first.
  package init(
    rows: Int, columns: Int, codes: SharedBytes, scales: SharedBytes, blocks: BlockGuard? = nil
  ) {
    precondition(codes.count == rows * columns && scales.count == rows * 4)
    precondition(blocks.map { $0.count == Self.blocks(rows) } ?? true)
    self.blocks = blocks
    self.rows = rows
    self.columns = columns
    self.codes = codes.start.bindMemory(to: Int8.self, capacity: rows * columns)
    self.scales = scales.start.bindMemory(to: Float.self, capacity: rows)
    owners = [codes.owner, scales.owner]
  }

  /// The number of stretches of so many rows.
  package static func blocks(_ rows: Int) -> Int { (rows + blockRows - 1) / blockRows }

  /// The rows of a stretch.
  package static func rows(ofBlock block: Int, of rows: Int) -> Range<Int> {
    block * blockRows..<min((block + 1) * blockRows, rows)
  }

  /// Throws where one of `rows` is not what was written. Each is verified when it is first asked for.
  package func verify(_ rows: some Sequence<Int32>) throws(RetortError) {
    guard let blocks else { return }
    for row in rows where row >= 0 && row < self.rows {
      try blocks.ensure(Int(row) / Self.blockRows)
    }
  }

  /// The codes and scales of a table of single-precision vectors.
  package static func quantize(_ table: Matrix) -> (codes: [Int8], scales: [Float]) {
    var codes: [Int8] = []
    var scales: [Float] = []
    codes.reserveCapacity(table.count)
    for row in 0..<table.rows {
      let values = UnsafeBufferPointer(start: table.row(row), count: table.columns)
      let scale = values.reduce(0) { max($0, abs($1)) } / 127
      let inverse = scale > 0 ? 1 / scale : 0
      scales.append(scale)
      for value in values { codes.append(Int8(max(-127, min(127, (value * inverse).rounded())))) }
    }
    return (codes, scales)
  }

  /// Writes a vector, or adds it to what is there.
  func read(_ row: Int, adding: Bool, into target: UnsafeMutablePointer<Float>) {
    let scale = scales[row]
    let source = codes + row * columns
    if adding {
      for column in 0..<columns { target[column] += scale * Float(source[column]) }
    } else {
      for column in 0..<columns { target[column] = scale * Float(source[column]) }
    }
  }
}
