import CKernels
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
  /// Links a list of layer 0 has room for: more than it may keep, so that it is pruned once for
  /// several new links. That prunes a tenth as often and costs the walks a fifth.
  private let room: Int
  private var levels: [UInt8] = []
  /// Rows of a list's length and then its links. Layer 0: a row a node; above: one a node and
  /// layer, from `upperStart[node]`.
  private var bottom: Rows
  private var upper: Rows
  private var upperStart: [Int] = []
  /// Links of the reachability pass that found no room in a list.
  private var extra: [UInt32: [UInt32]] = [:]

  /// The number of nodes.
  var count: Int { levels.count }

  init(m: Int) {
    self.m = m
    room = 2 * m + max(m / 2, 1)
    bottom = Rows(length: room + 1)
    upper = Rows(length: m + 1)
  }

  deinit {
    bottom.base.deallocate()
    upper.base.deallocate()
  }

  /// Adds nodes of the given top levels, with empty lists; `total` nodes are known to come. Nobody
  /// may read the table meanwhile.
  func grow(by added: [Int], expecting total: Int) {
    bottom.grow(by: added.count, expecting: total)
    var start = upper.count
    upper.grow(by: added.reduce(0, +), expecting: 0)
    for level in added {
      upperStart.append(start)
      start += level
      levels.append(UInt8(level))
    }
  }

  /// Rows of one length in memory of their own; whoever holds them frees it.
  private struct Rows {
    let length: Int
    private(set) var base: UnsafeMutablePointer<UInt32>
    private(set) var count = 0
    private var capacity = 0

    init(length: Int) {
      self.length = length
      base = Self.allocate(words: 1)
    }

    /// Adds rows that begin with 0.
    mutating func grow(by added: Int, expecting total: Int) {
      if count + added > capacity {
        // Memory that is only reserved costs nothing until it is touched.
        capacity = max(count + added, total, capacity + capacity / 2)
        let larger = Self.allocate(words: capacity * length)
        larger.update(from: base, count: count * length)
        base.deallocate()
        base = larger
      }
      (base + count * length).initialize(repeating: 0, count: added * length)
      count += added
    }

    private static func allocate(words: Int) -> UnsafeMutablePointer<UInt32> {
      Arena.allocate(bytes: words * 4).bindMemory(to: UInt32.self, capacity: words)
    }
  }

  /// The top level of a node.
  func level(_ id: Int) -> Int { Int(levels[id]) }

  /// The lists of one layer, for the walk.
  struct View: Adjacency {
    let rows: UnsafeMutablePointer<UInt32>
    let stride: Int
    let starts: [Int]?
    let offset: Int
    var vectorIDs: UnsafePointer<UInt32>? { nil }

    @inline(__always)
    func row(_ slot: UInt32) -> UnsafeMutablePointer<UInt32> {
      rows + (starts.map { $0[Int(slot)] + offset } ?? Int(slot)) * stride
    }

    @inline(__always)
    func list(_ slot: UInt32) -> UnsafeBufferPointer<UInt32> {
      let row = row(slot)
      return UnsafeBufferPointer(start: row + 1, count: Int(row[0]))
    }

    @inline(__always)
    func neighbors(of slot: UInt32) throws(RetortError) -> UnsafeBufferPointer<UInt32> {
      list(slot)
    }

    @inline(__always)
    func prefetch(_ slot: UInt32) {
      let row = row(slot)
      retort_prefetch(row)
      retort_prefetch(row + 16)
    }
  }

  /// Links a list of `layer` has room for.
  func capacity(layer: Int) -> Int { layer == 0 ? room : m }

  /// The lists of `layer`.
  func view(_ layer: Int) -> View {
    layer == 0
      ? View(rows: bottom.base, stride: room + 1, starts: nil, offset: 0)
      : View(rows: upper.base, stride: m + 1, starts: upperStart, offset: layer - 1)
  }

  /// Replaces the list of `id` on `layer`; it must fit.
  func set(_ id: UInt32, layer: Int, _ list: [UInt32]) {
    let view = view(layer)
    precondition(list.count < view.stride)
    let row = view.row(id)
    row[0] = UInt32(list.count)
    for (i, target) in list.enumerated() { row[i + 1] = target }
  }

  /// The length of a list on layer 0.
  func degree(_ id: UInt32) -> Int { view(0).list(id).count }

  /// Adds a link on layer 0, beyond the limit where there is no room.
  func addExtra(from source: UInt32, to target: UInt32) {
    let row = view(0).row(source)
    if row[0] < 2 * m {
      row[0] += 1
      row[Int(row[0])] = target
    } else {
      extra[source, default: []].append(target)
    }
  }

  /// All links of a node on layer 0.
  func allTargets(_ id: UInt32) -> [UInt32] { Array(view(0).list(id)) + (extra[id] ?? []) }

  /// The finished layers with their new numbers, in slots, lists ascending.
  func layers(
    _ numbers: HNSWBuilder.Renumbering, check: () throws(RetortError) -> Void
  ) throws(RetortError) -> [HNSWBuilder.Layer] {
    guard let top = levels.max() else { return [] }
    var layers: [HNSWBuilder.Layer] = []
    for layer in 0...Int(top) {
      let nodes =
        layer == 0
        ? [] : numbers.oldOf.indices.filter { levels[Int(numbers.oldOf[$0])] >= layer }.map(UInt32.init)
      var slotOf: [UInt32: UInt32] = [:]
      for (slot, node) in nodes.enumerated() { slotOf[node] = UInt32(slot) }
      let view = view(layer)
      var offsets = [0]
      var targets: [UInt32] = []
      for slot in 0..<(layer == 0 ? levels.count : nodes.count) {
        if slot % 4096 == 0 { try check() }
        let list: [UInt32] =
          layer == 0
          ? allTargets(numbers.oldOf[slot]).map { numbers.newOf[Int($0)] }
          : view.list(numbers.oldOf[Int(nodes[slot])]).compactMap {
            slotOf[numbers.newOf[Int($0)]]
          }
        targets.append(contentsOf: list.sorted())
        offsets.append(targets.count)
      }
      layers.append(HNSWBuilder.Layer(nodes: nodes, offsets: offsets, targets: targets))
    }
    return layers
  }
}
