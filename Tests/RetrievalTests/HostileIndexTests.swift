import Platform
import Retrieval
import Store
import TestSupport
import Testing

/// Damage that happens: lost ends, flipped bits, files in the wrong place.
@Suite struct HostileIndexTests {
  private let index: DamagedIndex

  init() throws { index = try DamagedIndex(of: try SmallIndex.shared.get().path) }

  @Test func `an undamaged copy answers as the original`() throws {
    for (name, bytes) in index.files {
      #expect(try index.outcome(name, bytes) == .harmless)
      #expect(try index.outcome(name, bytes, adaptManifest: name.hasSuffix(".seg")) == .harmless)
    }
  }

  @Test(arguments: ["vectors", "passages", "graph"])
  func `a file that was cut is an error, also where the manifest knows the new length`(
    role: String
  ) throws {
    try index.expectCutsNoticed(role, random: Soak.times(40))
  }

  @Test(arguments: ["vectors", "passages", "graph"])
  func `no flipped byte of the header page goes unnoticed`(role: String) throws {
    let name = index.name(role)
    let bytes = try #require(index.files[name])
    let used = 32 + 56 * Int(bytes.word(24))
    var random = SplitMix64(seed: 62)
    for place in Array(0..<used) + [used, 4000, 4095] {
      var flipped = bytes
      flipped[place] ^= UInt8(1 + random.next() % 255)
      // Half with a manifest that was adapted, so that the file's own checksum must do.
      #expect(
        try index.outcome(name, flipped, adaptManifest: place % 2 == 0) == .noticed,
        "\(role), byte \(place)")
    }
  }

  @Test(arguments: ["vectors", "passages", "graph"])
  func `a flipped byte is noticed, or lies in padding`(role: String) throws {
    try index.expectFlipsNoticed(role, random: Soak.times(170), perSection: 8)
  }

  /// Order, book and codes are sections of graphs of a thousand passages and more.
  @Test func `damage to codes is noticed as other damage is`() throws {
    let coded = try DamagedIndex(of: try SmallIndex.coded.get().path)
    let names = SegmentImage(try #require(coded.files[coded.name("graph")])).parts.map(\.name)
    #expect(Set(["order", "book", "codes"]).isSubset(of: names))
    try coded.expectCutsNoticed("graph", random: 10)
    try coded.expectFlipsNoticed("graph", random: 60, perSection: 6)
  }

  @Test func `no flipped byte of the manifest goes unnoticed, nor does its loss`() throws {
    let bytes = try #require(index.files["manifest.json"])
    var random = SplitMix64(seed: 64)
    for place in bytes.indices {
      var flipped = bytes
      flipped[place] ^= UInt8(1 + random.next() % 255)
      let outcome = try index.outcome("manifest.json", flipped)
      // The checksum's own digits may change from small letters to capitals.
      let isSameDigit = (11..<19).contains(place) && flipped[place] ^ bytes[place] == 0x20
      #expect(outcome == (isSameDigit ? .harmless : .noticed), "byte \(place)")
    }
    for length in stride(from: 0, to: bytes.count, by: 13) {
      #expect(
        try index.outcome("manifest.json", Array(bytes.prefix(length))) == .noticed,
        "cut to \(length)")
    }
    #expect(try index.outcome("manifest.json", bytes + bytes) == .noticed)
  }

  @Test func `files in each other's places are refused`() throws {
    for name in index.segments {
      for other in index.segments where other != name {
        let bytes = try #require(index.files[other])
        #expect(try index.outcome(name, bytes) == .noticed)
        #expect(try index.outcome(name, bytes, adaptManifest: true) == .noticed)
      }
    }
  }

  @Test func `a file of another build is refused, however alike`() throws {
    let other = try TemporaryFolder("other")
    let small = try SmallIndex.shared.get()
    try small.build(to: other.path + "/index") { $0.seed = 9 }
    let graph = try FileSystem.read(other.path + "/index/" + index.name("graph"))
    #expect(try index.outcome(index.name("graph"), graph) == .noticed)
  }

  @Test func `a missing file is named`() throws {
    for name in index.segments {
      try FileSystem.remove(index.folder.path + "/" + name)
      let error = #expect(throws: RetortError.self) { try PassageIndex(path: index.folder.path) }
      #expect(error?.exitCode == 66)
      #expect(error?.path == index.folder.path + "/" + name)
      try index.folder.file(name, try #require(index.files[name]))
    }
  }

  @Test func `a manifest that leads out of the folder is refused`() throws {
    let small = try SmallIndex.shared.get()
    for name in ["../segments/000001/graph.seg", small.path + "/segments/000001/graph.seg"] {
      var manifest = try PassageIndex(path: small.path).manifest
      manifest.segments[0].files["graph"]?.name = name
      #expect(try index.outcome("manifest.json", try manifest.encoded()) == .noticed)
    }
  }

  @Test func `a manifest with other numbers is refused`() throws {
    let changes: [(inout Manifest) -> Void] = [
      { $0.passages += 1 }, { $0.passages = 0 }, { $0.passages = -1 }, { $0.passages = .max },
      { $0.dimension = 0 }, { $0.dimension = -32 }, { $0.dimension = 16 }, { $0.dimension = .max },
      { $0.segments[0].files["graph"] = nil }, { $0.segments[0].files = [:] },
      { $0.segments[0].files["vectors"]?.bytes = -1 }, { $0.segments = [] },
      { $0.segments[0].passages += 1 }, { $0.segments[0].passages = -1 },
      { $0.segments[0].passages = .max }, { $0.segments[0].deleted = 1 },
      { $0.segments[0].deleted = -1 }, { $0.segments[0].deleted = .max },
      {
        $0.segments[0].deleted = 1
        $0.passages -= 1
      },
      {
        $0.segments[0].files["deleted"] = $0.segments[0].files["graph"]
        $0.segments[0].deleted = 1
        $0.passages -= 1
      },
      { $0.segments.append($0.segments[0]) },
      { $0.formatVersion = 2 }, { $0.formatVersion = 4 }, { $0.formatVersion = -1 },
    ]
    for (number, change) in changes.enumerated() {
      var manifest = try PassageIndex(path: try SmallIndex.shared.get().path).manifest
      change(&manifest)
      #expect(
        try index.outcome("manifest.json", try manifest.encoded()) == .noticed, "change \(number)")
    }
  }
}

