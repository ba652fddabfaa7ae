import Formats
import Graph
import Platform
import Retrieval
import Store
import TestSupport
import Testing

@Suite struct UpdateTests {
  /// Expects that the index holds exactly what it should, and finds it.
  private func check(_ subject: UpdatedIndex, _ note: String) throws {
    let index = try subject.opened()
    try index.verify()
    #expect(index.count == subject.passages.count, "\(note)")
    let numbers = try (0..<index.capacity).filter { try !index.isDeleted($0) }
    #expect(try numbers.map { try index.passage($0) } == subject.passages, "\(note)")
    for (number, passage) in zip(numbers, subject.passages) {
      #expect(try index.number(of: passage.id) == number, "\(note)")
    }
    guard !numbers.isEmpty else { return }
    var random = SplitMix64(seed: 7)
    var queries: [Float] = []
    for _ in 0..<5 {
      let near = try index.vector(numbers[Int(random.next() % UInt64(numbers.count))])
      queries += near.map { $0 + Float(0.3 * random.normal()) }
    }
    let k = numbers.count + 3
    let exact = try index.search(queries, k: k, mode: .exact, threads: 2)
    // Candidates for all: the walk is exact, too.
    let walked = try index.search(queries, k: k, mode: .graph(efSearch: k), threads: 2)
    #expect(walked == exact, "\(note)")
    for hits in exact { #expect(hits.map(\.number).sorted() == numbers, "\(note)") }
    let few = try index.search(queries, k: 10, mode: .graph(efSearch: 10))
    #expect(few.allSatisfy { $0.count == min(10, numbers.count) }, "\(note)")
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `after any changes an index holds what it should`(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let subject = try UpdatedIndex(passages("a", 150, seed: seed))
    var next: UInt64 = 100
    for step in 0..<12 {
      next += 1
      var note = "seed \(seed), step \(step): "
      switch random.next() % 5 {
      case 0, 1:
        var added = passages("s\(step)-", Int(random.next() % 40) + 1, seed: seed * 1000 + next)
        // Some take the place of others, some are there already, some share a text.
        for old in subject.passages where random.next() % 10 == 0 {
          added.append(
            Passage(id: old.id, text: random.next() % 2 == 0 ? old.text : "gold \(next)"))
        }
        note += "\(added.count) added"
        try subject.add(added)
      case 2, 3:
        let gone = subject.passages.filter { _ in random.next() % 3 == 0 }.map(\.id) + ["nobody"]
        note += "\(gone.count) deleted"
        let report = try subject.delete(gone)
        #expect(report.missing == ["nobody"] && report.deleted == gone.count - 1, "\(note)")
      default:
        note += "merged"
        try subject.merge()
        #expect(try subject.opened().manifest.segments.count <= 1, "\(note)")
      }
      try check(subject, note)
    }
  }

  @Test func `nothing that is known is encoded again`() throws {
    let old = passages("p", 80, seed: 31)
    let subject = try UpdatedIndex(old)
    let again = try subject.add(old)
    #expect(again.unchanged == 80 && again.added == 0 && again.encoded == 0)
    #expect(try subject.opened().manifest.generation == 1)

    let renamed = old.prefix(30).map { Passage(id: "copy-" + $0.id, text: $0.text) }
    let report = try subject.add(
      renamed + [Passage(id: "p3", text: "new text"), Passage(id: "q", text: "another")]
        + old[50...])
    #expect(report.added == 32 && report.replaced == 1 && report.unchanged == 30)
    #expect(report.reused == 30 && report.encoded == 2)
    let index = try subject.opened()
    for place in 0..<30 {
      let copy = try #require(try index.number(of: "copy-p\(place)"))
      #expect(try index.vector(copy) == index.vector(place))
    }
    // What was deleted still lends its vector.
    try subject.delete(["p60"])
    #expect(try subject.add([old[60]]).reused == 1)
    try check(subject, "re-added")
  }

  @Test func `a merged index has the graph of a build over the same vectors`() throws {
    let subject = try UpdatedIndex(passages("a", 200, seed: 41))
    try subject.add(passages("b", 150, seed: 42))
    try subject.delete((0..<100).map { "a\($0 * 2)" })
    try subject.merge()
    let opened = try OpenedIndex(IndexFolder(subject.path))
    let segment = try #require(opened.segments.first)
    let graph = try HNSWBuilder.build(
      segment.vectors.vectors, parameters: HNSWParameters(m: 8, efConstruction: 60), threads: 1)
    for (layer, built) in zip(segment.graph.graph.layers, graph.layers) {
      for slot in 0..<layer.blocks.count {
        #expect(
          try layer.blocks.list(slot)
            == Array(built.targets[built.offsets[slot]..<built.offsets[slot + 1]]))
      }
    }
    #expect(segment.graph.graph.entryPoint == graph.entryPoint)
    let report = try subject.merge()
    #expect(report.segments == 1 && report.generation == opened.manifest.generation)
  }

  @Test func `recall after deleting half and merging is that of a fresh build`() throws {
    let all = passages("r", 2000, seed: 51)
    let subject = try UpdatedIndex(all)
    try subject.delete((0..<1000).map { "r\($0 * 2)" })
    func recall(_ index: PassageIndex) throws -> Double {
      var found = 0
      let queries = try (0..<60).flatMap { query in
        var random = SplitMix64(seed: UInt64(query))
        let near = try index.vector(try #require(try index.number(of: "r\(query * 30 + 1)")))
        return near.map { $0 + Float(0.3 * random.normal()) }
      }
      let exact = try index.search(queries, k: 10, mode: .exact)
      let walked = try index.search(queries, k: 10, mode: .graph(efSearch: 20))
      for (one, other) in zip(exact, walked) {
        found += Set(one.map(\.number)).intersection(other.map(\.number)).count
      }
      return Double(found) / Double(60 * 10)
    }
    let deleted = try recall(try subject.opened())
    try subject.merge()
    let merged = try recall(try subject.opened())
    try UpdatedIndex.build(
      subject.passages, at: subject.folder.path + "/fresh", in: subject.folder)
    let fresh = try recall(try PassageIndex(path: subject.folder.path + "/fresh"))
    #expect(abs(merged - fresh) <= 0.01, "merged \(merged), fresh \(fresh)")
    #expect(deleted >= fresh - 0.01, "with tombstones \(deleted), fresh \(fresh)")
  }

  @Test func `the entry point may be deleted`() throws {
    let subject = try UpdatedIndex(passages("e", 300, seed: 61))
    let opened = try OpenedIndex(IndexFolder(subject.path))
    let entry = Int(try #require(opened.segments.first).graph.graph.entryPoint)
    try subject.delete(["e\(entry)"])
    try check(subject, "entry point \(entry)")
    try subject.merge()
    try check(subject, "merged")
  }

  @Test func `everything may be deleted, and what was deleted added again`() throws {
    let all = passages("d", 60, seed: 71)
    let subject = try UpdatedIndex(all)
    try subject.add(passages("x", 20, seed: 72))
    #expect(try subject.delete(subject.passages.map(\.id)).passages == 0)
    try check(subject, "empty")
    let empty = try subject.opened()
    let query = [Float](repeating: 1, count: TinyEncoder.width)
    #expect(try empty.search(query, k: 5, mode: .graph(efSearch: 10)) == [[]])
    #expect(try empty.search(query, k: 5, mode: .exact) == [[]])
    #expect(try empty.number(of: "d3") == nil)
    #expect(empty.manifest.segments.isEmpty)
    #expect(try FileSystem.names(in: subject.path + "/segments") == [])
    try subject.merge()
    try subject.add(Array(all[..<10]))
    try check(subject, "ten again")
    try subject.delete(["d3"])
    #expect(try subject.opened().number(of: "d3") == nil)
    try subject.add([all[3]])
    #expect(try subject.opened().number(of: "d3") != nil)
    try check(subject, "added again")
  }

  @Test func `equal scores keep the order in which passages were added`() throws {
    let text = "water river lake"
    func copies(_ prefix: String, _ count: Int) -> [Passage] {
      (0..<count).map { Passage(id: "\(prefix)\($0)", text: text) }
    }
    // The text is encoded once: what is added later gets the same vector, to the last bit.
    let subject = try UpdatedIndex(passages("o", 40, seed: 81) + copies("a", 1))
    try subject.add(copies("b", 5))
    try subject.add(
      copies("c", 5) + [Passage(id: "b2", text: "moved"), Passage(id: "b3", text: "m")])
    try subject.add([Passage(id: "b2", text: text)])
    let expected = ["a0", "b0", "b1", "b4", "c0", "c1", "c2", "c3", "c4", "b2"]
    for merged in [false, true] {
      if merged { try subject.merge() }
      let index = try subject.opened()
      let query = try index.vector(try #require(try index.number(of: "a0")))
      for mode in [SearchMode.exact, .graph(efSearch: 200)] {
        let hits = try index.search(query, k: 10, mode: mode)[0]
        #expect(Set(hits.map(\.score)).count == 1)
        #expect(try named(hits, in: index) == expected)
      }
    }
  }

  @Test func `who has the index open sees none of the changes`() throws {
    let subject = try UpdatedIndex(passages("k", 120, seed: 91))
    let before = try subject.opened()
    let query = try before.vector(5)
    func ask() throws -> [[SearchHit]] {
      try before.search(query, k: 20, mode: .exact)
        + before.search(query, k: 20, mode: .graph(efSearch: 40))
    }
    let expected = try ask()
    try subject.delete(["k5", "k6"])
    try subject.add([Passage(id: "k7", text: "other")])
    try subject.merge()
    try subject.delete(subject.passages.map(\.id))
    #expect(try ask() == expected)
    #expect(try before.passage(5).id == "k5" && before.number(of: "k5") == 5)
    try before.verify()
  }
}
