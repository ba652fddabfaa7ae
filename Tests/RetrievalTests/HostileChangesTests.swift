import Formats
import Platform
import Retrieval
import Store
import TestSupport
import Testing

/// Damage to an index of several segments, with deletions and metadata.
@Suite struct HostileChangesTests {
  private let index: DamagedIndex

  init() throws {
    func labelled(_ prefix: String, _ count: Int, _ seed: UInt64) -> [Passage] {
      passages(prefix, count, seed: seed).enumerated().map { place, passage in
        var passage = passage
        passage.fields["n"] = [.number(Double(place))]
        if place % 2 == 0 { passage.fields["t"] = [.text("even"), .text("t\(place % 5)")] }
        return passage
      }
    }
    let subject = try UpdatedIndex(labelled("a", 90, 161))
    try subject.add(labelled("b", 40, 162) + [Passage(id: "a3", text: "changed")])
    try subject.delete(["a5", "b6", "a70"])
    index = try DamagedIndex(of: subject.path, filter: "n >= 10 and not t = 't4' or t = 'even'")
  }

  /// The files of an index whose counterparts in other tests are not damaged.
  private var tested: [String] {
    index.segments.filter { $0.contains("metadata") || $0.contains("deleted") }
  }

  @Test func `an undamaged copy answers as the original`() throws {
    #expect(tested.count == 4 && index.segments.count == 10)
    for name in index.segments {
      let bytes = SegmentImage(try #require(index.files[name])).encoded()
      #expect(try index.outcome(name, bytes, adaptManifest: true) == .harmless, "\(name)")
    }
  }

  @Test func `metadata or tombstones that were cut or flipped are an error`() throws {
    let seed: UInt64 = 163
    var random = SplitMix64(seed: seed)
    for name in tested {
      let bytes = try #require(index.files[name])
      let parts = SegmentImage(bytes).parts
      var places = (0..<40).map { _ in Int(random.next() % UInt64(32 + 56 * parts.count)) }
      var lengths = (0..<20).map { _ in Int(random.next() % UInt64(bytes.count)) }
      for part in parts {
        lengths += [part.offset - 1, part.offset, part.offset + part.bytes.count - 1]
        for _ in 0..<12 {
          places.append(part.offset + Int(random.next() % UInt64(part.bytes.count)))
        }
      }
      for length in lengths {
        let cut = Array(bytes.prefix(length))
        #expect(try index.outcome(name, cut) == .noticed, "\(name) cut to \(length)")
        #expect(
          try index.outcome(name, cut, adaptManifest: true) == .noticed, "\(name) cut to \(length)")
      }
      for place in places {
        var flipped = bytes
        flipped[place] ^= UInt8(1 + random.next() % 255)
        #expect(
          try index.outcome(name, flipped, adaptManifest: place % 2 == 0) == .noticed,
          "\(name), byte \(place), seed \(seed)")
      }
    }
  }

  @Test func `tombstones that disagree with the manifest are refused`() throws {
    let name = try #require(index.segments.first { $0.contains("deleted-000001") })
    for change: (inout SegmentImage) -> Void in [
      { $0["bits"][0] ^= 1 }, { $0["bits"][11] |= 0x80 }, { $0["bits"].removeLast(8) },
      { $0["bits"].removeLast() }, { $0["bits"].put(UInt64(0)) }, { $0["shape"][0] += 1 },
      { $0["shape"][8] += 1 }, { $0["shape"].removeLast() }, { $0["shape"] = [] },
    ] {
      var image = SegmentImage(try #require(index.files[name]))
      change(&image)
      #expect(try index.outcome(name, image.encoded(), adaptManifest: true) == .noticed)
    }
  }

  /// Contents that make no sense under checksums that match: an error, or other answers, never a
  /// crash. Checksums cannot know a metadata file that was written by somebody with a purpose.
  @Test func `forged metadata never crashes`() throws {
    let seed: UInt64 = 164
    var random = SplitMix64(seed: seed)
    for name in tested where name.contains("metadata") {
      let good = SegmentImage(try #require(index.files[name]))
      for section in ["fields", "values", "codes"] {
        for _ in 0..<Soak.times(120) {
          var image = good
          var bytes = image[section]
          switch random.next() % 4 {
          case 0:
            bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(
              truncatingIfNeeded: random.next())
          case 1: bytes.removeLast(Int(random.next() % UInt64(bytes.count)))
          case 2:
            for _ in 0..<20 {
              bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(
                truncatingIfNeeded: random.next())
            }
          default:
            // A digit of the directory becomes another, or several.
            let digits = bytes.indices.filter { (48...57).contains(bytes[$0]) }
            if let place = digits.randomElement(using: &random) {
              bytes.replaceSubrange(
                place...place, with: Array("\(random.next() >> (random.next() % 64))".utf8))
            }
          }
          image[section] = bytes
          _ = try index.outcome(name, image.encoded(), adaptManifest: true)
        }
      }
    }
  }
}

@Suite struct ConcurrentChangeTests {
  @Test func `readers always see one generation while a writer changes the index`() async throws {
    let subject = try UpdatedIndex(passages("c", 200, seed: 171))
    let path = subject.path
    let seconds = Double(Soak.times(4))
    let query = try subject.opened().vector(0)
    /// What each reader saw: ids by generation.
    let readers = (0..<8).map { reader in
      Task.detached { () throws -> [(Int, Set<String>)] in
        var seen: [(Int, Set<String>)] = []
        let end = monotonicSeconds() + seconds
        while monotonicSeconds() < end {
          let index = try PassageIndex(path: path)
          let mode: SearchMode = reader % 2 == 0 ? .exact : .graph(efSearch: 2000)
          let hits = try index.search(query, k: 2000, mode: mode)[0]
          seen.append((index.manifest.generation, Set(try named(hits, in: index))))
          #expect(hits.count == index.count)
        }
        return seen
      }
    }
    var expected = [1: Set(subject.passages.map(\.id))]
    let end = monotonicSeconds() + seconds
    var random = SplitMix64(seed: 172)
    var step: UInt64 = 0
    while monotonicSeconds() < end {
      step += 1
      switch random.next() % 3 {
      case 0: try subject.add(passages("s\(step)-", 20, seed: 1000 + step))
      case 1: try subject.delete(subject.passages.filter { _ in random.next() % 8 == 0 }.map(\.id))
      default: try subject.merge()
      }
      let generation = try subject.opened().manifest.generation
      expected[generation] = Set(subject.passages.map(\.id))
    }
    var answers = 0
    for reader in readers {
      for (generation, ids) in try await reader.value {
        #expect(ids == expected[generation], "generation \(generation)")
        answers += 1
      }
    }
    #expect(expected.count > 5 && answers > 20, "\(expected.count) generations, \(answers) answers")
  }
}