extension DamagedIndex {
  /// Cuts the file of `role` at every boundary and at some other places.
  func expectCutsNoticed(_ role: String, random count: Int) throws {
    let name = name(role)
    let bytes = try #require(files[name])
    let seed: UInt64 = 61
    var random = SplitMix64(seed: seed)
    var lengths = Set([0, 1, 7, 8, 31, 32, 33, 4095, 4096, 4097, bytes.count - 1])
    for part in SegmentImage(bytes).parts {
      for edge in [part.offset, part.offset + part.bytes.count] {
        lengths.formUnion([edge - 1, edge, edge + 1])
      }
    }
    for _ in 0..<count { lengths.insert(Int(random.next() % UInt64(bytes.count))) }
    for length in lengths.sorted() where length < bytes.count {
      let cut = Array(bytes.prefix(length))
      #expect(try outcome(name, cut) == .noticed, "\(role) cut to \(length)")
      #expect(try outcome(name, cut, adaptManifest: true) == .noticed, "\(role) cut to \(length)")
    }
    #expect(try outcome(name, bytes + [0]) == .noticed)
    #expect(try outcome(name, bytes + [0], adaptManifest: true) == .noticed)
  }

  /// Flips bytes of the file of `role` anywhere behind the header, and some in every section: chance
  /// would miss small ones.
  func expectFlipsNoticed(
    _ role: String, random count: Int, perSection: Int
  ) throws {
    let name = name(role)
    let bytes = try #require(files[name])
    let parts = SegmentImage(bytes).parts
    var padding = [Bool](repeating: true, count: bytes.count)
    for (number, part) in parts.enumerated() {
      let entry = 32 + 56 * number
      let table = Int(bytes.long(entry + 32))
      let blocks = (part.bytes.count + part.blockLength - 1) / part.blockLength
      for place in part.offset..<(part.offset + part.bytes.count) { padding[place] = false }
      for place in table..<(table + 4 * blocks) { padding[place] = false }
    }
    let seed: UInt64 = 63
    var random = SplitMix64(seed: seed)
    var places = (0..<count).map { _ in 4096 + Int(random.next() % UInt64(bytes.count - 4096)) }
    for part in parts {
      for _ in 0..<perSection where !part.bytes.isEmpty {
        places.append(part.offset + Int(random.next() % UInt64(part.bytes.count)))
      }
    }
    for place in places {
      var flipped = bytes
      flipped[place] ^= UInt8(1 + random.next() % 255)
      #expect(
        try outcome(name, flipped) == (padding[place] ? .harmless : .noticed),
        "\(role), byte \(place), seed \(seed)")
    }
  }
}
