import ArgumentParser
import CommandSupport
import Foundation
import Retort

/// `retort index info`: what an index is.
struct IndexInfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Print what an index is and how it was made.")

  @Argument(help: "The index folder.", completion: .directory)
  var index: String

  @Flag(help: "Print the manifest as JSON.")
  var json = false

  func run() throws {
    try runReportingErrors {
      let manifest = try PassageIndex(path: index).manifest
      if json { return try printJSON(manifest) }
      print("passages:     \(manifest.passages)")
      let metric =
        switch manifest.metric {
        case .innerProduct: "inner product"
        case .cosine: "cosine"
        case .euclidean: "Euclidean distance"
        }
      print("dimension:    \(manifest.dimension), \(metric)")
      print("generation:   \(manifest.generation), format \(manifest.formatVersion)")
      if let model = manifest.model {
        print("model:        \(model.path)")
        print(
          "              \(model.architecture), \(model.pooling) pooling, "
            + "\(model.normalized ? "normalised" : "not normalised"), "
            + "up to \(model.maxLength) tokens, \(model.precision ?? "f32"), "
            + "\(model.fingerprint.prefix(16))")
      } else {
        print("model:        none, the vectors came from elsewhere")
      }
      print(
        "graphs:       M \(manifest.graph.m), efConstruction \(manifest.graph.efConstruction), "
          + "seed \(manifest.graph.seed)")
      if let lexical = manifest.lexical {
        print(
          "words:        stemmer \(lexical.stemmer.rawValue), stop words "
            + lexical.stopWords.rawValue)
      }
      for (number, terms) in (manifest.terms ?? []).enumerated() {
        let bytes = manifest.bytes(ofTerms: number)
        let stored = manifest.segments.reduce(0) { $0 + $1.passages }
        print("terms:        \(terms.name)")
        print(
          "              \(terms.codec.rawValue), dimension \(terms.dimension), computed in "
            + "\(terms.precision ?? "f32"), \(megabytes(bytes)), "
            + "\(decimals(Double(bytes) / Double(max(stored, 1)), 0)) bytes a passage, "
            + "\(terms.fingerprint.prefix(16))")
      }
      print(
        "size:         \(megabytes(manifest.bytes)) in \(counted(manifest.segments.count, "segment"))"
      )
      for segment in manifest.segments { show(segment) }
    }
  }

  private func show(_ segment: Manifest.Segment) {
    print("segment \(segment.name)")
    print("  passages:   \(segment.live), and \(segment.deleted) deleted")
    for source in segment.sources {
      print(
        "  corpus:     \(source.path)\(source.shard.map { " (\($0))" } ?? ""), "
          + "\(counted(source.truncatedTexts, "text")) truncated, \(source.emptyTexts) empty, "
          + "\(counted(source.skippedLines, "bad line")) skipped")
    }
    if !segment.fields.isEmpty {
      print("  fields:     \(segment.fields.joined(separator: ", "))")
    }
    let graph = segment.graph
    print(
      "  graph:      \(counted(graph.layers, "layer")), \(counted(graph.links, "link")) "
        + "(\(decimals(Double(graph.links) / Double(max(segment.passages, 1)), 1)) a passage)")
    print(
      "  reachable:  \(graph.reachable) of \(segment.passages) "
        + "(\(graph.linkedByPass) linked by the reachability pass)")
    for (_, file) in segment.files.ordered(by: { $0.key < $1.key }) {
      print("  \(file.name): \(megabytes(file.bytes))")
    }
  }
}

/// `retort index verify`: reads everything.
struct IndexVerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check every checksum, neighbour list, posting, id and text of an index.",
    discussion: "Prints one line and exits with 0 when the index is whole, else with 65.")

  @Argument(help: "The index folder.", completion: .directory)
  var index: String

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      let opened = try PassageIndex(path: index)
      try opened.verify()
      print("ok: \(counted(opened.count, "passage")), all checksums match, all reachable")
    }
  }
}
