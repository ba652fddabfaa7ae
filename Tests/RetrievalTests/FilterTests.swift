import Formats
import Platform
import Retrieval
import Store
import TestSupport
import Testing

@Suite struct FilterGrammarTests {
  @Test(arguments: [
    ("", 1, "expected a field's name"), ("lang", 5, "expected =, !=, <, <=, >, >=, \"in\""),
    ("lang =", 7, "expected a value: a quoted text, a number, true or false, found the end"),
    ("lang = en", 8, "found \"en\""), ("lang = 'en", 8, "the text that begins here has no end"),
    ("lang = 'en' year > 1", 13, "expected \"and\", \"or\" or the end, found \"year\""),
    ("lang = 'en' and", 16, "expected a field's name"), ("(lang = 'en'", 13, "expected \")\""),
    ("year > 1x", 8, "\"1x\" is no number"), ("year > -", 8, "\"-\" is no number"),
    ("year > 1e999", 8, "is no number"), ("year ! 5", 6, "! stands only before ="),
    ("year # 5", 6, "\"#\" means nothing here"), ("lang in 'en'", 9, "expected \"(\""),
    ("lang in ('en' 'de')", 15, "expected \",\" or \")\""), ("lang in ()", 10, "expected a value"),
    ("lang not like 'e'", 10, "expected \"in\""), ("and = 1", 1, "expected a field's name"),
    ("lang = 'a\\n'", 10, "\\ stands only before ' and \\"),
    ("ünï = 1 and 漢 ?", 15, "\"?\" means nothing here"),
    (String(repeating: "(", count: 101), 101, "is nested deeper than 100"),
  ])
  func `an error says in which column the filter makes no sense`(
    text: String, column: Int, message: String
  ) {
    let error = #expect(throws: RetortError.self) { try Filter(text) }
    #expect(error?.exitCode == 64)
    #expect(error?.message.hasPrefix("the filter, column \(column): ") == true, "\(error as Any)")
    #expect(error?.message.contains(message) == true, "\(error as Any)")
  }

  @Test func `too many questions are refused, many values are not`() throws {
    let tests = Array(repeating: "a = 1", count: 1001).joined(separator: " or ")
    let error = #expect(throws: RetortError.self) { try Filter(tests) }
    #expect(error?.message.contains("more than 1000 questions") == true)
    _ = try Filter(Array(repeating: "a = 1", count: 1000).joined(separator: " or "))
    _ = try Filter("a in (" + (0..<20_000).map { "\($0)" }.joined(separator: ",") + ")")
  }

  @Test func `names may be quoted, and are found out`() throws {
    let filter = try Filter("a.b-c = 1 AND `or` = 'x' Or NOT _d in (TRUE, false)")
    #expect(filter.fields == ["a.b-c", "or", "_d"])
  }
}

@Suite struct FilterTests {
  /// Passages whose fields are of all kinds, some absent, some lists.
  private static func labelled(_ prefix: String, _ count: Int, seed: UInt64) -> [Passage] {
    var random = SplitMix64(seed: seed)
    let languages = ["de", "en", "fr", "é"]
    return passages(prefix, count, seed: seed).enumerated().map { place, passage in
      var passage = passage
      passage.fields["year"] = [.number(Double(2000 + random.next() % 25))]
      if random.next() % 4 > 0 {
        passage.fields["lang"] = [.text(languages[Int(random.next() % 4)])]
      }
      if random.next() % 2 == 0 { passage.fields["open"] = [.flag(random.next() % 2 == 0)] }
      let tags = (0..<(random.next() % 4)).map { _ in FieldValue.text("t\(random.next() % 6)") }
      if !tags.isEmpty { passage.fields["tags"] = Set(tags).sorted() }
      passage.fields["rank"] = [.number(Double(place) + 0.5)]
      return passage
    }
  }

  private static func has(_ passage: Passage, _ name: String, _ test: (FieldValue) -> Bool) -> Bool
  {
    passage.fields[name]?.contains(where: test) ?? false
  }

