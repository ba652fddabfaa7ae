import Platform

// passages.seg, kind PSGS; ids and texts lie apart, as ids are wanted for every hit of every query
// and texts only for what is shown or re-ranked:
//   "shape"      u64 count, u32 ids a block, u32 zero
//   "ids"        LZ4 blocks: u32 byte lengths of the block's ids, then their UTF-8 bytes
//   "idindex"    per block: u64 offset in "ids", u32 compressed length, u32 raw length
//   "texts"      LZ4 blocks of about 16 KiB of whole texts: u32 n, n u32 byte lengths, UTF-8 bytes
//   "textindex"  per block: u64 offset in "texts", u32 compressed length, u32 raw length,
//                u64 number of the block's first passage
//   "lookup"     per passage: u64, the id's 32-bit hash above the passage's number; ascending
//   "textlookup" the same with the text's hash: what was encoded once need not be again

enum PassageLayout {
  static let idsPerBlock = 1024
  static let textBlock = 16 << 10

  /// The hash that "lookup" and "textlookup" are sorted by.
  static func hash(_ bytes: some Collection<UInt8>) -> UInt32 {
    UInt32(truncatingIfNeeded: Hashing.hash128(bytes))
  }
}

/// Writes ids and texts.
package final class PassageFileWriter {
  private let writer: SegmentFileWriter
  private let threads: Int
  private var textIndex: [UInt8] = []
  private var textOffset: UInt64 = 0
  private var count = 0
  private var pendingTexts: [[UInt8]] = []
  private var pendingBytes = 0
  private var finishedBlocks: [(first: Int, raw: [UInt8])] = []
  private var firstPending = 0
  private var ids: [UInt8] = []
  private var idLengths: [UInt32] = []
  private var lookup: [UInt64] = []
  private var textLookup: [UInt64] = []

  /// Starts the file at `path`, compressing on `threads` threads.
  package init(path: String, threads: Int) throws(RetortError) {
    self.threads = threads
    writer = try SegmentFileWriter(path: path, kind: .passages)
    try writer.begin("texts")
  }

  /// Appends a passage given as UTF-8 bytes.
  package func append(id: [UInt8], text: [UInt8]) throws(RetortError) {
    ids += id
    idLengths.append(UInt32(id.count))
    lookup.append(UInt64(PassageLayout.hash(id)) << 32 | UInt64(count))
    textLookup.append(UInt64(PassageLayout.hash(text)) << 32 | UInt64(count))
    count += 1
    pendingTexts.append(text)
    pendingBytes += text.count
    if pendingBytes >= PassageLayout.textBlock {
      closeTextBlock()
      if finishedBlocks.count >= 256 { try writeTextBlocks() }
    }
  }

  private func closeTextBlock() {
    guard !pendingTexts.isEmpty else { return }
    var raw: [UInt8] = []
    raw.reserveCapacity(pendingBytes + 4 * pendingTexts.count + 4)
    raw.appendInteger(UInt32(pendingTexts.count))
    for text in pendingTexts { raw.appendInteger(UInt32(text.count)) }
    for text in pendingTexts { raw += text }
    finishedBlocks.append((firstPending, raw))
    firstPending = count
    pendingTexts.removeAll(keepingCapacity: true)
    pendingBytes = 0
  }

  private func compress(_ blocks: [[UInt8]]) -> [[UInt8]] {
    let packed = OrderedResults<[UInt8]>(count: blocks.count)
    parallelFor(blocks.count, threads: threads) { item, _ in
      packed.set(item, LZ4Block.compress(blocks[item]))
    }
    return packed.values
  }

  private func writeTextBlocks() throws(RetortError) {
    try Interruption.check()
    for (block, packed) in zip(finishedBlocks, compress(finishedBlocks.map(\.raw))) {
      textIndex.appendInteger(textOffset)
      textIndex.appendInteger(UInt32(packed.count))
      textIndex.appendInteger(UInt32(block.raw.count))
      textIndex.appendInteger(UInt64(block.first))
      textOffset += UInt64(packed.count)
      try writer.append(packed)
    }
    finishedBlocks.removeAll()
  }

  /// Ends the file and makes it durable.
  package func finish() throws(RetortError) {
    closeTextBlock()
    try writeTextBlocks()
    writer.end()
    try writer.add("textindex", textIndex)
    try writeIDs()
    try write(&lookup, as: "lookup")
    try write(&textLookup, as: "textlookup")
    var shape: [UInt8] = []
    shape.appendInteger(UInt64(count))
    shape.appendInteger(UInt32(PassageLayout.idsPerBlock))
    shape.appendInteger(UInt32(0))
    try writer.add("shape", shape)
    try writer.finish()
  }

  private func write(_ entries: inout [UInt64], as name: String) throws(RetortError) {
    entries.order()
    try writer.begin(name)
    for start in stride(from: 0, to: entries.count, by: 8192) {
      var bytes: [UInt8] = []
      for entry in entries[start..<min(entries.count, start + 8192)] { bytes.appendInteger(entry) }
      try writer.append(bytes)
    }
    writer.end()
  }

  private func writeIDs() throws(RetortError) {
    var index: [UInt8] = []
    var offset: UInt64 = 0
    var start = 0
    try writer.begin("ids")
    for first in stride(from: 0, to: count, by: PassageLayout.idsPerBlock) {
      let lengths = idLengths[first..<min(count, first + PassageLayout.idsPerBlock)]
      var raw: [UInt8] = []
      for length in lengths { raw.appendInteger(length) }
      let total = lengths.reduce(0) { $0 + Int($1) }
      raw += ids[start..<(start + total)]
      start += total
      let packed = LZ4Block.compress(raw)
      index.appendInteger(offset)
      index.appendInteger(UInt32(packed.count))
      index.appendInteger(UInt32(raw.count))
      offset += UInt64(packed.count)
      try writer.append(packed)
    }
    writer.end()
    try writer.add("idindex", index)
  }
}
