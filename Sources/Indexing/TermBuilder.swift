import Models
import Platform
import Store
import Tensors
import Terms

// Term vectors are made from the passages file once that is whole, as lexical data is, in three steps:
//
//   encode     batches of passages → building/block-terms-….part (durable, half precision)
//   centroids  a sample of all vectors → book-N.seg (residual codecs, unless a segment has one)
//   compress   batch after batch, on all threads → terms-N.seg
//
// Only the first is expensive enough to be kept; a batch that lies there is taken if it was made of the
// same texts by the same model in the same precision. Nothing depends on the number of threads.

/// Makes the files of a segment's terms in building/.
struct TermBuilder {
  let folder: IndexFolder
  let request: TermRequest
  /// The place among the index's terms, from 0.
  let number: Int
  /// Tells the files of one segment from those of others; empty where there is one.
  let suffix: String
  let batchSize: Int
  let threads: Int
  let progress: ProgressReporter

  /// Vectors compressed by one thread at a time.
  private static let rowsAtATime = 2048

  /// 16-bit words of a vector in a block.
  private var width: Int { request.codec.stagedWords(dimension: request.source.dimension) }

  private var name: String { Manifest.terms(number) + suffix }
  private var termFile: String { name + ".seg" }
  private var bookFile: String { Manifest.book(number) + suffix + ".seg" }

  /// Encodes the texts of `passages` and writes them.
  ///
  /// - Parameter book: the path of a file of centroids to compress with; nil makes one.
  /// - Returns: the new files in building/ by role, and how many passages were cut.
  func write(
    _ passages: PassageFile, book: String?
  ) throws(RetortError) -> (files: [String: String], truncated: Int) {
    let batches = try encode(passages)
    var files = [Manifest.terms(number): termFile]
    var book = book
    if let bits = request.codec.bits, book == nil {
      book = folder.buildingPath + "/" + bookFile
      files[Manifest.book(number)] = bookFile
      try TermFile.write(
        try train(batches, bits: bits), to: folder.buildingPath + "/" + bookFile)
    }
    try compress(batches, book: request.codec.bits == nil ? nil : book, total: passages.count)
    return (files, batches.reduce(0) { $0 + $1.truncated })
  }

  /// What is known of a batch without reading it.
  private struct Batch {
    var path: String
    var counts: [Int]
    var truncated: Int
    var rows: Int { counts.reduce(0, +) }
  }

  // MARK: - Encode

  private func encode(_ passages: PassageFile) throws(RetortError) -> [Batch] {
    var batches: [Batch] = []
    var texts: [String] = []
    var isResuming = true
    var done = 0
    func flush() throws(RetortError) {
      guard !texts.isEmpty else { return }
      let path = StagedTerms.path(batches.count, of: name, in: folder)
      let hash = hash(texts)
      if isResuming, FileSystem.kind(of: path) == .file {
        let staged = try StagedTerms(path: path)
        if staged.hash == hash, staged.first == done, staged.counts.count == texts.count,
          staged.dimension == width
        {
          batches.append(Batch(path: path, counts: staged.counts, truncated: staged.truncated))
          done += texts.count
          texts = []
          return
        }
      }
      if isResuming {
        isResuming = false
        if done > 0 { progress.note("resuming after the terms of \(counted(done, "passage"))") }
        progress.begin("terms", unit: "passages", total: passages.count, done: done)
      }
      let staged = try staged(texts, first: done, hash: hash)
      try FileSystem.replace(path, with: staged.encoded())
      batches.append(Batch(path: path, counts: staged.counts, truncated: staged.truncated))
      done += texts.count
      texts = []
      progress.update(done)
    }
    try passages.forEachText { _, text throws(RetortError) in
      texts.append(String(decoding: text, as: UTF8.self))
      if texts.count == batchSize {
        try Interruption.check()
        try flush()
      }
    }
    try Interruption.check()
    try flush()
    try passages.file.mapping.checkIntact()
    progress.finishPhase()
    return batches
  }

