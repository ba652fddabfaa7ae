import Synchronization

/// Results of a parallel loop, kept by item number so that their order is the input's.
package final class OrderedResults<Value: Sendable>: Sendable {
  private let slots: Mutex<[Value?]>

  /// Room for `count` results.
  package init(count: Int) { slots = Mutex(Array(repeating: nil, count: count)) }

  /// Stores the result of one item.
  package func set(_ item: Int, _ value: Value) { slots.withLock { $0[item] = value } }

  /// The results that were stored, by item number.
  package var values: [Value] { slots.withLock { $0.compactMap { $0 } } }
}
