import Platform

/// Writes safetensors files: F32 tensors in name order behind a header padded to 64 bytes,
/// so that the same tensors always give the same bytes.
package struct SafeTensorsWriter {
  private var tensors: [String: (shape: [Int], values: [Float])] = [:]

  /// Free-form strings for `__metadata__`.
  package var metadata: [String: String] = [:]

  /// A file without tensors.
  package init() {}

  /// Adds a tensor, replacing one of the same name; `values` in row-major order.
  package mutating func add(_ name: String, shape: [Int], values: [Float]) {
    precondition(shape.reduce(1, *) == values.count, "a tensor needs as many values as its shape")
    tensors[name] = (shape, values)
  }

  /// Replaces the file at `path` in one step.
  package func write(to path: String) throws(RetortError) {
    let names = tensors.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    var fields: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key < $1.key }.map {
        Self.json($0.key) + ":" + Self.json($0.value)
      }
      fields.append("\"__metadata__\":{" + pairs.joined(separator: ",") + "}")
    }
    var offset = 0
    for name in names {
      guard let tensor = tensors[name] else { continue }
      let end = offset + tensor.values.count * MemoryLayout<Float>.stride
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      fields.append(
        Self.json(name)
          + ":{\"dtype\":\"F32\",\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(end)]}")
      offset = end
    }
    var header = Array(("{" + fields.joined(separator: ",") + "}").utf8)
    // Spaces after the header keep the data aligned, as the format recommends.
    while (8 + header.count) % 64 != 0 { header.append(UInt8(ascii: " ")) }

    let temporary = path + ".tmp"
    let writer = try FileWriter(path: temporary, mode: .replace)
    try writer.append(values: [UInt64(header.count).littleEndian])
    try writer.append(header)
    for name in names {
      if let tensor = tensors[name] { try writer.append(values: tensor.values) }
    }
    try writer.finish()
    try FileSystem.rename(temporary, to: path)
  }

  private static func json(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\0"..<" ":
        let hex = String(scalar.value, radix: 16)
        out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }
}
