import ArgumentParser
import Formats
import Foundation
import Models
import Platform
import Text

/// The tokenizer by itself: speed on one thread, and ids to compare with those of others.
struct TokenizeBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize",
    abstract: "Times the tokenizer on one thread; prints MB/s and the ids' checksum.")

  @Option(help: "The model's folder.")
  var model: String

  @Option(help: "Texts: a corpus in one of the formats of `retort index build`.")
  var corpus: String

  @Option(help: "Times that everything is tokenized; the fastest counts.")
  var rounds = 3

  @Option(help: "A file for the ids, one text a line.")
  var ids: String?

  func run() throws {
    let start = monotonicSeconds()
    let tokenizer = try Tokenizer(directory: model)
    let loaded = monotonicSeconds()
    _ = tokenizer.encode("naïve café", maxLength: 512)
    let first = monotonicSeconds() - loaded
    let reader = try CorpusReader(path: corpus)
    var texts: [String] = []
    while let passage = try reader.next() { texts.append(passage.text) }
    let bytes = texts.reduce(0) { $0 + $1.utf8.count }
    var best = Double.infinity
    var tokens = 0
    for _ in 0..<max(rounds, 1) {
      let start = monotonicSeconds()
      tokens = 0
      for text in texts { tokens += tokenizer.encode(text, maxLength: 1 << 20).ids.count }
      best = min(best, monotonicSeconds() - start)
    }
    if let ids {
      let lines = texts.map { text in
        tokenizer.encode(text, maxLength: 1 << 20).ids.map(String.init).joined(separator: " ")
      }
      try FileSystem.replace(ids, with: Array((lines.joined(separator: "\n") + "\n").utf8))
    }
    print("texts\t\(texts.count)")
    print("bytes\t\(bytes)")
    print("tokens\t\(tokens)")
    print("seconds\t\(best)")
    print("megabytesPerSecond\t\(Double(bytes) / best / 1e6)")
    print("loadMilliseconds\t\((loaded - start) * 1e3)")
    print("firstAccentMilliseconds\t\(first * 1e3)")
  }
}
