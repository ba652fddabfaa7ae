import Platform

/// Memory that is given out piece by piece and freed as a whole, in chunks that the kernel may back
/// by huge pages: random reads over many small pages spend more on address translation than on the
/// data.
struct Arena: ~Copyable {
  private var chunks: [UnsafeMutableRawPointer] = []
  private var next = 0
  private var end = 0

  /// The size of a huge page on the common platforms; where it is another, nothing breaks.
  static let hugePage = 1 << 21
  private static let alignment = 64

  private let largestChunk: Int

  /// Memory in chunks of at most `largestChunk` bytes, or of a piece that is larger.
  init(largestChunk: Int = hugePage) { self.largestChunk = largestChunk }

  deinit {
    for chunk in chunks { chunk.deallocate() }
  }

  /// Room for `count` values of a trivial type, aligned to a cache line, not initialised.
  mutating func allocate<Value: BitwiseCopyable>(
    _ type: Value.Type, count: Int
  ) -> UnsafeMutablePointer<Value> {
    let length =
      (max(count * MemoryLayout<Value>.stride, 1) + Self.alignment - 1) & ~(Self.alignment - 1)
    if next + length > end || chunks.isEmpty {
      // Small graphs get small chunks, large ones whole huge pages.
      let usual = min(largestChunk, max(1 << 16, end * 2))
      let size = max(length, chunks.count < 6 ? usual : largestChunk)
      chunks.append(Self.allocate(bytes: size))
      next = 0
      end = size
    }
    let piece = chunks[chunks.count - 1] + next
    next += length
    return piece.bindMemory(to: type, capacity: count)
  }

  /// `bytes` not initialised bytes of their own, on huge pages where that makes sense; freed by
  /// `deallocate()`.
  static func allocate(bytes: Int) -> UnsafeMutableRawPointer {
    let isHuge = bytes >= hugePage
    let memory = UnsafeMutableRawPointer.allocate(
      byteCount: max(bytes, 1), alignment: isHuge ? hugePage : alignment)
    #if os(Linux)
      // Only advice: without huge pages everything works, a little slower.
      if isHuge { madvise(memory, bytes, MADV_HUGEPAGE) }
    #endif
    return memory
  }
}
