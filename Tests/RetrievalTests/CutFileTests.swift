import Formats
import Lexical
import Platform
import Retrieval
import Store
import TestSupport
import Testing

/// Files of an index that another program cuts while the index is open.
@Suite struct CutFileTests {
  private let subject: UpdatedIndex

  init() throws {
    let labelled = passages("a", 150, seed: 181).enumerated().map { place, passage in
      var passage = passage
      passage.fields["n"] = [.number(Double(place))]
      return passage
    }
    subject = try UpdatedIndex(
      labelled, lexical: LexicalSettings(), terms: WordTerms.requests)
    try subject.delete(["a3", "a99"])
  }

  /// All that can be asked, each with its answer as text.
  private func answers(
    _ index: PassageIndex, _ queries: [Float], seed: UInt64
  ) -> [Result<String, RetortError>] {
    func ask(_ body: () throws(RetortError) -> Any) -> Result<String, RetortError> {
      Result { () throws(RetortError) in "\(try body())" }
    }
    var random = SplitMix64(seed: seed)
    var found = [
      ask { () throws(RetortError) in
        try index.search(queries, k: 9, mode: .graph(efSearch: 40), threads: 2)
      },
      ask { () throws(RetortError) in try index.search(queries, k: 9, mode: .exact, threads: 2) },
      ask { () throws(RetortError) in try index.searchWords(["gold water", "the river"], k: 9) },
      ask { () throws(RetortError) in try index.select(Filter("n < 50")).count },
      ask { () throws(RetortError) in try WordTerms.search(index) },
    ]
    for _ in 0..<12 {
      let number = Int(random.next() % UInt64(index.capacity))
      found.append(ask { () throws(RetortError) in try index.passage(number) })
      found.append(
        ask { () throws(RetortError) in try index.fields(of: number).keys.sorted() })
      found.append(ask { () throws(RetortError) in try index.vector(number) })
      found.append(
        ask { () throws(RetortError) in try index.number(of: "a\(number)") as Any })
    }
    return found
  }

  /// What was verified before is read again as zeros: nothing may rely on it.
  @Test func `an index that was read and verified survives a cut at every page`() throws {
    let files = try contents(of: subject.path).filter {
      $0.key.hasSuffix(".seg") && !$0.key.contains("deleted")
    }
    #expect(files.keys.contains { $0.contains("terms-3") })
    #expect(files.keys.contains { $0.contains("book-1") })
    let queries = try noisyQueries(subject.opened(), count: 3, seed: 185)
    for (name, bytes) in files.sorted(by: { $0.key < $1.key }) {
      let path = subject.path + "/" + name
      for length in stride(from: 0, to: bytes.count, by: 4096) {
        let index = try subject.opened()
        try index.warm()
        try index.verify()
        try cut(path, to: length)
        for answer in answers(index, queries, seed: 186) {
          guard case .failure(let error) = answer else {
            // Single passages need not lie in the file that was cut, but this is read from all.
            continue
          }
          #expect(error.code == .truncated && error.path == path, "\(name) at \(length): \(error)")
        }
        let error = #expect(throws: RetortError.self) { try index.verify() }
        #expect(error?.code == .truncated && error?.path == path)
        try FileSystem.replace(path, with: bytes)
      }
    }
  }

  @Test func `cut files give errors or the right answers, whatever was read before`() throws {
    let seed: UInt64 = 182
    var random = SplitMix64(seed: seed)
    // Deletions are read when an index is opened, and not touched afterwards.
    let files = try contents(of: subject.path).filter {
      $0.key.hasSuffix(".seg") && !$0.key.contains("deleted")
    }
    let queries = try noisyQueries(subject.opened(), count: 3, seed: 183)
    let reference = answers(try subject.opened(), queries, seed: 184)
    var errors = 0
    for round in 0..<Soak.times(60) {
      let name = try #require(files.keys.sorted().randomElement(using: &random))
      let bytes = try #require(files[name])
      let index = try subject.opened()
      if round % 2 == 0 { _ = answers(index, queries, seed: 184) }
      let length = Int(random.next() % UInt64(bytes.count))
      let path = subject.path + "/" + name
      try cut(path, to: length)
      for (place, answer) in answers(index, queries, seed: 184).enumerated() {
        switch (answer, reference[place]) {
        case (.success(let text), .success(let expected)):
          #expect(text == expected, "seed \(seed), round \(round): \(name) cut to \(length)")
        case (.failure(let error), _):
          errors += 1
          #expect(error.code == .truncated && error.path == path, "\(error)")
        default: Issue.record("no reference for question \(place)")
        }
      }
      #expect(throws: RetortError.self) { try index.verify() }
      try FileSystem.replace(path, with: bytes)
    }
    #expect(errors > 100)
    #expect(answers(try subject.opened(), queries, seed: 184).count == reference.count)
    try subject.opened().verify()
  }

  @Test func `an index that lost pages is neither changed nor joined`() throws {
    let name = "segments/000001/passages.seg"
    let bytes = try FileSystem.read(subject.path + "/" + name)
    let manifest = try FileSystem.read(subject.path + "/manifest.json")
    try cut(subject.path + "/" + name, to: bytes.count - 1)
    let error = #expect(throws: RetortError.self) { try subject.delete(["a7"]) }
    #expect(error?.code == .truncated)
    #expect(try FileSystem.read(subject.path + "/manifest.json") == manifest)
    try FileSystem.replace(subject.path + "/" + name, with: bytes)
    try subject.delete(["a7"])
    try subject.opened().verify()
  }
}
