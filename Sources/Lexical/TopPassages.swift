import Platform

/// A passage that a lexical search found.
package struct LexicalHit: Sendable, Equatable {
  /// The passage's number.
  package var number: Int
  /// Its score; higher is better.
  package var score: Float
}

/// The best passages so far, as a heap with the worst on top. Passages must come by ascending number:
/// then one that scores no better than the worst can never displace it.
package struct TopPassages {
  private let capacity: Int
  /// Score above 40 bits of the number's complement: larger is better.
  private var heap: [UInt64] = []
  /// A passage must score more than this to get in.
  private(set) var threshold: UInt32 = 0

  private static let numberMask: UInt64 = 1 << 40 - 1

  /// Keeps the `capacity` best.
  package init(capacity: Int) { self.capacity = capacity }

  /// Takes a passage whose score exceeds the threshold.
  mutating func insert(_ number: Int, score: UInt32) {
    guard capacity > 0 else { return }
    let entry =
      UInt64(score) << 40 | (Self.numberMask - UInt64(truncatingIfNeeded: number) & Self.numberMask)
    if heap.count < capacity {
      heap.append(entry)
      var place = heap.count - 1
      while place > 0, heap[place] < heap[(place - 1) / 2] {
        heap.swapAt(place, (place - 1) / 2)
        place = (place - 1) / 2
      }
    } else {
      heap[0] = entry
      siftDown()
    }
    if heap.count == capacity { threshold = UInt32(truncatingIfNeeded: heap[0] >> 40) }
  }

  private mutating func siftDown() {
    let entry = heap[0]
    var place = 0
    while true {
      var child = 2 * place + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      guard heap[child] < entry else { break }
      heap[place] = heap[child]
      place = child
    }
    heap[place] = entry
  }

  /// The passages, best first, equal ones by number.
  package func hits(scale: Float) -> [LexicalHit] {
    var keys = heap
    keys.order()
    return keys.reversed().map {
      LexicalHit(
        number: Int(Self.numberMask - $0 & Self.numberMask), score: Float($0 >> 40) / scale)
    }
  }
}
