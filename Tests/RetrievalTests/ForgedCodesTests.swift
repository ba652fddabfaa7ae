import Platform
import Retrieval
import TestSupport
import Testing

/// Codes, their book and the numbering of nodes that make no sense under checksums that match.
@Suite struct ForgedCodesTests {
  private let index: DamagedIndex
  private let good: SegmentImage
  private var name: String { index.name("graph") }

  init() throws {
    index = try DamagedIndex(of: try SmallIndex.coded.get().path)
    good = SegmentImage(try #require(index.files[index.name("graph")]))
  }

  /// Expects an error for the file that `change` makes of the good one.
  private func refused(
    _ what: String, sourceLocation: SourceLocation = #_sourceLocation,
    _ change: (inout SegmentImage) -> Void
  ) throws {
    var image = good
    change(&image)
    let outcome = try index.outcome(name, image.encoded(), adaptManifest: true)
    #expect(outcome == .noticed, "\(what)", sourceLocation: sourceLocation)
  }

  @Test func `a coded graph that is taken apart and put together again is as good as before`()
    throws
  {
    #expect(good.encoded() == index.files[name])
    #expect(try index.outcome(name, good.encoded(), adaptManifest: true) == .harmless)
  }

  @Test func `sections that are missing, short, long or in other blocks`() throws {
    for section in ["order", "book", "codes"] {
      try refused("no \(section)") { $0.parts.removeAll { $0.name == section } }
      try refused("an empty \(section)") { $0[section] = [] }
      try refused("a short \(section)") { $0[section].removeLast(4) }
      try refused("an odd \(section)") { $0[section].removeLast() }
      try refused("a long \(section)") { $0[section].put(UInt32(0)) }
    }
    for section in ["order", "codes"] {
      try refused("\(section) in blocks of 4096 bytes") { image in
        for part in image.parts.indices where image.parts[part].name == section {
          image.parts[part].blockLength = 4096
        }
      }
    }
  }

  @Test func `books that say the impossible`() throws {
    for value in [0, 1, 31, 33, 64, 65_537, 1 << 31, UInt32.max] as [UInt32] {
      try refused("dimension \(value)") { $0["book"].set(value, at: 0) }
    }
    for place in [4, 8, 12] {
      let old = good["book"].word(place)
      for value in [old + 1, old + 7, 1025, 1 << 31, UInt32.max] as [UInt32] {
        try refused("\(value) blocks of width \(place / 4)") { $0["book"].set(value, at: place) }
      }
    }
    for value in [Float.nan, .infinity, -.infinity] {
      try refused("a mean of \(value)") { $0["book"].set(value.bitPattern, at: 16) }
      try refused("a step of \(value)") { $0["book"].set(value.bitPattern, at: 16 + 4 * 32) }
    }
    try refused("an axis beyond what sums have room for") {
      $0["book"].set(UInt32(0x7FFF_7FFF), at: $0["book"].count - 4)
    }
  }

  /// There are 1,050 nodes, whose numbers have 11 bits.
  private func entry(_ node: Int, in bytes: [UInt8]) -> UInt64 {
    bytes.long(node * 11 / 8) >> UInt64(node * 11 % 8) & 2047
  }

  private func set(_ value: UInt64, at node: Int, in bytes: inout [UInt8]) {
    let shift = UInt64(node * 11 % 8)
    let old = bytes.long(node * 11 / 8) & ~(2047 << shift)
    bytes.set(old | value << shift, at: node * 11 / 8)
  }

  @Test func `nodes that stand for vectors out of range`() throws {
    #expect(good["shape"].word(0) == 1050)
    #expect(Set((0..<1050).map { entry($0, in: good["order"]) }) == Set(0..<1050))
    for value in [1050, 1051, 2047] as [UInt64] {
      for node in [0, 500, 1049] {
        try refused("node \(node) is vector \(value)") {
          set(value, at: node, in: &$0["order"])
        }
      }
    }
  }

  @Test func `two nodes of one vector are found by verify, as checksums cannot know`() throws {
    var image = good
    set(entry(0, in: image["order"]), at: 100, in: &image["order"])
    try index.replacing(name, image.encoded()) { _ in
      let error = #expect(throws: RetortError.self) {
        try PassageIndex(path: index.folder.path).verify()
      }
      #expect(error?.message.hasPrefix("the graph says that nodes 0 and 100 are vector") == true)
    }
  }

  @Test func `random nonsense never crashes`() throws {
    let seed: UInt64 = 73
    var random = SplitMix64(seed: seed)
    for _ in 0..<Soak.times(100) {
      var image = good
      for _ in 0...(random.next() % 3) {
        let name = ["order", "book", "codes"][Int(random.next() % 3)]
        let place = Int(random.next() % UInt64(image[name].count))
        let extremes: [UInt8] = [0, 1, 0x7F, 0x80, 0xFF, UInt8(truncatingIfNeeded: random.next())]
        image[name][place] = extremes[Int(random.next() % 6)]
      }
      // Any outcome will do: an error, the same answers, or others.
      _ = try index.outcome(name, image.encoded(), adaptManifest: true)
    }
  }
}
