import Foundation
import Retort
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

@Suite struct ReadmeTests {
  @Test func `the README shows the example that is compiled here`() throws {
    let source = try String(contentsOfFile: #filePath, encoding: .utf8)
    let parts = source.components(separatedBy: "  // README example")
    let example = try #require(parts.count > 2 ? parts[1] : nil)
      .split(separator: "\n").map { $0.hasPrefix("  ") ? $0.dropFirst(2) : $0 }
      .joined(separator: "\n")
    let readme = try String(
      contentsOfFile: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../README.md").path, encoding: .utf8)
    #expect(readme.contains(example))
  }

  @Test func `the README's example fails with a remedy where there is no index`() {
    let error = #expect(throws: RetortError.self) { try answerFromReadme() }
    #expect(error?.code == .missingInput)
    #expect(error?.message.contains("retort index build") == true)
  }
}
