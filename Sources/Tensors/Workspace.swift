/// The activations' memory of one worker, reused from layer to layer and from batch to batch.
///
/// A buffer is free as soon as no value refers to it any more. Not thread-safe: the owner makes
/// sure that one thread at a time uses it, which is why it may travel between threads.
package final class Workspace: @unchecked Sendable {
  private var buffers: [FloatBuffer] = []

  /// An empty workspace; it grows to what the largest batch needs.
  package init() {}

  /// Bytes held.
  package var bytes: Int { buffers.reduce(0) { $0 + $1.capacity } * MemoryLayout<Float>.stride }

  /// A matrix whose contents are unspecified: the smallest free buffer that holds it, or a new one.
  func matrix(rows: Int, columns: Int) -> Matrix {
    let needed = rows * columns
    var best: Int?
    var outgrown: Int?
    for index in buffers.indices where isKnownUniquelyReferenced(&buffers[index]) {
      let capacity = buffers[index].capacity
      if capacity >= needed {
        if capacity < best.map({ buffers[$0].capacity }) ?? .max { best = index }
      } else {
        outgrown = index
      }
    }
    if let best { return Matrix(buffer: buffers[best], rows: rows, columns: columns) }
    let buffer = FloatBuffer(capacity: needed)
    // A free buffer that is too small makes room, so that a growing batch does not pile up memory.
    if let outgrown { buffers[outgrown] = buffer } else { buffers.append(buffer) }
    return Matrix(buffer: buffer, rows: rows, columns: columns)
  }
}
