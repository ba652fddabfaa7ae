import Graph
import Platform

// deleted-NNNNNN.seg, kind TOMB: which passages of segment NNNNNN are deleted.
//   "shape"  u64 passages of the segment, u64 deleted ones
//   "bits"   a bit a passage, the first in the lowest bit of the first byte, as u64

/// Reads and writes which passages of a segment are deleted.
package enum TombstoneFile {
  /// Writes `deleted` to `path` and makes it durable.
  package static func write(_ deleted: NodeSet, to path: String) throws(RetortError) {
    let writer = try SegmentFileWriter(path: path, kind: .tombstones)
    var shape: [UInt8] = []
    shape.appendInteger(UInt64(deleted.count))
    shape.appendInteger(UInt64(deleted.population))
    try writer.add("shape", shape)
    var bits: [UInt8] = []
    bits.reserveCapacity(deleted.words.count * 8)
    for word in deleted.words { bits.appendInteger(word) }
    try writer.add("bits", bits)
    try writer.finish()
  }

  /// The deleted passages that the file at `path` names, of `count`.
  package static func read(_ path: String, count: Int) throws(RetortError) -> NodeSet {
    let file = try SegmentFile(path: path, kind: .tombstones)
    let shapeSection = try file.section("shape")
    let shape = LittleEndianBytes(try shapeSection.all())
    let section = try file.section("bits")
    let bits = LittleEndianBytes(try section.all())
    let words = (0..<(section.count / 8)).compactMap { bits.long($0 * 8) }
    guard section.count % 8 == 0, shape.long(0) == UInt64(count),
      let deleted = NodeSet(count: count, words: words),
      shape.long(8) == UInt64(deleted.population)
    else { throw section.damaged("not the tombstones of \(count) passages") }
    try file.mapping.checkIntact()
    return deleted
  }
}
