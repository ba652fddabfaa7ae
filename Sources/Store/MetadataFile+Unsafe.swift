import Formats
import Foundation
import Graph
import Platform

/// A mapped file of metadata; values are read when a field is first asked for.
package struct MetadataFile: Sendable {
  /// The file.
  package let file: SegmentFile
  private let count: Int
  private let values: Section
  private let codes: Section
  private let fields: [String: MetadataField]

  /// The names of the fields, ascending.
  package var names: [String] {
    fields.keys.ordered { $0.precedesInBytes($1) }
  }

  /// Maps the file at `path`, the metadata of `count` passages.
  package init(path: String, count: Int) throws(RetortError) {
    file = try SegmentFile(path: path, kind: .metadata)
    self.count = count
    values = try file.section("values")
    codes = try file.section("codes")
    let section = try file.section("fields")
    let directory: MetadataDirectory
    do {
      directory = try JSONDecoder().decode(
        MetadataDirectory.self, from: Data([UInt8](try section.all())))
    } catch let error as RetortError {
      throw error
    } catch {
      throw section.damaged("it is not the JSON it should be")
    }
    guard directory.count == count, directory.fields.count <= MetadataLayout.maximumFields else {
      throw section.damaged("not the metadata of \(count) passages")
    }
    var fields: [String: MetadataField] = [:]
    for field in directory.fields {
      let distinct = min(max(field.distinct, 0), Int(UInt32.max))
      let blocks = (distinct + MetadataLayout.valuesPerBlock - 1) / MetadataLayout.valuesPerBlock
      guard field.distinct == distinct, distinct > 0, field.blocks.count == blocks,
        [1, 2, 4].contains(field.width), field.codes >= 0, field.isList || field.codes == count,
        field.offset >= 0, let length = field.length(count: count), length <= codes.count,
        field.offset <= codes.count - length, fields[field.name] == nil
      else { throw section.damaged("field \"\(field.name)\"") }
      fields[field.name] = field
    }
    self.fields = fields
  }

  /// The distinct values of a field, ascending; none where no passage has it.
  package func distinctValues(of name: String) throws(RetortError) -> [FieldValue] {
    guard let field = fields[name] else { return [] }
    var found: [FieldValue] = []
    for block in field.blocks {
      guard block.offset >= 0, block.length >= 0, block.raw >= 0, block.length <= values.count,
        block.offset <= values.count - block.length,
        let raw = LZ4Block.decompress(
          try values.bytes(block.offset..<(block.offset + block.length)), length: block.raw),
        let decoded = Self.decode(raw)
      else { throw values.damaged("values of field \"\(name)\"") }
      found += decoded
    }
    guard found.count == field.distinct else {
      throw values.damaged("field \"\(name)\" has \(found.count) values")
    }
    return found
  }

  private static func decode(_ raw: [UInt8]) -> [FieldValue]? {
    raw.withUnsafeBytes { buffer in
      var values: [FieldValue] = []
      var place = 0
      while place < buffer.count {
        guard let value = FieldValue(buffer, at: &place) else { return nil }
        values.append(value)
      }
      return values
    }
  }

  /// The passages some of whose values of a field `isWanted` accepts.
  package func passages(
    where name: String, _ isWanted: (FieldValue) -> Bool
  ) throws(RetortError) -> NodeSet {
    var found = NodeSet(count: count)
    guard let field = fields[name] else { return found }
    let wanted = [false] + (try distinctValues(of: name)).map(isWanted)
    guard wanted.contains(true) else { return found }
    try forEachCode(of: field) { place, code in
      if wanted[code] { found.insert(place) }
    }
    return found
  }

  /// Calls `body` with every passage and each of its codes, 0 for none; codes are at most the number
  /// of values.
  private func forEachCode(
    of field: MetadataField, _ body: (Int, Int) -> Void
  ) throws(RetortError) {
    let table = try CodeTable(field, codes, count: count)
    for passage in 0..<count {
      try table.forEachCode(of: passage) { body(passage, $0) }
    }
  }

  /// The codes of a field.
  package func table(of name: String) throws(RetortError) -> CodeTable? {
    guard let field = fields[name] else { return nil }
    return try CodeTable(field, codes, count: count)
  }
}

/// The codes of one field: for each passage, the places of its values among the distinct ones,
/// counted from 1.
package struct CodeTable {
  private let field: MetadataField
  private let section: Section
  private let bytes: UnsafeRawBufferPointer
  private let count: Int

  init(_ field: MetadataField, _ section: Section, count: Int) throws(RetortError) {
    self.field = field
    self.section = section
    self.count = count
    let length = field.length(count: count) ?? 0
    bytes = try section.bytes(field.offset..<(field.offset + length))
  }

  /// Calls `body` with the codes of a passage, which must be below the count; 0 stands for none.
  package func forEachCode(of passage: Int, _ body: (Int) -> Void) throws(RetortError) {
    guard field.isList else { return body(try code(passage, from: 0)) }
    let words = LittleEndianBytes(bytes)
    guard let first = words.word(passage * 4), let end = words.word(passage * 4 + 4),
      first <= end, Int(end) <= field.codes
    else { throw section.damaged("offsets of field \"\(field.name)\"") }
    for place in Int(first)..<Int(end) { body(try code(place, from: (count + 1) * 4)) }
  }

  private func code(_ place: Int, from start: Int) throws(RetortError) -> Int {
    var code = 0
    for byte in 0..<field.width {
      code |= Int(bytes[start + place * field.width + byte]) << (8 * byte)
    }
    guard code <= field.distinct else { throw section.damaged("field \"\(field.name)\"") }
    return code
  }
}

/// The fields of single passages, with all values in memory.
package final class MetadataReader: Sendable {
  private struct Column: Sendable {
    var name: String
    var values: [FieldValue]
  }

  private let file: MetadataFile
  private let columns: [Column]

  /// Reads the values of all fields.
  package init(_ file: MetadataFile) throws(RetortError) {
    self.file = file
    var columns: [Column] = []
    for name in file.names {
      columns.append(Column(name: name, values: try file.distinctValues(of: name)))
    }
    self.columns = columns
  }

  /// The fields of a passage: what was given to the writer.
  package func fields(of passage: Int) throws(RetortError) -> [String: [FieldValue]] {
    var fields: [String: [FieldValue]] = [:]
    for column in columns {
      guard let table = try file.table(of: column.name) else { continue }
      try table.forEachCode(of: passage) { code in
        if code > 0 { fields[column.name, default: []].append(column.values[code - 1]) }
      }
    }
    return fields
  }
}
