import CKernels
import Platform

/// The neighbour lists of a graph under construction: fixed-size slots, so that threads can write
/// lists of their own at the same time.
///
/// Not synchronised: a list is written by one thread while nobody reads it; `HNSWBuilder`'s phases
/// see to that.
final class LinkTable: @unchecked Sendable {
  /// Levels are cut off here: a file has three sections a layer and room for 64. With M = 16 no
  /// collection comes near; with M = 2, whose layers halve, this spares those of a few nodes.
  static let maximumLevel = 15

  private let m: Int
  /// Links a list of layer 0 has room for: more than it may keep, so that it is pruned once for
  /// several new links. That prunes a tenth as often and costs the walks a fifth.
  private let room: Int
  private let levels: [UInt8]
  /// Rows of a list's length and then its links. Layer 0: a row a node; above: one a node and
  /// layer, from `upperStart[node]`.
  private let bottom: UnsafeMutablePointer<UInt32>
  private let upper: UnsafeMutablePointer<UInt32>
  private let upperStart: [Int]
  /// Links of the reachability pass that found no room in a list.
  private var extra: [UInt32: [UInt32]] = [:]

  init(levels: [Int], m: Int) {
    self.m = m
    room = 2 * m + max(m / 2, 1)
    self.levels = levels.map { UInt8($0) }
    var starts: [Int] = []
    starts.reserveCapacity(levels.count)
    var total = 0
    for level in levels {
      starts.append(total)
      total += level
    }
    upperStart = starts
    bottom = Self.rows(levels.count, length: room + 1)
    upper = Self.rows(total, length: m + 1)
  }

  deinit {
    bottom.deallocate()
    upper.deallocate()
  }

  private static func rows(_ count: Int, length: Int) -> UnsafeMutablePointer<UInt32> {
    let words = max(count * length, 1)
    let rows = Arena.allocate(bytes: words * 4).bindMemory(to: UInt32.self, capacity: words)
    rows.initialize(repeating: 0, count: words)
    return rows
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
      ? View(rows: bottom, stride: room + 1, starts: nil, offset: 0)
      : View(rows: upper, stride: m + 1, starts: upperStart, offset: layer - 1)
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

  /// The finished layers, in slots, lists ascending.
  func layers() throws(RetortError) -> [HNSWBuilder.Layer] {
    guard let top = levels.max() else { return [] }
    var layers: [HNSWBuilder.Layer] = []
    for layer in 0...Int(top) {
      let nodes =
        layer == 0 ? [] : levels.indices.filter { levels[$0] >= layer }.map { UInt32($0) }
      var slotOf: [UInt32: UInt32] = [:]
      for (slot, node) in nodes.enumerated() { slotOf[node] = UInt32(slot) }
      let view = view(layer)
      var offsets = [0]
      var targets: [UInt32] = []
      for slot in 0..<(layer == 0 ? levels.count : nodes.count) {
        if slot % 4096 == 0 { try Interruption.check() }
        let list: [UInt32] =
          layer == 0
          ? allTargets(UInt32(slot))
          : view.list(nodes[slot]).compactMap { slotOf[$0] }
        targets.append(contentsOf: list.ordered())
        offsets.append(targets.count)
      }
      layers.append(HNSWBuilder.Layer(nodes: nodes, offsets: offsets, targets: targets))
    }
    return layers
  }
}
