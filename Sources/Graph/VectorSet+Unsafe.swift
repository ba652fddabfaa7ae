import Platform

/// Vectors in memory or in a mapped file: row-major, 32-bit floats, `count` × `dimension`.
///
/// Vectors of a mapped file come in blocks of 2^`blockShift` vectors that `guardian` verifies
/// before their first use; vectors in memory have no guardian.
package struct VectorSet: @unchecked Sendable {
  /// The first vector's first component.
  package let base: UnsafePointer<Float>
  /// The number of vectors; at most 2^31 − 1, as node ids carry a flag in their top bit.
  package let count: Int
  /// Components a vector.
  package let dimension: Int
  /// Verifies blocks of a mapped file on first touch.
  package let guardian: BlockGuard?
  /// Vectors a block, as a power of two.
  package let blockShift: Int
  private let owner: AnyObject
  /// Where single vectors are read from instead of being touched where they are mapped, and the place
  /// of the first; nil: nowhere.
  let file: (file: MappedFile, offset: Int)?

  /// A view of vectors that `owner` keeps alive.
  package init(
    base: UnsafePointer<Float>, count: Int, dimension: Int, guardian: BlockGuard? = nil,
    blockShift: Int = 0, owner: AnyObject, file: (file: MappedFile, offset: Int)? = nil
  ) {
    self.file = file
    self.base = base
    self.count = count
    self.dimension = dimension
    self.guardian = guardian
    self.blockShift = blockShift
    self.owner = owner
  }

  /// Vectors copied from an array of `count` × `dimension` floats.
  package init(_ values: [Float], dimension: Int) {
    let storage = FloatStorage(values)
    self.init(
      base: UnsafePointer(storage.base), count: dimension == 0 ? 0 : values.count / dimension,
      dimension: dimension, owner: storage)
  }

  /// Whether memory is bounded, so that mapped blocks should be few at a time.
  package var isBounded: Bool { file != nil }

  /// The components of vector `id`, which must be verified.
  @inline(__always)
  package func pointer(_ id: UInt32) -> UnsafePointer<Float> {
    base + Int(id) * dimension
  }

  /// Verifies the blocks that hold `ids`.
  @inline(__always)
  package func ensure(_ ids: UnsafePointer<UInt32>, count: Int) throws(RetortError) {
    guard let guardian else { return }
    for i in 0..<count { try guardian.ensure(Int(ids[i]) >> blockShift) }
  }

  /// Copies vector `id` into `target`, of `dimension` floats, out of `file`.
  func read(
    _ id: UInt32, from file: (file: MappedFile, offset: Int),
    into target: UnsafeMutablePointer<Float>
  ) throws(RetortError) {
    try guardian?.ensureVerified(Int(id) >> blockShift)
    try file.file.read(file.offset + Int(id) * vectorBytes, into: bytes(target))
  }

  /// The same where no disk need be waited for; otherwise has the system begin to fetch what `read` will
  /// look at and returns false.
  func readHeld(
    _ id: UInt32, from file: (file: MappedFile, offset: Int),
    into target: UnsafeMutablePointer<Float>
  ) -> Bool {
    let block = Int(id) >> blockShift
    if let guardian, !guardian.isVerified(block) {
      let first = block << blockShift
      let length = min(count - first, 1 << blockShift) * vectorBytes
      file.file.readAhead(file.offset + first * vectorBytes, count: length)
      return false
    }
    return file.file.readHeld(file.offset + Int(id) * vectorBytes, into: bytes(target))
  }

  private var vectorBytes: Int { dimension * MemoryLayout<Float>.stride }

  private func bytes(_ vector: UnsafeMutablePointer<Float>) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: vector, count: vectorBytes)
  }

  /// Verifies the blocks that hold vectors `range`.
  package func ensure(range: Range<Int>) throws(RetortError) {
    guard let guardian, !range.isEmpty else { return }
    for block in (range.lowerBound >> blockShift)...((range.upperBound - 1) >> blockShift) {
      try guardian.ensure(block)
    }
  }

  /// A copy of vector `id`.
  package func vector(_ id: Int) throws(RetortError) -> [Float] {
    try ensure(range: id..<(id + 1))
    return Array(UnsafeBufferPointer(start: base + id * dimension, count: dimension))
  }
}

private final class FloatStorage {
  let base: UnsafeMutablePointer<Float>

  init(_ values: [Float]) {
    // 64-byte aligned like a mapped section, so that kernels behave alike in tests.
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(values.count, 1) * 4, alignment: 64)
    base = raw.bindMemory(to: Float.self, capacity: max(values.count, 1))
    base.initialize(repeating: 0, count: max(values.count, 1))
    for (i, value) in values.enumerated() { base[i] = value }
  }

  deinit { UnsafeMutableRawPointer(base).deallocate() }
}
