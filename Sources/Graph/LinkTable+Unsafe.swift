import Platform

/// The neighbour lists of a graph under construction: fixed-size slots, so that threads can write
/// lists of their own at the same time.
///
/// Not synchronised: a list is written by one thread while nobody reads it; `HNSWBuilder`'s phases
/// see to that.
final class LinkTable: @unchecked Sendable {
  /// Levels are cut off here; with M ≥ 2 no real collection comes near.
  static let maximumLevel = 30

  private let m: Int
  private var levels: [UInt8] = []
  /// Layer 0: `capacity` lists of 2M; above: one list of M a node and layer, from
  /// `upperStart[node]`.
  private var bottom: UnsafeMutablePointer<UInt32>
  private var bottomDegrees: UnsafeMutablePointer<UInt16>
  private var upper: UnsafeMutablePointer<UInt32>
  private var upperDegrees: UnsafeMutablePointer<UInt16>
  private var upperStart: [Int] = []
  private var upperCount = 0
  private var upperCapacity = 1
  /// Links of the reachability pass that found no room in a list.
  private var extra: [UInt32: [UInt32]] = [:]

  /// The number of nodes.
  var count: Int { levels.count }
  /// The number of nodes there is room for.
  private(set) var capacity = 1

  init(m: Int) {
    self.m = m
    bottom = .allocate(capacity: 2 * m)
    bottomDegrees = .allocate(capacity: 1)
    upper = .allocate(capacity: m)
    upperDegrees = .allocate(capacity: 1)
  }

  /// Adds nodes of the given top levels, with empty lists; `total` nodes are known to come. Nobody
  /// may read the table meanwhile.
  func grow(by added: [Int], expecting total: Int) {
    let newCount = levels.count + added.count
    if newCount > capacity {
      // Memory that is only reserved costs nothing until it is touched.
      let larger = max(newCount, total, capacity + capacity / 2)
      bottom = Self.moved(bottom, count: count * 2 * m, capacity: larger * 2 * m)
      bottomDegrees = Self.moved(bottomDegrees, count: count, capacity: larger)
      capacity = larger
    }
    let newUpper = upperCount + added.reduce(0, +)
    if newUpper > upperCapacity {
      let larger = max(newUpper, upperCapacity + upperCapacity / 2)
      upper = Self.moved(upper, count: upperCount * m, capacity: larger * m)
      upperDegrees = Self.moved(upperDegrees, count: upperCount, capacity: larger)
      upperCapacity = larger
    }
    (bottomDegrees + count).initialize(repeating: 0, count: added.count)
    (upperDegrees + upperCount).initialize(repeating: 0, count: newUpper - upperCount)
    for level in added {
      upperStart.append(upperCount)
      upperCount += level
      levels.append(UInt8(level))
    }
  }

  /// `count` elements in new memory of `capacity` elements.
  private static func moved<Element: BitwiseCopyable>(
    _ old: UnsafeMutablePointer<Element>, count: Int, capacity: Int
  ) -> UnsafeMutablePointer<Element> {
    let new = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
    new.update(from: old, count: count)
    old.deallocate()
    return new
  }

  deinit {
    bottom.deallocate()
    bottomDegrees.deallocate()
    upper.deallocate()
    upperDegrees.deallocate()
  }

  /// The top level of a node.
  func level(_ id: Int) -> Int { Int(levels[id]) }

  /// The lists of one layer, for the walk.
  struct View: Adjacency {
    let links: UnsafeMutablePointer<UInt32>
    let degrees: UnsafeMutablePointer<UInt16>
    let stride: Int
    let starts: [Int]?
    let offset: Int
    var vectorIDs: UnsafePointer<UInt32>? { nil }

    @inline(__always)
    func list(_ slot: UInt32) -> UnsafeBufferPointer<UInt32> {
      let place = starts.map { $0[Int(slot)] + offset } ?? Int(slot)
      return UnsafeBufferPointer(start: links + place * stride, count: Int(degrees[place]))
    }

    @inline(__always)
    func neighbors(of slot: UInt32) throws(RetortError) -> UnsafeBufferPointer<UInt32> {
      list(slot)
    }
  }

  /// The lists of `layer`.
  func view(_ layer: Int) -> View {
    layer == 0
      ? View(links: bottom, degrees: bottomDegrees, stride: 2 * m, starts: nil, offset: 0)
      : View(
        links: upper, degrees: upperDegrees, stride: m, starts: upperStart, offset: layer - 1)
  }

  /// Replaces the list of `id` on `layer`; it must fit.
  func set(_ id: UInt32, layer: Int, _ list: [UInt32]) {
    let view = view(layer)
    let place = view.starts.map { $0[Int(id)] + view.offset } ?? Int(id)
    precondition(list.count <= view.stride)
    for (i, target) in list.enumerated() { view.links[place * view.stride + i] = target }
    view.degrees[place] = UInt16(list.count)
  }

  /// The length of a list on layer 0.
  func degree(_ id: UInt32) -> Int { Int(bottomDegrees[Int(id)]) }

  /// Adds a link on layer 0, beyond the limit where there is no room.
  func addExtra(from source: UInt32, to target: UInt32) {
    let degree = Int(bottomDegrees[Int(source)])
    if degree < 2 * m {
      bottom[Int(source) * 2 * m + degree] = target
      bottomDegrees[Int(source)] = UInt16(degree + 1)
    } else {
      extra[source, default: []].append(target)
    }
  }

  /// All links of a node on layer 0.
  func allTargets(_ id: UInt32) -> [UInt32] { Array(view(0).list(id)) + (extra[id] ?? []) }

  /// The finished layers, in slots, lists ascending.
  func layers() -> [HNSWBuilder.Layer] {
    guard let top = levels.max() else { return [] }
    return (0...Int(top)).map { layer in
      let nodes =
        layer == 0 ? [] : levels.indices.filter { levels[$0] >= layer }.map { UInt32($0) }
      var slotOf: [UInt32: UInt32] = [:]
      for (slot, node) in nodes.enumerated() { slotOf[node] = UInt32(slot) }
      let view = view(layer)
      var offsets = [0]
      var targets: [UInt32] = []
      for slot in 0..<(layer == 0 ? levels.count : nodes.count) {
        let list: [UInt32] =
          layer == 0
          ? allTargets(UInt32(slot))
          : view.list(nodes[slot]).compactMap { slotOf[$0] }
        targets.append(contentsOf: list.sorted())
        offsets.append(targets.count)
      }
      return HNSWBuilder.Layer(nodes: nodes, offsets: offsets, targets: targets)
    }
  }
}
