import Platform

/// The search for the best spelling, with memory that is used again from word to word.
struct UnigramSearch {
  /// Best score up to a position, as a ring over positions; -infinity where nothing ends.
  private var best: [Double]
  private let mask: Int
  /// For every position the id and length of the piece that ends there on the best way.
  private var ids: [Int32] = []
  private var lengths: [UInt16] = []

  init(longestPiece: Int) {
    var size = 8
    while size <= longestPiece { size *= 2 }
    best = [Double](repeating: -.infinity, count: size)
    mask = size - 1
  }

  /// Appends the ids of one word. Time is bytes times the longest match, memory 6 bytes a byte.
  mutating func run(
    _ model: Unigram, on word: UnsafeBufferPointer<UInt8>, into output: inout [Int32]
  ) {
    let count = word.count
    guard count > 0 else { return }
    if ids.count <= count {
      ids = [Int32](repeating: 0, count: count + 1)
      lengths = [UInt16](repeating: 0, count: count + 1)
    }
    // Between words the ring is clear: each position is cleared once the search has left it, and
    // positions inside a character are never set.
    best[0] = 0
    let trie = model.trie
    model.scores.withUnsafeBufferPointer { scores in
      best.withUnsafeMutableBufferPointer { best in
        ids.withUnsafeMutableBufferPointer { ids in
          lengths.withUnsafeMutableBufferPointer { lengths in
            let ring = mask
            func relax(_ end: Int, _ score: Double, _ id: Int32, _ length: Int) {
              if score > best[end & ring] {
                best[end & ring] = score
                ids[end] = id
                lengths[end] = UInt16(truncatingIfNeeded: length)
              }
            }
            var start = 0
            while start < count {
              let here = best[start & ring]
              best[start & ring] = -.infinity
              let width = Self.width(word[start])
              var coversCharacter = false
              var node: Int32 = 0
              var end = start
              while end < count {
                let step = trie.step(from: node, word[end])
                if step.node == ByteTrie.none { break }
                node = step.node
                end += 1
                if step.value != ByteTrie.none {
                  relax(end, here + scores[Int(step.value)], step.value, end - start)
                  if end - start == width { coversCharacter = true }
                }
              }
              if !coversCharacter {
                relax(start + width, here + model.unknownScore, model.unknown, width)
              }
              start += width
            }
            best[count & ring] = -.infinity
          }
        }
      }
    }
    trace(model, word, count, into: &output)
  }

  /// Follows the best way back and appends its ids in order, unknown neighbours as one.
  private func trace(
    _ model: Unigram, _ word: UnsafeBufferPointer<UInt8>, _ count: Int, into output: inout [Int32]
  ) {
    let mark = output.count
    var end = count
    var unknownEnd: Int?
    while end > 0 {
      let start = end - Int(lengths[end])
      if ids[end] == model.unknown {
        unknownEnd = unknownEnd ?? end
      } else {
        if let last = unknownEnd { spell(model, word[end..<last], into: &output) }
        unknownEnd = nil
        output.append(ids[end])
      }
      end = start
    }
    if let last = unknownEnd { spell(model, word[0..<last], into: &output) }
    output[mark...].reverse()
  }

  private func spell(
    _ model: Unigram, _ bytes: Slice<UnsafeBufferPointer<UInt8>>, into output: inout [Int32]
  ) {
    if let byteIDs = model.byteIDs {
      for byte in bytes.reversed() { output.append(byteIDs[Int(byte)]) }
    } else {
      output.append(model.unknown)
    }
  }

  @inline(__always)
  private static func width(_ first: UInt8) -> Int {
    first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
  }
}
