import Formats
import Foundation
import Platform
import Store

/// Writes what an index holds for other programs. Deleted passages are left out.
public enum IndexExport {
  /// Writes the vectors to a .npy, .fvecs or .fbin file, as the name says, and, where `ids` names a
  /// file, their ids, one a line in the same order. Returns the number of vectors.
  @discardableResult
  public static func vectors(
    of index: PassageIndex, to path: String, ids: String? = nil
  ) throws(RetortError) -> Int {
    let vectors = try VectorTableWriter(
      path: path, format: VectorFormat(ofName: path), dimension: index.dimension)
    let names = try ids.map { path throws(RetortError) in try IDFileWriter(path: path) }
    try forEachLive(in: index) { number throws(RetortError) in
      try vectors.append(bytes: index.vector(number).littleEndianBytes)
      try names?.append(Array(index.id(number).utf8))
    }
    try vectors.finish()
    try names?.finish()
    return vectors.count
  }

  /// Writes the passages as JSON lines that `retort index build` reads: id, text and fields. Returns
  /// their number.
  @discardableResult
  public static func passages(
    of index: PassageIndex, to path: String
  ) throws(RetortError) -> Int {
    let lines = try LineFileWriter(path: path)
    try forEachLive(in: index) { number throws(RetortError) in
      let passage = try index.passage(number)
      var object = JSONObject()
      object.add("_id", .text(passage.id))
      object.add("text", .text(passage.text))
      for (name, values) in try index.fields(of: number).ordered(by: { $0.key < $1.key }) {
        if values.count == 1 { object.add(name, values[0]) } else { object.add(name, values) }
      }
      try lines.append(object.text)
    }
    try lines.finish()
    return lines.count
  }

  /// Writes the neighbours on layer 0 as JSON lines, `{"_id": …, "links": [ids]}`. Returns the number
  /// of lines.
  ///
  /// Links lead to passages of the same segment; deleted ones are named as others are, as walks lead
  /// through them.
  @discardableResult
  public static func graph(of index: PassageIndex, to path: String) throws(RetortError) -> Int {
    let lines = try LineFileWriter(path: path)
    for segment in index.opened.segments {
      let graph = segment.graph.graph
      for (place, node) in try graph.nodesOfVectors().enumerated() {
        if place % 1024 == 0 { try Interruption.check() }
        var object = JSONObject()
        object.add("_id", .text(try segment.passages.id(place)))
        var links: [FieldValue] = []
        for target in try graph.linkedVectors(ofNode: node) {
          links.append(.text(try segment.passages.id(Int(target))))
        }
        object.add("links", links)
        try lines.append(object.text)
      }
    }
    try index.opened.checkIntact()
    try lines.finish()
    return lines.count
  }

  private static func forEachLive(
    in index: PassageIndex, _ body: (Int) throws(RetortError) -> Void
  ) throws(RetortError) {
    for number in 0..<index.capacity {
      if number % 1024 == 0 { try Interruption.check() }
      if try !index.isDeleted(number) { try body(number) }
    }
  }
}

/// One JSON object on a line, its members in the order they are added.
private struct JSONObject {
  private var members: [String] = []

  var text: String { "{" + members.joined(separator: ", ") + "}" }

  mutating func add(_ name: String, _ value: FieldValue) {
    members.append(jsonText(name) + ": " + Self.text(value))
  }

  mutating func add(_ name: String, _ values: [FieldValue]) {
    members.append(
      jsonText(name) + ": [" + values.map(Self.text).joined(separator: ", ") + "]")
  }

  private static func text(_ value: FieldValue) -> String {
    switch value {
    case .flag(let flag): flag ? "true" : "false"
    case .number(let number): Self.text(number)
    case .text(let text): jsonText(text)
    }
  }

  /// JSON has no word for infinity, which a number may have become: the largest number stands for it.
  private static func text(_ number: Double) -> String {
    if let whole = Int(exactly: number), abs(number) < 0x1p53 { return "\(whole)" }
    let finite = min(max(number, -.greatestFiniteMagnitude), .greatestFiniteMagnitude)
    return "\(finite)"
  }
}
