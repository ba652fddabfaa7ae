import Foundation
import Retort
import TestSupport
import Testing

/// The README's Swift example, compiled; the test below keeps the two alike.
private func answerFromReadme() throws {
  // README example
  let searcher = try Searcher(path: "indexes/nfcorpus")
  let answer = try searcher.search(
    ["is it safe to eat raw fish"], k: 10, mode: .graph(efSearch: 100), threads: 1)
  for hit in answer.hits[0] {
    let passage = try searcher.index.passage(hit.number)
    print(hit.score, passage.id, passage.text)
  }
  // README example ends
}

/// The README's second example: building, changing and filtering.
private func changeFromReadme(
  model: String, corpus: String, additions: String, path: String
) throws -> (PassageIndex, [[SearchHit]]) {
  // README example
  let encoder = try TextEncoder(directory: model)
  let options = IndexBuildOptions(corpus: corpus, output: path)
  _ = try IndexBuilder.build(options, encoder: encoder, modelPath: model)
  let more = IndexAdditionOptions(index: path, corpus: additions)
  _ = try IndexAddition.add(more, encoder: encoder, modelPath: model)
  _ = try IndexDeletion.delete(["p17"], from: path)
  _ = try IndexMerge.merge(path, threads: 2)

  let index = try PassageIndex(path: path)
  let recent = try index.select(Filter("lang = 'en' and year >= 2019"))
  let question = try encoder.encode(texts: ["what is a retort"], threads: 1)
  let statistics = SearchStatistics()
  let hits = try index.search(
    question, k: 10, mode: .graph(efSearch: 100), among: recent, statistics: statistics)
  // README example ends
  return (index, hits)
}

/// The README's third example: re-ranking.
private func rerankFromReadme(
  terms: String, teacher: String, question: String, hits: [SearchHit], index: PassageIndex
) throws -> [SearchHit] {
  // README example
  let cascade = try RerankCascade([
    RerankCascade.Stage(try ColBERT(directory: terms), depth: 100),
    RerankCascade.Stage(try CrossEncoder(directory: teacher), depth: 10),
  ])
  let better = try cascade.rerank(question, hits, in: index, threads: 2).hits
  // README example ends
  return better
}

@Suite struct ReadmeTests {
  @Test(arguments: [1, 3, 5])
  func `the README shows the examples that are compiled here`(part: Int) throws {
    let source = try String(contentsOfFile: #filePath, encoding: .utf8)
    let parts = source.components(separatedBy: "  // README example")
    let example = try #require(parts.count > part + 1 ? parts[part] : nil)
      .split(separator: "\n", omittingEmptySubsequences: false)
      .map { $0.hasPrefix("  ") ? $0.dropFirst(2) : $0 }
      .joined(separator: "\n").trimmingCharacters(in: .newlines)
    let readme = try String(
      contentsOfFile: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../README.md").path, encoding: .utf8)
    #expect(readme.contains(example))
  }

  @Test func `the README's second example does what it says`() throws {
    let folder = try TemporaryFolder("readme")
    try TinyEncoder.write(to: folder.path + "/model")
    func corpus(_ name: String, _ years: Range<Int>) throws -> String {
      try folder.file(
        name,
        years.map { year in
          "{\"id\": \"p\(year - 2000)\", \"text\": \"what is \(year)\", \"year\": \(year), "
            + "\"lang\": \"\(year % 2 == 0 ? "en" : "de")\"}\n"
        }.joined())
    }
    let (index, hits) = try changeFromReadme(
      model: folder.path + "/model", corpus: corpus("a.jsonl", 2000..<2020),
      additions: corpus("b.jsonl", 2020..<2030), path: folder.path + "/index")
    try index.verify()
    #expect(index.count == 29 && index.manifest.segments.count == 1)
    #expect(
      try Set(hits[0].map { try index.id($0.number) }) == ["p20", "p22", "p24", "p26", "p28"])
    try TinyEncoder.write(to: folder.path + "/terms", head: .projection)
    try TinyEncoder.write(to: folder.path + "/teacher", head: .classifier)
    let better = try rerankFromReadme(
      terms: folder.path + "/terms", teacher: folder.path + "/teacher", question: "what is 2024",
      hits: hits[0], index: index)
    #expect(Set(better.map(\.number)) == Set(hits[0].map(\.number)))
  }

  @Test func `the README's example fails with a remedy where there is no index`() {
    let error = #expect(throws: RetortError.self) { try answerFromReadme() }
    #expect(error?.code == .missingInput)
    #expect(error?.message.contains("retort index build") == true)
  }
}
