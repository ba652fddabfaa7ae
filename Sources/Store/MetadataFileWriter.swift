import Formats
import Foundation
import Platform

// metadata.seg, kind META, of segments some of whose passages have fields:
//   "fields"  JSON: the count of passages and, per field by name, a `MetadataField`
//   "values"  LZ4 blocks of up to 4,096 distinct values each, ascending: u8 kind (0 flag, 1 number,
//             2 text) and u8, f64 or u32 length and UTF-8 bytes
//   "codes"   per field: places of values among its distinct ones, counted from 1, in 1, 2 or 4
//             bytes. A field of one value a passage has a code a passage, 0 where it is absent. One
//             with more has count + 1 u32 offsets into its codes first.

/// Where a field's values lie in metadata.seg.
struct MetadataField: Codable, Equatable {
  /// A compressed block of values in "values".
  struct Block: Codable, Equatable {
    var offset, length, raw: Int
  }

  var name: String
  /// The number of distinct values.
  var distinct: Int
  var blocks: [Block]
  /// Whether some passage has more than one value.
  var isList: Bool
  /// The number of codes.
  var codes: Int
  /// Bytes a code.
  var width: Int
  /// Where the field begins in "codes".
  var offset: Int

  /// Bytes of the field in "codes", for `count` passages.
  func length(count: Int) -> Int? {
    let offsets = isList ? (count + 1) * 4 : 0
    let (bytes, overflow) = codes.multipliedReportingOverflow(by: width)
    return overflow || bytes > Int.max / 2 ? nil : offsets + bytes
  }
}

/// The JSON of section "fields".
struct MetadataDirectory: Codable {
  var count: Int
  var fields: [MetadataField]
}

enum MetadataLayout {
  static let valuesPerBlock = 4096
  static let maximumFields = 256
}

/// Collects the fields of passages, in order, and writes them.
package final class MetadataFileWriter {
  /// One field while its values are still being found.
  fileprivate struct Column {
    var places: [FieldValue: UInt32] = [:]
    /// Per passage that has the field: its number and how many values; then the values.
    var passages: [UInt32] = []
    var degrees: [UInt8] = []
    var values: [UInt32] = []
  }

  private var columns: [String: Column] = [:]
  private var count = 0

  /// A writer of nothing yet.
  package init() {}

  /// Whether no passage had a field so far.
  package var isEmpty: Bool { columns.isEmpty }

  /// Appends the fields of the next passage.
  package func append(_ fields: [String: [FieldValue]]) throws(RetortError) {
    defer { count += 1 }
    for (name, values) in fields where !values.isEmpty {
      if columns[name] == nil, columns.count == MetadataLayout.maximumFields {
        throw RetortError(
          .limitExceeded,
          "there are more than \(MetadataLayout.maximumFields) different metadata fields (\"\(name)\" "
            + "is one too many); choose those to keep with --fields")
      }
      columns[name, default: Column()].append(values, passage: UInt32(count))
    }
  }

  /// Writes the file at `path` and makes it durable; the names of the fields, ascending.
  package func finish(path: String) throws(RetortError) -> [String] {
    let writer = try SegmentFileWriter(path: path, kind: .metadata)
    let names = columns.keys.ordered { $0.precedesInBytes($1) }
    var fields: [MetadataField] = []
    var ranks: [[UInt32]] = []
    try writer.begin("values")
    var offset = 0
    for name in names {
      guard let column = columns[name] else { continue }
      let (sorted, rank) = column.ranked()
      var field = MetadataField(
        name: name, distinct: sorted.count, blocks: [],
        isList: column.degrees.contains { $0 > 1 }, codes: 0,
        width: sorted.count < 1 << 8 ? 1 : sorted.count < 1 << 16 ? 2 : 4, offset: 0)
      for start in stride(from: 0, to: sorted.count, by: MetadataLayout.valuesPerBlock) {
        let end = min(sorted.count, start + MetadataLayout.valuesPerBlock)
        let raw = Self.encoded(sorted[start..<end])
        let packed = LZ4Block.compress(raw)
        field.blocks.append(.init(offset: offset, length: packed.count, raw: raw.count))
        offset += packed.count
        try writer.append(packed)
      }
      fields.append(field)
      ranks.append(rank)
    }
    writer.end()
    try writer.begin("codes")
    offset = 0
    for place in fields.indices {
      guard let column = columns[fields[place].name] else { continue }
      fields[place].offset = offset
      fields[place].codes = fields[place].isList ? column.values.count : count
      let bytes = column.encoded(count: count, fields[place], ranks[place])
      offset += bytes.count
      try writer.append(bytes)
    }
    writer.end()
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      let directory = try encoder.encode(MetadataDirectory(count: count, fields: fields))
      try writer.add("fields", [UInt8](directory))
    } catch let error as RetortError {
      throw error
    } catch {
      throw RetortError(.io, "the metadata cannot be described", path: path, cause: error)
    }
    try writer.finish()
    return names
  }

  private static func encoded(_ values: ArraySlice<FieldValue>) -> [UInt8] {
    var bytes: [UInt8] = []
    for value in values { bytes.append(value) }
    return bytes
  }
}

extension MetadataFileWriter.Column {
  fileprivate mutating func append(_ values: [FieldValue], passage: UInt32) {
    passages.append(passage)
    degrees.append(UInt8(clamping: values.count))
    for value in values.prefix(Int(UInt8.max)) {
      let place = places[value] ?? UInt32(places.count)
      places[value] = place
      self.values.append(place)
    }
  }

  /// The distinct values, ascending, and the code of each by its place of arrival.
  fileprivate func ranked() -> (values: [FieldValue], codes: [UInt32]) {
    let sorted = places.ordered { $0.key < $1.key }
    var codes = [UInt32](repeating: 0, count: sorted.count)
    for (rank, entry) in sorted.enumerated() { codes[Int(entry.value)] = UInt32(rank) + 1 }
    return (sorted.map(\.key), codes)
  }

  fileprivate func encoded(count: Int, _ field: MetadataField, _ codes: [UInt32]) -> [UInt8] {
    var bytes: [UInt8] = []
    func append(_ code: UInt32) {
      for byte in 0..<field.width { bytes.append(UInt8(truncatingIfNeeded: code >> (8 * byte))) }
    }
    if field.isList {
      var offset: UInt32 = 0
      var next = 0
      for passage in 0..<count {
        bytes.appendInteger(offset)
        if next < passages.count, passages[next] == passage {
          offset += UInt32(degrees[next])
          next += 1
        }
      }
      bytes.appendInteger(offset)
      for value in values { append(codes[Int(value)]) }
    } else {
      var next = 0
      for passage in 0..<count {
        let has = next < passages.count && passages[next] == passage
        append(has ? codes[Int(values[next])] : 0)
        if has { next += 1 }
      }
    }
    return bytes
  }
}
