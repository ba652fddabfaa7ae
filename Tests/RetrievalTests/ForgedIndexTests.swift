import Platform
import Retrieval
import TestSupport
import Testing

/// Damage with a purpose: contents that make no sense under checksums that match.
@Suite struct ForgedIndexTests {
  private let index: DamagedIndex

  init() throws { index = try DamagedIndex(of: try SmallIndex.shared.get().path) }

  private func image(_ role: String) throws -> SegmentImage {
    SegmentImage(try #require(index.files[index.name(role)]))
  }

  /// Expects an error for the file that `change` makes of a good one.
  private func refused(
    _ role: String, _ what: String, _ change: (inout SegmentImage) -> Void,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    var image = try image(role)
    change(&image)
    let outcome = try index.outcome(index.name(role), image.encoded(), adaptManifest: true)
    #expect(outcome == .noticed, "\(role): \(what)", sourceLocation: sourceLocation)
  }

  @Test(arguments: ["vectors", "passages", "graph"])
  func `a file that is taken apart and put together again is as good as before`(role: String)
    throws
  {
    let bytes = try image(role).encoded()
    #expect(bytes == index.files[index.name(role)])
    #expect(try index.outcome(index.name(role), bytes, adaptManifest: true) == .harmless)
  }

  @Test func `graph: shapes that disagree with the rest`() throws {
    let count = try image("graph")["shape"].word(0)
    for (what, word, value) in [
      ("one node more", 0, count + 1), ("one less", 0, count - 1), ("none", 0, 0),
      ("too many nodes", 0, UInt32.max), ("no layers", 4, 0), ("one layer", 4, 1),
      ("32 layers", 4, 32), ("2^32 - 1 layers", 4, UInt32.max),
      ("entry point at the end", 8, count),
      ("entry point far away", 8, UInt32.max), ("blocks of 2^17", 12, 17),
      ("blocks of 2^16", 12, 16), ("blocks of 2^8", 12, 8), ("blocks of 2^31", 12, 31),
      ("blocks of 1", 12, 0),
    ] as [(String, Int, UInt32)] {
      if word == 4, value == 1 {
        // The entry point stays valid on layer 0: fewer layers are a smaller graph, but a graph.
        var image = try image("graph")
        image["shape"].set(value, at: word)
        _ = try index.outcome(index.name("graph"), image.encoded(), adaptManifest: true)
        continue
      }
      try refused("graph", what) { $0["shape"].set(value, at: word) }
    }
    try refused("graph", "a short shape") { $0["shape"].removeLast(4) }
    try refused("graph", "an odd shape") { $0["shape"].removeLast() }
    try refused("graph", "a long shape") { $0["shape"].put(UInt32(0)) }
  }

  @Test func `graph: an entry point that is not on the top layer`() throws {
    let good = try image("graph")
    let top = try #require(good.parts.last { $0.name.hasPrefix("nodes") })
    let onTop = Set((0..<(top.bytes.count / 4)).map { top.bytes.word($0 * 4) })
    let other = try #require((0..<UInt32(good["shape"].word(0))).first { !onTop.contains($0) })
    try refused("graph", "entry point \(other)") { $0["shape"].set(other, at: 8) }
  }

  @Test func `graph: neighbours out of range`() throws {
    let count = Int(try image("graph")["shape"].word(0))
    let slots = min(count, 128)
    func block(degrees: [Int], gaps: [UInt32]) -> [UInt8] {
      var raw: [UInt8] = []
      for plane in 0..<2 {
        raw += degrees.map { UInt8(truncatingIfNeeded: $0 >> (8 * plane)) }
      }
      // All gaps of class 0, 17 bits long, or, where one is longer, of class 15: 31 bits below a 1.
      let isLong = gaps.contains { $0 >> 17 != 0 }
      let bits = isLong ? 31 : 17
      raw.append(17)
      raw += [UInt8](repeating: isLong ? 0xFF : 0, count: (gaps.count + 1) / 2)
      var digits = [UInt8](repeating: 0, count: (gaps.count * bits + 7) / 8)
      for (place, gap) in gaps.enumerated() {
        for bit in 0..<bits where gap >> UInt32(bit) & 1 != 0 {
          let at = place * bits + bit
          digits[at / 8] |= 1 << UInt8(at % 8)
        }
      }
      return raw + digits
    }
    func forge(_ what: String, _ raw: [UInt8], claimed: Int? = nil) throws {
      try refused("graph", what) { image in
        let packed = raw.asLZ4Literals
        image["links0"] = packed + image["links0"]
        var table = image["index0"]
        for entry in stride(from: 0, to: table.count, by: 16) {
          table.set(table.long(entry) + UInt64(packed.count), at: entry)
        }
        table.set(UInt64(0), at: 0)
        table.set(UInt32(packed.count), at: 8)
        table.set(UInt32(claimed ?? raw.count), at: 12)
        image["index0"] = table
      }
    }
    let ones = [Int](repeating: 1, count: slots)
    try forge(
      "a neighbour one past the end",
      block(
        degrees: ones, gaps: [UInt32(count) << 1] + [UInt32](repeating: 2, count: slots - 1)))
    try forge(
      "a neighbour before the start",
      block(
        degrees: ones, gaps: [1] + [UInt32](repeating: 2, count: slots - 1)))
    try forge(
      "the farthest neighbour there is",
      block(
        degrees: ones, gaps: [UInt32](repeating: .max, count: slots)))
    try forge(
      "fewer links than degrees",
      block(
        degrees: ones.map { $0 + 3 }, gaps: [UInt32](repeating: 2, count: slots)))
    try forge(
      "more links than degrees",
      block(
        degrees: ones, gaps: [UInt32](repeating: 2, count: slots * 2)))
    try forge("full degrees", [UInt8](repeating: 255, count: 2 * slots))
    try forge("nothing", [])
    try forge("one byte", [0])
    try forge(
      "a raw length that is wrong",
      block(
        degrees: ones, gaps: [UInt32](repeating: 2, count: slots)), claimed: 7)
    try forge(
      "a raw length of 4 GB",
      block(
        degrees: ones, gaps: [UInt32](repeating: 2, count: slots)), claimed: Int(UInt32.max))
  }

  @Test func `graph: no links at all mean missing answers, as checksums cannot know`() throws {
    var image = try image("graph")
    let count = Int(image["shape"].word(0))
    image["links0"] = []
    image["index0"] = []
    for start in stride(from: 0, to: count, by: 128) {
      // No degrees, and the byte that says how short gaps are.
      let raw = [UInt8](repeating: 0, count: 2 * min(128, count - start) + 1)
      image["index0"].put(UInt64(image["links0"].count))
      image["index0"].put(UInt32(raw.asLZ4Literals.count))
      image["index0"].put(UInt32(raw.count))
      image["links0"] += raw.asLZ4Literals
    }
    let outcome = try index.outcome(index.name("graph"), image.encoded(), adaptManifest: true)
    #expect(outcome == .wrong("graph"), "checksums cannot know, so answers are missing")
    try index.replacing(index.name("graph"), image.encoded()) { _ in
      let error = #expect(throws: RetortError.self) {
        try PassageIndex(path: index.folder.path).verify()
      }
      #expect(error?.message.hasPrefix("only 1 of \(count) passages are reachable") == true)
      let tool = try CLIRunner.run(["index", "verify", index.folder.path])
      #expect(tool.exitCode == 65 && tool.standardOutput == "", "\(tool)")
      #expect(tool.standardError.contains("only 1 of \(count) passages are reachable"))
    }
  }