  /// Filters and what they mean, said once more in Swift.
  private static let cases: [(String, @Sendable (Passage) -> Bool)] = [
    ("lang = 'en'", { has($0, "lang") { $0 == .text("en") } }),
    ("lang != \"en\"", { !has($0, "lang") { $0 == .text("en") } }),
    ("lang = 'é'", { has($0, "lang") { $0 == .text("é") } }),
    ("lang = 1", { _ in false }),
    ("lang exists", { $0.fields["lang"] != nil }),
    ("not lang exists", { $0.fields["lang"] == nil }),
    ("year >= 2019", { has($0, "year") { $0 >= .number(2019) } }),
    ("year < 2003.5", { has($0, "year") { $0 < .number(2003.5) } }),
    (
      "year <= 2e3 or year > 2023",
      { has($0, "year") { $0 <= .number(2000) || $0 > .number(2023) } }
    ),
    ("year >= 'a'", { _ in false }),
    ("lang < 'en'", { has($0, "lang") { $0 == .text("de") } }),
    ("open = true", { has($0, "open") { $0 == .flag(true) } }),
    ("not open = TRUE", { !has($0, "open") { $0 == .flag(true) } }),
    ("tags = 't1'", { has($0, "tags") { $0 == .text("t1") } }),
    (
      "tags = 't1' and tags = 't2'",
      {
        has($0, "tags") { $0 == .text("t1") } && has($0, "tags") { $0 == .text("t2") }
      }
    ),
    ("tags not in ('t1', 't2')", { !has($0, "tags") { $0 == .text("t1") || $0 == .text("t2") } }),
    (
      "lang in ('de', 'fr') and (year >= 2010 or open exists) and not tags = 't3'",
      {
        has($0, "lang") { $0 == .text("de") || $0 == .text("fr") }
          && (has($0, "year") { $0 >= .number(2010) } || $0.fields["open"] != nil)
          && !has($0, "tags") { $0 == .text("t3") }
      }
    ),
    (
      "lang = 'de' or lang = 'en' and year > 2015",
      {
        has($0, "lang") { $0 == .text("de") }
          || has($0, "lang") { $0 == .text("en") } && has($0, "year") { $0 > .number(2015) }
      }
    ),
    ("rank > 10 and rank < -1", { _ in false }),
  ]

  private func check(_ subject: UpdatedIndex, _ note: String) throws {
    let index = try subject.opened()
    try index.verify()
    let live = try (0..<index.capacity).filter { try !index.isDeleted($0) }
    #expect(try live.map { try index.fields(of: $0) } == subject.passages.map(\.fields), "\(note)")
    let query = try index.vector(live[0])
    for (text, accepts) in Self.cases {
      let expected = subject.passages.filter(accepts)
      let selection = try index.select(Filter(text))
      #expect(selection.count == expected.count, "\(note), \(text)")
      let k = subject.passages.count
      for mode in [SearchMode.exact, .graph(efSearch: 10)] {
        let hits = try index.search(query, k: k, mode: mode, among: selection)[0]
        #expect(try Set(named(hits, in: index)) == Set(expected.map(\.id)), "\(note), \(text)")
      }
      let few = try index.search(query, k: 5, mode: .graph(efSearch: 10), among: selection)[0]
      #expect(few.count == min(5, expected.count), "\(note), \(text)")
    }
  }

  @Test func `filters select what they say, through all changes`() throws {
    let subject = try UpdatedIndex(Self.labelled("f", 300, seed: 101))
    try check(subject, "built")
    let same = try subject.add(Array(subject.passages[20..<60]))
    #expect(same.unchanged == 40)
    var changed = Array(subject.passages[100..<130])
    for place in changed.indices { changed[place].fields["year"] = [.number(1999)] }
    let report = try subject.add(changed + Self.labelled("g", 100, seed: 102))
    #expect(report.replaced == 30 && report.reused == 30 && report.encoded == 100)
    try subject.delete((0..<50).map { "f\($0 * 5)" })
    try check(subject, "changed")
    try subject.add(passages("plain", 30, seed: 103))
    try check(subject, "a segment without fields")
    try subject.merge()
    try check(subject, "merged")
    #expect(try subject.opened().fields == ["lang", "open", "rank", "tags", "year"])
  }

