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
  private let levels: [UInt8]
  /// Layer 0: `count` lists of 2M; above: one list of M a node and layer, from `upperStart[node]`.
  private let bottom: UnsafeMutablePointer<UInt32>
  private let bottomDegrees: UnsafeMutablePointer<UInt16>
  private let upper: UnsafeMutablePointer<UInt32>
  private let upperDegrees: UnsafeMutablePointer<UInt16>
  private let upperStart: [Int]
  /// Links of the reachability pass that found no room in a list.
  private var extra: [UInt32: [UInt32]] = [:]

  init(levels: [Int], m: Int) {
    self.m = m
    self.levels = levels.map { UInt8($0) }
    var starts: [Int] = []
    starts.reserveCapacity(levels.count)
    var total = 0
    for level in levels {
      starts.append(total)
      total += level
    }
    upperStart = starts
    bottom = .allocate(capacity: max(levels.count * 2 * m, 1))
    bottomDegrees = .allocate(capacity: max(levels.count, 1))
    bottomDegrees.initialize(repeating: 0, count: levels.count)
    upper = .allocate(capacity: max(total * m, 1))
    upperDegrees = .allocate(capacity: max(total, 1))
    upperDegrees.initialize(repeating: 0, count: total)
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
