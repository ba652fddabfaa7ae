import ArgumentParser
import Foundation
import Platform
import Retort

/// Search by words: the pruned search beside one that scores every posting, in turns.
struct LexicalBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lexical",
    abstract: "Times pruned and exhaustive search by words on one thread; prints a table.")

  @Argument(help: "An index with lexical data.")
  var index: String

  @Option(help: "The queries.")
  var topics: String

  @Option(help: "Queries at most.")
  var queries = 2000

  @Option(help: "Numbers of passages a query, separated by commas.")
  var hits = "10,100,1000"

  @Option(help: "Times that everything is searched; the fastest counts.")
  var rounds = 3

  func run() throws {
    let opened = try PassageIndex(path: index)
    try opened.warm()
    let texts = try readQueries(path: topics).prefix(queries).map(\.text)
    print("passages\t\(opened.count)\nqueries\t\(texts.count)")
    print("k\tpruned/s\texhaustive/s\tp95 ms\tsame")
    for k in hits.split(separator: ",").compactMap({ Int($0) }) {
      var pruned = Double.infinity
      var exhaustive = Double.infinity
      var isSame = true
      for _ in 0..<max(rounds, 1) {
        let start = monotonicSeconds()
        let one = try opened.searchWords(texts, k: k)
        let middle = monotonicSeconds()
        let other = try opened.searchWords(texts, k: k, isExhaustive: true)
        pruned = min(pruned, middle - start)
        exhaustive = min(exhaustive, monotonicSeconds() - middle)
        isSame = isSame && one == other
      }
      var latencies: [Double] = []
      for text in texts {
        let start = monotonicSeconds()
        _ = try opened.searchWords([text], k: k)
        latencies.append(monotonicSeconds() - start)
      }
      latencies.sort()
      let count = Double(texts.count)
      let p95 = latencies.isEmpty ? 0 : latencies[latencies.count * 95 / 100] * 1000
      print(
        "\(k)\t\(Int(count / pruned))\t\(Int(count / exhaustive))\t"
          + "\((p95 * 1000).rounded() / 1000)\t\(isSame ? "yes" : "NO")")
    }
  }
}