  private func hash(_ texts: [String]) -> UInt128 {
    var bytes = Array(request.source.fingerprint.utf8)
    if let precision = request.described.precision { bytes += precision.utf8 }
    for text in texts {
      bytes.append(0)
      bytes += text.utf8
    }
    return Hashing.hash128(bytes, seed: 4)
  }

  private func staged(
    _ texts: [String], first: Int, hash: UInt128
  ) throws(RetortError) -> StagedTerms {
    let terms = try request.source.terms(texts, threads)
    let counts = zip(terms.offsets, terms.offsets.dropFirst()).map { $1 - $0 }
    let rows = terms.offsets.last ?? 0
    guard counts.count == texts.count, counts.allSatisfy({ $0 >= 0 }),
      terms.values.count == rows * request.source.dimension
    else {
      throw RetortError(
        .badData, "\(request.source.kind) gave vectors that do not fit its passages",
        path: request.source.path)
    }
    guard let halves = TermRowCoder.staged(terms.values, for: request.codec) else {
      throw RetortError(
        .badData,
        "gives term vectors with components beyond 65504 or NaN for passages \(first) to "
          + "\(first + texts.count - 1); check the model", path: request.source.path)
    }
    return StagedTerms(
      first: first, dimension: width, counts: counts, halves: halves,
      truncated: terms.truncated, hash: hash)
  }

  // MARK: - Centroids

  private func train(_ batches: [Batch], bits: Int) throws(RetortError) -> ResidualBook {
    let dimension = request.source.dimension
    let rows = batches.reduce(0) { $0 + $1.rows }
    guard rows > 0 else {
      throw RetortError(
        .badData, "the passages have no term vectors; there is nothing to compress",
        path: folder.path)
    }
    let count = TermSampling.centroids(rows: rows, dimension: dimension)
    let wanted = TermSampling.rows(
      TermSampling.sampled(rows: rows, centroids: count, dimension: dimension), of: rows)
    let sample = Matrix(rows: wanted.count, columns: dimension)
    progress.begin("sample", unit: "vectors", total: wanted.count)
    var first = 0
    var taken = 0
    for batch in batches {
      try Interruption.check()
      let next = first + batch.rows
      guard taken < wanted.count, wanted[taken] < next else {
        first = next
        continue
      }
      let staged = try StagedTerms(path: batch.path)
      while taken < wanted.count, wanted[taken] < next {
        let start = (wanted[taken] - first) * dimension
        sample.setRow(taken, halves: staged.halves[start..<start + dimension])
        taken += 1
      }
      first = next
      progress.update(taken)
    }
    progress.finishPhase()
    progress.begin("centroids", unit: "rounds", total: 4)
    let book = try ResidualBook.train(sample, count: count, bits: bits, threads: threads) {
      progress.update($0)
    }
    progress.finishPhase()
    return book
  }

  // MARK: - Compress

  private func compress(
    _ batches: [Batch], book: String?, total: Int
  ) throws(RetortError) {
    let dimension = request.source.dimension
    let path = folder.buildingPath + "/" + termFile
    let writer = try TermFileWriter(
      path: path, codec: request.codec, dimension: dimension, book: book)
    let coder = try TermRowCoder(
      request.codec, dimension: dimension,
      book: book.map { path throws(RetortError) in try TermFile.book(path: path) })
    progress.begin("compress", unit: "passages", total: total)
    var done = 0
    for batch in batches {
      try Interruption.check()
      let halves = try StagedTerms(path: batch.path).halves
      let rows = width > 0 ? halves.count / width : 0
      let parts = (rows + Self.rowsAtATime - 1) / Self.rowsAtATime
      let results = OrderedResults<CodedTerms>(count: parts)
      try parallelForThrowing(parts, threads: threads) { part, _ throws(RetortError) in
        let first = part * Self.rowsAtATime
        let last = min(rows, first + Self.rowsAtATime)
        results.set(part, try coder.code(halves: halves[first * width..<last * width]))
      }
      try writer.append(counts: batch.counts, results.values)
      done += batch.counts.count
      progress.update(done)
    }
    try writer.finish()
    progress.finishPhase()
    // Before anything names it: that it opens, and holds all passages.
    _ = try TermFile(
      path: path, book: book, count: total, info: request.described)
  }
}
