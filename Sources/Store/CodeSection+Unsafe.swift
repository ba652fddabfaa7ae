import Graph
import Platform

/// The sections of a graph file that hold the vectors' codes.
enum CodeSection {
  static func blockShift(stride: Int) -> Int {
    var shift = 0
    while stride << shift < SegmentLayout.defaultBlock { shift += 1 }
    return shift
  }

  /// The codes and the vector of each node, or nil where the file has none.
  static func read(
    _ file: SegmentFile, count: Int, metric: GraphMetric
  ) throws(RetortError) -> (codes: CodeSet, order: NodeMap)? {
    guard ["codes", "book", "order"].contains(where: { file.sections[$0] != nil }) else {
      return nil
    }
    let section = try file.section("codes")
    let book = try book(try file.section("book"), metric)
    let (length, overflow) = count.multipliedReportingOverflow(by: book.stride)
    let shift = blockShift(stride: book.stride)
    guard !overflow, length == section.count, count > 0,
      section.blockLength == book.stride << shift
    else { throw section.damaged("\(section.count) bytes for \(count) codes") }
    let order = try file.section("order")
    guard order.count == NodeMap.length(count: count),
      order.blockLength == SegmentLayout.defaultBlock,
      let orderBase = order.raw.bytes.baseAddress
    else { throw order.damaged("\(order.count) bytes for \(count) nodes") }
    guard let base = section.raw.bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
      throw section.damaged("empty")
    }
    return (
      CodeSet(
        book: book, base: base, count: count, guardian: section.raw.guardian, blockShift: shift,
        owner: OwnedSection(section)),
      NodeMap(
        base: orderBase, count: count, guardian: order.raw.guardian,
        blockShift: SegmentLayout.defaultBlock.trailingZeroBitCount,
        owner: OwnedSection(order))
    )
  }

  private static func book(
    _ section: Section, _ metric: GraphMetric
  ) throws(RetortError) -> CodeBook {
    let words = try section.words()
    guard words.count > 4, (1...(1 << 16)).contains(words[0]),
      words[1...3].allSatisfy({ $0 <= 1024 })
    else { throw section.damaged("its sizes") }
    let dimension = Int(words[0])
    let blocks = (wide: Int(words[1]), middle: Int(words[2]), narrow: Int(words[3]))
    let axes = blocks.wide * 32 + blocks.middle * 64 + blocks.narrow * 128
    let length = (dimension + 15) & ~15
    let floats = 4 + dimension + axes
    guard words.count == floats + axes * length / 2 else {
      throw section.damaged("\(words.count) numbers for \(axes) axes of \(dimension)")
    }
    let values = words[4..<floats].map { Float(bitPattern: $0) }
    let numbers = words[floats...].flatMap {
      [Int16(truncatingIfNeeded: $0), Int16(truncatingIfNeeded: $0 >> 16)]
    }
    guard values.allSatisfy(\.isFinite),
      let book = CodeBook(
        dimension: dimension, metric: metric, blocks: blocks, mean: Array(values[..<dimension]),
        axes: numbers, steps: Array(values[dimension...]))
    else { throw section.damaged("its numbers") }
    return book
  }
}

/// Keeps a section's mapping alive for as long as its data is looked at.
final class OwnedSection: Sendable {
  let section: Section

  init(_ section: Section) { self.section = section }
}
