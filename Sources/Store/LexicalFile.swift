import Lexical
import Platform

// lexical.seg, kind LEXI, of indexes that are searched by words, too: the sections that
// `InvertedFileWriter` draws.

/// A mapped inverted file of a segment's passages.
package struct LexicalFile: Sendable {
  /// The postings.
  package let inverted: InvertedFile
  /// The file.
  package let file: SegmentFile

  /// Maps the file at `path`, made of `count` passages by `settings`.
  package init(
    path: String, count: Int, settings: LexicalSettings, budget: MemoryBudget? = nil
  ) throws(RetortError) {
    let file = try SegmentFile(path: path, kind: .lexical, budget: budget)
    self.file = file
    inverted = try InvertedFile { name throws(RetortError) in try file.section(name) }
    guard inverted.count == count, inverted.settings == settings else {
      throw try file.section("shape").damaged(
        "\(inverted.count) passages of \(count), or made with another stemmer or stop list than the "
          + "manifest says")
    }
  }

  /// Blocks of texts that one thread inverts at a time, 4 MiB.
  private static let chunkBlocks = (4 << 20) / PassageLayout.textBlock

  /// Inverts the texts of all of `passages`, deleted ones included, into a durable file at `path`.
  ///
  /// The bytes do not depend on `threads`. Memory grows by some three bytes for each term of a passage.
  package static func write(
    _ passages: PassageFile, _ settings: LexicalSettings, to path: String, threads: Int,
    progress: ProgressReporter
  ) throws(RetortError) {
    progress.begin("words", unit: "passages", total: passages.count)
    let analyzer = Analyzer(settings)
    let starts = Array(stride(from: 0, to: passages.textBlocks, by: chunkBlocks))
    let chunks = OrderedResults<InvertedChunk>(count: starts.count)
    try parallelForThrowing(starts.count, threads: threads) { item, _ throws(RetortError) in
      try Interruption.check()
      var blocks: [TextBlock] = []
      for block in starts[item]..<min(passages.textBlocks, starts[item] + Self.chunkBlocks) {
        blocks.append(try passages.textBlock(block))
      }
      chunks.set(item, InvertedChunk(blocks.flatMap { $0.texts }, analyzer))
      if let last = blocks.last { progress.update(last.first + last.count) }
    }
    try passages.file.mapping.checkIntact()
    let writer = try SegmentFileWriter(path: path, kind: .lexical)
    try writer.begin("postings")
    let sections = try InvertedFileWriter.write(chunks.values, settings) {
      bytes throws(RetortError) in
      try writer.append(bytes)
    }
    writer.end()
    for section in sections { try writer.add(section.name, section.bytes) }
    try writer.finish()
    // Before anything names it: that it opens, and holds all passages.
    _ = try LexicalFile(path: path, count: passages.count, settings: settings)
    progress.update(passages.count)
    progress.finishPhase()
  }
}

extension Section: VerifiedBytes {}
