import Platform

/// Writes safetensors files behind a header padded to 64 bytes, so that the same tensors always give
/// the same bytes.
///
/// Tensors whose length is a multiple of 64 bytes come first and are therefore aligned to 64 bytes in
/// the file; each group is in name order.
package struct SafeTensorsWriter {
  private var tensors: [String: (type: SafeTensors.ElementType, shape: [Int], bytes: [UInt8])] = [:]

  /// Free-form strings for `__metadata__`.
  package var metadata: [String: String] = [:]

  /// A file without tensors.
  package init() {}

  /// Adds an F32 tensor, replacing one of the same name; `values` in row-major order.
  package mutating func add(_ name: String, shape: [Int], values: [Float]) {
    values.withUnsafeBytes { add(name, type: .float32, shape: shape, bytes: $0) }
  }

  /// Adds a tensor of any type from its little-endian bytes, replacing one of the same name.
  package mutating func add(
    _ name: String, type: SafeTensors.ElementType, shape: [Int], bytes: UnsafeRawBufferPointer
  ) {
    precondition(
      shape.reduce(type.size, *) == bytes.count, "a tensor needs as many values as its shape")
    tensors[name] = (type, shape, Array(bytes))
  }

  /// Replaces the file at `path` in one step.
  package func write(to path: String) throws(RetortError) {
    let ordered = tensors.ordered { a, b in
      let (loose, other) = (a.value.bytes.count % 64 != 0, b.value.bytes.count % 64 != 0)
      return loose == other
        ? a.key.precedesInBytes(b.key) : other
    }
    var fields: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.ordered { $0.key < $1.key }.map {
        Self.json($0.key) + ":" + Self.json($0.value)
      }
      fields.append("\"__metadata__\":{" + pairs.joined(separator: ",") + "}")
    }
    var offset = 0
    for (name, tensor) in ordered {
      let end = offset + tensor.bytes.count
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      fields.append(
        Self.json(name) + ":{\"dtype\":\"\(tensor.type.rawValue)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(offset),\(end)]}")
      offset = end
    }
    var header = Array(("{" + fields.joined(separator: ",") + "}").utf8)
    // Spaces after the header keep the data aligned, as the format recommends.
    while (8 + header.count) % 64 != 0 { header.append(UInt8(ascii: " ")) }

    let temporary = path + ".tmp"
    let writer = try FileWriter(path: temporary, mode: .replace)
    try writer.append(values: [UInt64(header.count).littleEndian])
    try writer.append(header)
    for (_, tensor) in ordered { try writer.append(tensor.bytes) }
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
