import Platform

/// A segment file taken apart and put together again by the documented layout alone, so that tests
/// can change what it says and still give it checksums that match.
struct SegmentImage {
  struct Part {
    var name: String
    var bytes: [UInt8]
    var blockLength: Int
    /// Where the data began in the file that was read.
    var offset = 0
  }

  var kind: UInt32
  var parts: [Part]
  /// Changes the header page after it is made and before its checksum is.
  var alterHeader: (inout [UInt8]) -> Void = { _ in }

  init(_ file: [UInt8]) {
    kind = file.word(12)
    parts = (0..<Int(file.word(24))).map { index in
      let entry = 32 + 56 * index
      let name = file[entry..<(entry + 16)].prefix { $0 != 0 }
      let offset = Int(file.long(entry + 16))
      return Part(
        name: String(decoding: name, as: UTF8.self),
        bytes: Array(file[offset..<(offset + Int(file.long(entry + 24)))]),
        blockLength: Int(file.word(entry + 40)), offset: offset)
    }
  }

  subscript(name: String) -> [UInt8] {
    get { parts.first { $0.name == name }?.bytes ?? [] }
    set {
      if let index = parts.firstIndex(where: { $0.name == name }) { parts[index].bytes = newValue }
    }
  }

  /// The file.
  func encoded() -> [UInt8] {
    var file = [UInt8](repeating: 0, count: 4096)
    func pad(_ alignment: Int) {
      while file.count % alignment != 0 { file.append(0) }
    }
    var offsets: [Int] = []
    for part in parts {
      pad(["vectors", "codes", "order"].contains(part.name) ? 4096 : 64)
      offsets.append(file.count)
      file += part.bytes
    }
    var table: [UInt8] = []
    for (part, offset) in zip(parts, offsets) {
      pad(64)
      var checksums: [UInt8] = []
      for start in stride(from: 0, to: part.bytes.count, by: max(part.blockLength, 1)) {
        let end = min(part.bytes.count, start + max(part.blockLength, 1))
        checksums.put(Checksum.crc32c(Array(part.bytes[start..<end])))
      }
      let name = Array(part.name.utf8)
      table += name + [UInt8](repeating: 0, count: 16 - name.count)
      table.put(UInt64(offset))
      table.put(UInt64(part.bytes.count))
      table.put(UInt64(file.count))
      table.put(UInt32(part.blockLength))
      table.put(Checksum.crc32c(checksums))
      table.put(UInt64(0))
      file += checksums
    }
    var header = Array("RETORTSG".utf8)
    header.put(UInt32(1))
    header.put(kind)
    header.put(UInt64(file.count))
    header.put(UInt32(parts.count))
    header.put(UInt32(0))
    header += table
    header += [UInt8](repeating: 0, count: 4096 - header.count)
    alterHeader(&header)
    header.set(UInt32(0), at: 28)
    header.set(Checksum.crc32c(header), at: 28)
    file.replaceSubrange(0..<4096, with: header)
    return file
  }
}

extension [UInt8] {
  func word(_ offset: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 | UInt32(self[offset + $1]) << UInt32(8 * $1) }
  }

  func long(_ offset: Int) -> UInt64 {
    UInt64(word(offset)) | UInt64(word(offset + 4)) << 32
  }

  mutating func put(_ value: some FixedWidthInteger) {
    append(contentsOf: [UInt8](repeating: 0, count: type(of: value).bitWidth / 8))
    set(value, at: count - type(of: value).bitWidth / 8)
  }

  mutating func set(_ value: some FixedWidthInteger, at offset: Int) {
    for i in 0..<(type(of: value).bitWidth / 8) {
      self[offset + i] = UInt8(truncatingIfNeeded: value >> (8 * i))
    }
  }

  /// These bytes as an LZ4 block that compresses nothing: one sequence of literals.
  var asLZ4Literals: [UInt8] {
    guard count >= 15 else { return [UInt8(count << 4)] + self }
    var block: [UInt8] = [0xF0]
    var rest = count - 15
    while rest >= 255 {
      block.append(255)
      rest -= 255
    }
    block.append(UInt8(rest))
    return block + self
  }
}