  @Test func `graph: block tables that point outside`() throws {
    for (what, place, value) in [
      ("offset at the end", 0, UInt64(1) << 20), ("offset far away", 0, UInt64.max),
      ("offset that overflows", 0, UInt64(Int.max)),
    ] {
      try refused("graph", what) { $0["index0"].set(value, at: place) }
      try refused("graph", what + ", last block") {
        $0["index0"].set(value, at: $0["index0"].count - 16)
      }
    }
    try refused("graph", "a long block") { $0["index0"].set(UInt32.max, at: 8) }
    try refused("graph", "an empty block") { $0["index0"].set(UInt32(0), at: 8) }
    try refused("graph", "a short table") { $0["index0"].removeLast(16) }
    try refused("graph", "a broken table") { $0["index0"].removeLast() }
    try refused("graph", "no links") { $0["links0"] = [] }
  }

  @Test func `graph: upper layers that make no sense`() throws {
    try refused("graph", "a node out of range") { $0["nodes1"].set(UInt32.max, at: 0) }
    try refused("graph", "nodes out of order") {
      let nodes = $0["nodes1"]
      $0["nodes1"].set(nodes.word(4), at: 0)
      $0["nodes1"].set(nodes.word(0), at: 4)
    }
    try refused("graph", "no nodes") { $0["nodes1"] = [] }
    try refused("graph", "an odd length") { $0["nodes1"].removeLast() }
  }

