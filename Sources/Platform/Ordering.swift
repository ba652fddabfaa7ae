/// Sorting that is compiled once.
///
/// The standard library's `sort` is compiled anew for every type of element and every closure: eleven
/// places that put a few names or rows in order were 15 % of the work of compiling Formats. Such
/// places call these, which sort positions by one compiled sort; loops whose work is sorting (the
/// neighbours of a node, the documents of a query) have a sort of their own, one for a type.
extension Sequence {
  /// The elements in order; elements that do not precede one another stay as they are.
  @inlinable
  package func ordered(by precedes: (Element, Element) -> Bool) -> [Element] {
    let elements = Array(self)
    return orderedPositions(elements.count) { precedes(elements[$0], elements[$1]) }
      .map { elements[$0] }
  }
}

extension Sequence<String> {
  /// The strings in their natural order.
  package func ordered() -> [String] { orderedStrings(Array(self)) }
}

extension Sequence<Int> {
  /// The numbers, smallest first.
  package func ordered() -> [Int] { orderedNumbers(Array(self)) }

  /// The numbers in the order of what they stand for; equals stay as they are.
  package func ordered(by precedes: (Int, Int) -> Bool) -> [Int] {
    orderedNumbers(Array(self), by: precedes)
  }
}

extension Sequence<UInt32> {
  /// The numbers, smallest first.
  package func ordered() -> [UInt32] { orderedNumbers(Array(self)) }
}

extension [UInt64] {
  /// Puts the numbers in their order, smallest first. Compiled for them alone: as fast as `sort`.
  @inline(never)
  package mutating func order() { sort() }
}

/// 0 to `count` - 1 in the order of what they stand for; equals by number.
@inline(never) @usableFromInline
package func orderedPositions(_ count: Int, by precedes: (Int, Int) -> Bool) -> [Int] {
  orderedNumbers(Array(0..<count), by: precedes)
}

@inline(never)
private func orderedStrings(_ strings: [String]) -> [String] { strings.sorted() }

@inline(never)
private func orderedNumbers(_ numbers: [Int]) -> [Int] { numbers.sorted() }

@inline(never)
private func orderedNumbers(_ numbers: [UInt32]) -> [UInt32] { numbers.sorted() }

@inline(never)
private func orderedNumbers(_ numbers: [Int], by precedes: (Int, Int) -> Bool) -> [Int] {
  numbers.sorted(by: precedes)
}

extension String {
  /// Whether the text's UTF-8 bytes come before those of `other`.
  @inline(never)
  package func precedesInBytes(_ other: String) -> Bool {
    utf8.lexicographicallyPrecedes(other.utf8)
  }
}