  @Test func `a field that nobody has is an error that names those there are`() throws {
    let subject = try UpdatedIndex(Self.labelled("f", 60, seed: 105))
    let error = #expect(throws: RetortError.self) {
      try subject.opened().select(Filter("language = 'en'"))
    }
    #expect(error?.exitCode == 64)
    #expect(
      error?.message.contains("no passage has the field \"language\"; there are \"lang\"") == true)
    let plain = try UpdatedIndex(passages("p", 20, seed: 106))
    let none = #expect(throws: RetortError.self) { try plain.opened().select(Filter("a = 1")) }
    #expect(none?.message.contains("the index has no fields to filter by") == true)
  }

  @Test func `ids select, too, and join with a filter`() throws {
    let subject = try UpdatedIndex(Self.labelled("f", 80, seed: 107))
    try subject.delete(["f7"])
    let index = try subject.opened()
    let ids = ["f3", "f7", "f9", "f9", "nobody", "f30"]
    #expect(try index.select(ids: ids).count == 3)
    let both = try index.select(Filter("rank < 10"), ids: ids)
    let hits = try index.search(index.vector(0), k: 10, mode: .graph(efSearch: 10), among: both)[0]
    #expect(try Set(named(hits, in: index)) == ["f3", "f9"])
    #expect(
      try index.search(index.vector(0), k: 3, mode: .exact, among: index.select(ids: []))[0] == [])
  }

  @Test func `recall holds at every selectivity, and k come back wherever k match`() throws {
    let all = Self.labelled("s", 4000, seed: 111)
    let subject = try UpdatedIndex(all)
    let index = try subject.opened()
    let queries = try noisyQueries(index, count: 40, seed: 112)
    for (percent, filter) in [
      (50.0, "rank < 2000"), (10, "rank >= 3600"), (1, "rank >= 100 and rank < 140"),
      (0.1, "rank >= 50 and rank < 54"),
    ] {
      let selection = try index.select(Filter(filter))
      #expect(Double(selection.count) == percent * 40)
      let exact = try index.search(queries, k: 10, mode: .exact, among: selection)
      for ef in [10, 100] {
        let statistics = SearchStatistics()
        let walked = try index.search(
          queries, k: 10, mode: .graph(efSearch: ef), among: selection, statistics: statistics)
        var found = 0
        for (one, other) in zip(exact, walked) {
          #expect(other.count == min(10, selection.count))
          found += Set(one.map(\.number)).intersection(other.map(\.number)).count
        }
        let recall = Double(found) / Double(40 * min(10, selection.count))
        #expect(recall >= (ef == 100 ? 0.95 : 0.8), "\(percent)%, efSearch \(ef): \(recall)")
        // Half of the passages are too many for a scan.
        if percent == 50, ef == 10 { #expect(statistics.scored > 0) }
        if percent < 50 { #expect(statistics.scanned == 40 * selection.count) }
      }
    }
  }

  @Test func `matches far from the query are found by a scan after the walk`() throws {
    let all = passages("n", 3000, seed: 121)
    let subject = try UpdatedIndex(all)
    let index = try subject.opened()
    let query = try index.vector(17)
    let order = try index.search(query, k: 3000, mode: .exact)[0]
    // The farther half: no walk of 20 candidates meets any of them.
    let far = order[1500...].map { $0.number }
    let selection = try index.select(ids: far.map { "n\($0)" })
    let statistics = SearchStatistics()
    let hits = try index.search(
      query, k: 10, mode: .graph(efSearch: 10), among: selection, statistics: statistics)[0]
    #expect(hits == Array(order[1500..<1510]))
    #expect(statistics.scored > 0 && statistics.scanned == 1500)
  }
}
