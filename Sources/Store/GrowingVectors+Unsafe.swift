import Graph
import Platform

/// The vectors of a file that a `VectorFileWriter` is still writing, mapped.
///
/// The mapping is made longer than the file, so that it rarely moves; what lies beyond the file's
/// end is never touched. Not thread-safe; a `VectorSet` that was handed out stays valid.
package final class GrowingVectors {
  private let path: String
  private let dimension: Int
  private let descriptor: Int32
  private var mapping: Mapping?

  /// One mapping; unmapped when the last set of vectors over it goes.
  private final class Mapping {
    let base: UnsafeMutableRawPointer
    let length: Int

    init(base: UnsafeMutableRawPointer, length: Int) {
      self.base = base
      self.length = length
    }

    deinit { munmap(base, length) }
  }

  /// Opens the file at `path`, which a `VectorFileWriter` has begun.
  package init(path: String, dimension: Int) throws(RetortError) {
    self.path = path
    self.dimension = dimension
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system("open", path: path, errno: errno) }
  }

  deinit { close(descriptor) }

  /// The first `count` vectors, which must have been appended and flushed.
  package func first(_ count: Int) throws(RetortError) -> VectorSet {
    guard count > 0 else { return VectorSet([], dimension: dimension) }
    let needed = VectorFileWriter.start + count * dimension * 4
    let current: Mapping
    if let mapping, mapping.length >= needed {
      current = mapping
    } else {
      let length = max(2 * needed, 1 << 24)
      guard let base = mmap(nil, length, PROT_READ, MAP_SHARED, descriptor, 0), base != MAP_FAILED
      else { throw .system("map", path: path, errno: errno) }
      current = Mapping(base: base, length: length)
      mapping = current
    }
    let start = (current.base + VectorFileWriter.start).assumingMemoryBound(to: Float.self)
    return VectorSet(base: start, count: count, dimension: dimension, owner: current)
  }
}