  @Test func `passages: shapes, tables and blocks that disagree`() throws {
    let count = UInt64(
      SegmentImage(try #require(index.files[index.name("passages")]))["shape"].long(0))
    for value in [0, count - 1, count + 1, count + 1024, 1 << 31, 1 << 60, .max] {
      try refused("passages", "\(value) passages") { $0["shape"].set(value, at: 0) }
    }
    for value in [0, 1, 1023, UInt32.max] as [UInt32] {
      try refused("passages", "\(value) ids a block") { $0["shape"].set(value, at: 8) }
    }
    try refused("passages", "a short shape") { $0["shape"].removeLast(9) }
    for table in ["idindex", "textindex"] {
      for value in [UInt64(1) << 20, .max, UInt64(Int.max)] {
        try refused("passages", "\(table) offset \(value)") { $0[table].set(value, at: 0) }
      }
      for place in [8, 12] {
        for value in [UInt32(0), 1, .max, 1 << 28] {
          try refused("passages", "\(table) word \(place) = \(value)") {
            $0[table].set(value, at: place)
          }
        }
      }
      try refused("passages", "\(table) too short") { $0[table].removeLast(1) }
      try refused("passages", "\(table) empty") { $0[table] = [] }
    }
    try refused("passages", "first passage 1") { $0["textindex"].set(UInt64(1), at: 16) }
    try refused("passages", "first passage 2^64 - 1") { $0["textindex"].set(UInt64.max, at: 16) }
    try refused("passages", "lookup out of range") {
      $0["lookup"].set($0["lookup"].long(0) | 0xFFFF_FFFF, at: 0)
    }
    try refused("passages", "lookup too short") { $0["lookup"].removeLast(8) }
  }

  @Test func `passages: blocks whose lengths do not add up`() throws {
    func forge(_ table: String, _ data: String, _ what: String, _ raw: [UInt8]) throws {
      try refused("passages", what) { image in
        let packed = raw.asLZ4Literals
        image[table].set(UInt64(image[data].count), at: 0)
        image[table].set(UInt32(packed.count), at: 8)
        image[table].set(UInt32(raw.count), at: 12)
        image[data] += packed
      }
    }
    var huge: [UInt8] = []
    for _ in 0..<400 { huge.put(UInt32.max) }
    try forge("idindex", "ids", "ids of 4 GB", huge)
    try forge("idindex", "ids", "no ids", [])
    try forge("idindex", "ids", "one byte of ids", [1])
    try forge("textindex", "texts", "4 billion texts", [255, 255, 255, 255])
    try forge("textindex", "texts", "no texts", [0, 0, 0, 0])
    try forge("textindex", "texts", "half a count", [9, 0])
    try forge("textindex", "texts", "texts of 4 GB", [0x90, 1, 0, 0] + huge)
    var lengths: [UInt8] = [144, 1, 0, 0]
    for _ in 0..<400 { lengths.put(UInt32(1)) }
    try forge(
      "textindex", "texts", "texts that are not UTF-8",
      lengths + [UInt8](repeating: 0xFF, count: 400))
  }

  @Test func `vectors: shapes that do not fill the section`() throws {
    let shape = try image("vectors")["shape"]
    for value in [0, 1, 31, 33, 64, 65_537, 1 << 31, UInt32.max] as [UInt32] {
      try refused("vectors", "dimension \(value)") { $0["shape"].set(value, at: 0) }
    }
    for value in [0, shape.long(8) - 1, shape.long(8) + 1, 1 << 40, 1 << 62, .max] {
      try refused("vectors", "\(value) vectors") { $0["shape"].set(value, at: 8) }
    }
    for value in [Float.nan, .infinity] {
      try refused("vectors", "largest norm \(value)") { $0["shape"].set(value.bitPattern, at: 4) }
    }
    try refused("vectors", "a short shape") { $0["shape"].removeLast() }
    try refused("vectors", "other checksum blocks") { image in
      for part in image.parts.indices { image.parts[part].blockLength = 4096 }
    }
    try refused("vectors", "half a vector less") { $0["vectors"].removeLast(64) }
  }

  @Test(arguments: ["vectors", "passages", "graph"])
  func `section tables that make no sense`(role: String) throws {
    for (what, place, value) in [
      ("an offset outside", 16, UInt64(1) << 40), ("an offset that overflows", 16, .max - 63),
      ("an offset that is not aligned", 16, 4097), ("a length outside", 24, 1 << 40),
      ("a length that overflows", 24, .max), ("a checksum table outside", 32, 1 << 40),
      ("a checksum table that overflows", 32, .max),
    ] as [(String, Int, UInt64)] {
      try refused(role, what) { image in
        image.alterHeader = { $0.set(value, at: 32 + place) }
      }
    }
    try refused(role, "checksum blocks of no bytes") { image in
      image.alterHeader = { $0.set(UInt32(0), at: 32 + 40) }
    }
    for value in [0, 65, UInt32.max] as [UInt32] {
      try refused(role, "\(value) sections") { image in
        image.alterHeader = { $0.set(value, at: 24) }
      }
    }
    try refused(role, "another version") { image in
      image.alterHeader = { $0.set(UInt32(2), at: 8) }
    }
    for number in try image(role).parts.indices {
      try refused(role, "section \(number) missing") { $0.parts.remove(at: number) }
    }
  }

  @Test(arguments: ["vectors", "passages", "graph"])
  func `random nonsense under matching checksums never crashes`(role: String) throws {
    let seed: UInt64 = 71
    var random = SplitMix64(seed: seed)
    let good = try image(role)
    for _ in 0..<Soak.times(150) {
      var image = good
      for _ in 0...(random.next() % 3) {
        let part = Int(random.next() % UInt64(image.parts.count))
        guard !image.parts[part].bytes.isEmpty else { continue }
        let place = Int(random.next() % UInt64(image.parts[part].bytes.count))
        let extremes: [UInt8] = [0, 1, 0x7F, 0x80, 0xFF, UInt8(truncatingIfNeeded: random.next())]
        image.parts[part].bytes[place] = extremes[Int(random.next() % 6)]
      }
      // Any outcome will do: an error, the same answers, or others.
      _ = try index.outcome(index.name(role), image.encoded(), adaptManifest: true)
    }
  }
}
