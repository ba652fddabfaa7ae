import Foundation
import Platform

/// Makes bytes wrong in the ways that find mistakes in readers: numbers at the edges of their ranges,
/// pieces lost, doubled or in each other's places, and single bits.
struct SectionMutator {
  var random: SplitMix64

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  /// A number below `limit`, which must be positive.
  mutating func number(below limit: Int) -> Int { Int(random.next() % UInt64(limit)) }

  /// An integer near an edge of some width, or near `value`.
  private mutating func edge(near value: UInt64) -> UInt64 {
    let edges: [UInt64] = [
      0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x1_0000_0000,
      0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, .max, 0x7FF8_0000_0000_0000, 0x7F80_0000,
    ]
    switch number(below: 4) {
    case 0: return value &+ 1
    case 1: return value &- 1
    case 2: return random.next() >> (random.next() % 64)
    default: return edges[number(below: edges.count)]
    }
  }

  /// `bytes` with one to four mistakes.
  mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    for _ in 0...number(below: 4) { mutateOnce(&bytes) }
    return bytes
  }

  private mutating func mutateOnce(_ bytes: inout [UInt8]) {
    guard !bytes.isEmpty else {
      bytes = (0..<number(below: 40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      return
    }
    let place = number(below: bytes.count)
    let length = 1 + number(below: min(64, bytes.count - place))
    switch number(below: 9) {
    case 0: bytes[place] ^= 1 << UInt8(number(below: 8))
    case 1: bytes[place] = UInt8(truncatingIfNeeded: random.next())
    case 2, 3, 4:
      // A number in its place, mostly.
      let width = [1, 2, 4, 8][number(below: 4)]
      guard bytes.count >= width else { return }
      let at = number(below: bytes.count / width) * width
      let value = (0..<width).reduce(UInt64(0)) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
      let changed = edge(near: value)
      for i in 0..<width { bytes[at + i] = UInt8(truncatingIfNeeded: changed >> UInt64(8 * i)) }
    case 5: bytes.removeSubrange(place..<(place + length))
    case 6: bytes.removeLast(bytes.count - place)
    case 7: bytes.insert(contentsOf: bytes[place..<(place + length)], at: place)
    default:
      let other = number(below: bytes.count - length + 1)
      let (one, two) = (Array(bytes[place..<(place + length)]), bytes[other..<(other + length)])
      bytes.replaceSubrange(place..<(place + length), with: two)
      bytes.replaceSubrange(other..<(other + length), with: one)
    }
  }

  /// `text` with a number in it, or a word, that is another.
  mutating func mutate(json bytes: [UInt8]) -> [UInt8] {
    var runs: [Range<Int>] = []
    var start: Int?
    for (place, byte) in (bytes + [0]).enumerated() {
      if (48...57).contains(byte) {
        start = start ?? place
      } else if let begin = start {
        runs.append(begin..<place)
        start = nil
      }
    }
    guard !runs.isEmpty, number(below: 5) > 0 else { return mutate(bytes) }
    let run = runs[number(below: runs.count)]
    let old = UInt64(String(decoding: bytes[run], as: UTF8.self)) ?? 0
    let value = edge(near: old)
    let text = number(below: 4) == 0 ? "\(Int64(bitPattern: value))" : "\(value)"
    return Array(bytes[..<run.lowerBound]) + Array(text.utf8) + Array(bytes[run.upperBound...])
  }

  /// A segment file with a mistake in section `part`, behind compression where it is compressed.
  mutating func mutate(_ image: SegmentImage, part: Int) -> SegmentImage {
    var image = image
    let name = image.parts[part].name
    let tables = ["texts": ("textindex", 24), "ids": ("idindex", 16)]
    let layer = name.hasPrefix("links") ? ("index" + name.dropFirst(5), 16) : nil
    if let (table, width) = tables[name] ?? layer, number(below: 4) > 0, !image[table].isEmpty {
      mutateBlock(&image, name, table: table, width: width)
    } else if name == "fields" {
      image.parts[part].bytes = mutate(json: image.parts[part].bytes)
    } else if name == "values", number(below: 4) > 0 {
      mutateValues(&image)
    } else {
      image.parts[part].bytes = mutate(image.parts[part].bytes)
    }
    return image
  }

  /// Changes what a block holds: the changed bytes, packed anew, lie at the section's end.
  private mutating func mutateBlock(
    _ image: inout SegmentImage, _ name: String, table: String, width: Int
  ) {
    let entry = number(below: image[table].count / width) * width
    let (start, packed) = (Int(image[table].long(entry)), Int(image[table].word(entry + 8)))
    let block = Array(image[name][start..<(start + packed)])
    let changed = mutate(block.lz4Decoded)
    let repacked = changed.asLZ4Literals
    image[table].set(UInt64(image[name].count), at: entry)
    image[table].set(UInt32(repacked.count), at: entry + 8)
    image[table].set(UInt32(changed.count), at: entry + 12)
    image[name] += repacked
  }

  /// Changes the values of a field of metadata.
  private mutating func mutateValues(_ image: inout SegmentImage) {
    guard
      var directory = try? JSONSerialization.jsonObject(with: Data(image["fields"]))
        as? [String: Any],
      var fields = directory["fields"] as? [[String: Any]], !fields.isEmpty
    else { return }
    let field = number(below: fields.count)
    guard var blocks = fields[field]["blocks"] as? [[String: Int]], var block = blocks.first,
      let offset = block["offset"], let length = block["length"]
    else { return }
    let changed = mutate(Array(image["values"][offset..<(offset + length)]).lz4Decoded)
    let repacked = changed.asLZ4Literals
    block["offset"] = image["values"].count
    block["length"] = repacked.count
    block["raw"] = changed.count
    image["values"] += repacked
    blocks[0] = block
    fields[field]["blocks"] = blocks
    directory["fields"] = fields
    if let bytes = try? JSONSerialization.data(withJSONObject: directory) {
      image["fields"] = [UInt8](bytes)
    }
  }
}

extension [UInt8] {
  /// What an undamaged LZ4 block (the raw block format) holds.
  var lz4Decoded: [UInt8] {
    var output: [UInt8] = []
    var place = 0
    func length(_ nibble: UInt8) -> Int {
      var total = Int(nibble)
      guard nibble == 15 else { return total }
      while place < count {
        total += Int(self[place])
        place += 1
        if self[place - 1] != 255 { break }
      }
      return total
    }
    while place < count {
      let token = self[place]
      place += 1
      let literals = length(token >> 4)
      output += self[place..<(place + literals)]
      place += literals
      guard place + 1 < count else { break }
      let distance = Int(self[place]) | Int(self[place + 1]) << 8
      place += 2
      let matched = length(token & 15) + 4
      for _ in 0..<matched { output.append(output[output.count - distance]) }
    }
    return output
  }
}
