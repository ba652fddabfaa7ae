import CKernels
import Platform

/// An order of the vectors in which near ones are mostly near each other.
///
/// Nodes are numbered by it, so that what a walk touches together lies together: codes and lists
/// share pages and cache lines, and the gaps between neighbours' numbers are small, which compresses
/// the lists. Halves are split again and again at the median of the principal axis along which they
/// spread most, down to a handful.
package enum LocalityOrder {
  private static let axisCount = 24
  private static let leaf = 8
  private static let sample = 512

  /// The ids of `vectors` in that order.
  package static func order(
    _ vectors: VectorSet, along axes: PrincipalAxes, threads: Int
  ) throws(RetortError) -> [UInt32] {
    let width = min(axisCount, axes.variances.count)
    let chunk = 1024
    let chunks = OrderedResults<[Float]>(count: (vectors.count + chunk - 1) / chunk)
    try parallelForThrowing((vectors.count + chunk - 1) / chunk, threads: threads) {
      item, _ throws(RetortError) in
      try Interruption.check()
      let range = (item * chunk)..<min(vectors.count, (item + 1) * chunk)
      try vectors.ensure(range: range)
      let values = axes.rows.withUnsafeBufferPointer { rows in
        range.flatMap { id in
          (0..<width).map { axis in
            rows.baseAddress.map {
              retort_dot_f32(
                $0 + axis * axes.dimension, vectors.pointer(UInt32(id)), axes.dimension)
            } ?? 0
          }
        }
      }
      chunks.set(item, values)
    }
    var ids = (0..<UInt32(vectors.count)).map { $0 }
    let values = chunks.values.flatMap { $0 }
    values.withUnsafeBufferPointer { values in
      ids.withUnsafeMutableBufferPointer { ids in
        guard width > 0, let values = values.baseAddress, let ids = ids.baseAddress else { return }
        split(ids, count: vectors.count, values, width: width)
      }
    }
    try Interruption.check()
    return ids
  }

  private static func split(
    _ ids: UnsafeMutablePointer<UInt32>, count: Int, _ values: UnsafePointer<Float>, width: Int
  ) {
    // Millions take seconds; whoever asked to stop does not want the order.
    guard count > leaf, !Interruption.isRequested else { return }
    var widest = 0
    var largest: Float = -1
    let step = max(count / sample, 1)
    for axis in 0..<width {
      var sum: Float = 0
      var squares: Float = 0
      var seen: Float = 0
      for i in stride(from: 0, to: count, by: step) {
        let value = values[Int(ids[i]) * width + axis]
        sum += value
        squares += value * value
        seen += 1
      }
      let variance = squares / seen - sum / seen * (sum / seen)
      if variance > largest {
        largest = variance
        widest = axis
      }
    }
    let half = count / 2
    select(ids, count: count, place: half) { values[Int($0) * width + widest] }
    split(ids, count: half, values, width: width)
    split(ids + half, count: count - half, values, width: width)
  }

  /// Quickselect: the `place` smallest come first; ties by id, so that copies change nothing.
  private static func select(
    _ ids: UnsafeMutablePointer<UInt32>, count: Int, place: Int, key: (UInt32) -> Float
  ) {
    func before(_ a: UInt32, _ b: UInt32) -> Bool {
      let (x, y) = (key(a), key(b))
      return x < y || (x == y && a < b)
    }
    var low = 0
    var high = count - 1
    while low < high {
      let middle = low + (high - low) / 2
      if before(ids[middle], ids[low]) { swap(&ids[middle], &ids[low]) }
      if before(ids[high], ids[low]) { swap(&ids[high], &ids[low]) }
      if before(ids[high], ids[middle]) { swap(&ids[high], &ids[middle]) }
      let pivot = ids[middle]
      var i = low
      var j = high
      while i <= j {
        while before(ids[i], pivot) { i += 1 }
        while before(pivot, ids[j]) { j -= 1 }
        if i <= j {
          swap(&ids[i], &ids[j])
          i += 1
          j -= 1
        }
      }
      if place <= j { high = j } else if place >= i { low = i } else { return }
    }
  }
}
