import CKernels
import Platform

/// The codes of a collection's vectors by node, in memory or in a mapped file, with the book they were
/// made by.
package struct CodeSet: @unchecked Sendable {
  /// How the vectors were coded.
  package let book: CodeBook
  /// The first record.
  package let base: UnsafePointer<UInt8>
  /// The number of records.
  package let count: Int
  /// Verifies blocks of a mapped file on first touch.
  package let guardian: BlockGuard?
  /// Records a block, as a power of two.
  package let blockShift: Int
  private let owner: AnyObject

  /// A view of records that `owner` keeps alive.
  package init(
    book: CodeBook, base: UnsafePointer<UInt8>, count: Int, guardian: BlockGuard? = nil,
    blockShift: Int = 0, owner: AnyObject
  ) {
    self.book = book
    self.base = base
    self.count = count
    self.guardian = guardian
    self.blockShift = blockShift
    self.owner = owner
  }

  /// The codes of the vectors `nodes`, in that order, made on `threads` threads.
  package init(
    _ vectors: VectorSet, nodes: [UInt32], book: CodeBook, threads: Int
  ) throws(RetortError) {
    let storage = ByteStorage(count: nodes.count * book.stride)
    let chunk = 1024
    try parallelForThrowing((nodes.count + chunk - 1) / chunk, threads: threads) {
      item, _ throws(RetortError) in
      try Interruption.check()
      var values = [Float](repeating: 0, count: book.axisCount)
      for node in (item * chunk)..<min(nodes.count, (item + 1) * chunk) {
        let id = nodes[node]
        try vectors.ensure(range: Int(id)..<(Int(id) + 1))
        values.withUnsafeMutableBufferPointer { buffer in
          guard let values = buffer.baseAddress else { return }
          book.encode(
            vectors.pointer(id), into: storage.base + node * book.stride, values: values)
        }
      }
    }
    self.init(
      book: book, base: UnsafePointer(storage.base), count: nodes.count, owner: storage)
  }

  /// All records, which must be verified.
  package var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base, count: count * book.stride)
  }
}

private final class ByteStorage: @unchecked Sendable {
  let base: UnsafeMutablePointer<UInt8>

  init(count: Int) {
    base = Arena.allocate(bytes: max(count, 1)).bindMemory(to: UInt8.self, capacity: max(count, 1))
  }

  deinit { UnsafeMutableRawPointer(base).deallocate() }
}

/// What nearness means.
package enum GraphMetric: UInt32, Sendable {
  /// The inner product, for normalised vectors also the cosine.
  case innerProduct = 0
  /// Euclidean distance.
  case euclidean = 1

  /// What is added to a query's inner product with `vector` to rank by this metric.
  @inline(__always)
  package func bias(_ vector: UnsafePointer<Float>, _ dimension: Int) -> Float {
    switch self {
    case .innerProduct: 0
    case .euclidean: -0.5 * retort_dot_f32(vector, vector, dimension)
    }
  }
}
