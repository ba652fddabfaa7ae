import Graph
import Platform
import Store
import TestSupport
import Testing

@Suite struct TombstoneFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder("tombstones") }

  @Test(arguments: [1, 63, 64, 65, 1000])
  func `deleted passages survive the way to disk and back`(count: Int) throws {
    var random = SplitMix64(seed: UInt64(count))
    var deleted = NodeSet(count: count)
    for id in 0..<count where random.next() % 3 == 0 { deleted.insert(id) }
    let path = folder.path + "/deleted.seg"
    try TombstoneFile.write(deleted, to: path)
    #expect(try TombstoneFile.read(path, count: count) == deleted)
    let error = #expect(throws: RetortError.self) { try TombstoneFile.read(path, count: count + 1) }
    #expect(error?.code == .badData)
  }

  @Test func `a set counts, combines and lists its members`() throws {
    let evenIDs = [UInt32](stride(from: 0, to: 130, by: 2))
    var even = NodeSet(count: 130)
    var added = 0
    for id in evenIDs where even.insert(Int(id)) { added += 1 }
    let again = even.insert(4)
    #expect(!again && added == 65 && even.population == 65 && even.ids == evenIDs)
    var low = NodeSet(count: 130)
    for id in 0..<70 { low.insert(id) }
    var both = even
    both.formIntersection(low)
    #expect(both.ids == evenIDs.filter { $0 < 70 } && both.population == 35)
    var either = even
    either.formUnion(low)
    #expect(either.population == 65 + 35)
    either.subtract(even)
    let oddIDs = [UInt32](stride(from: 1, to: 70, by: 2))
    #expect(either.ids == oddIDs)
    let removed = [either.remove(1), either.remove(1)]
    #expect(removed == [true, false] && !either.contains(1))
    let full = NodeSet(count: 130, full: true)
    #expect(full.population == 130 && full.ids == [UInt32](0..<130))
    #expect(NodeSet(count: 130, words: full.words) == full)
    #expect(NodeSet(count: 129, words: full.words) == nil)
    #expect(NodeSet(count: 200, words: full.words) == nil)
    #expect(NodeSet(count: 0, full: true).ids.isEmpty)
  }
}
