import ArgumentParser
import Formats
import Foundation
import Models
import Platform

/// Encoding of token ids, or with --cross-encoder scores of pairs, on request: one side of the
/// comparisons that `tools/bench encode` and `tools/bench cross-encoder` make.
///
/// Reads requests on standard input, words separated by tabs, and answers each with a line:
///
///     load NAME FILE BATCH     sequences of ids, one a line; BATCH are encoded by one call
///     time NAME                seconds to encode all of them once
///     latency NAME COUNT       milliseconds of COUNT encodings of the first batch
///     vectors NAME FILE        writes the vectors, or scores, as .npy
///     end                      peak resident bytes of the process; ends it
///
/// A pair is one sequence: what stands behind the first [SEP], its last id, is the passage.
struct EncodeBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "encode", abstract: "Times the encoder on request; driven by tools/bench encode.")

  @Option(help: "The model's folder.")
  var model: String

  @Option(help: "Number format of the weights.")
  var precision = EncoderPrecision.f32

  @Option(help: "Threads.")
  var threads = 1

  @Flag(help: "The model is a cross-encoder, and sequences are pairs.")
  var crossEncoder = false

  private struct Work {
    var batches: [[[Int32]]]
  }

  func run() throws {
    let encoder = try Encoder(model, precision, isCrossEncoder: crossEncoder, threads: threads)
    var works: [String: Work] = [:]
    answer("ready")
    while let line = readLine() {
      let words = line.split(separator: "\t").map(String.init)
      switch (words.first, words.count) {
      case ("load", 4):
        works[words[1]] = try load(words[2], batch: Int(words[3]) ?? 1)
        answer("loaded")
      case ("time", 2):
        let start = monotonicSeconds()
        for batch in try loaded(words[1], works).batches {
          _ = try encoder.encode(batch)
        }
        answer("\(monotonicSeconds() - start)")
      case ("latency", 3):
        let batch = try loaded(words[1], works).batches[0]
        let times = try (0..<(Int(words[2]) ?? 1)).map { _ in
          let start = monotonicSeconds()
          _ = try encoder.encode(batch)
          return "\((monotonicSeconds() - start) * 1e3)"
        }
        answer(times.joined(separator: " "))
      case ("vectors", 3):
        let writer = try VectorTableWriter(
          path: words[2], format: .npy, dimension: encoder.dimension)
        for batch in try loaded(words[1], works).batches {
          let vectors = try encoder.encode(batch)
          try writer.append(bytes: vectors.withUnsafeBytes { Array($0) })
        }
        try writer.finish()
        answer("written")
      case ("end", 1):
        answer("\(peakResidentBytes() ?? 0)")
        return
      default: throw RetortError(.usage, "there is no request \"\(line)\"")
      }
    }
  }

  private func load(_ path: String, batch: Int) throws -> Work {
    let sequences = try readSequences(path)
    return Work(
      batches: stride(from: 0, to: sequences.count, by: batch).map {
        Array(sequences[$0..<min($0 + batch, sequences.count)])
      })
  }
}

/// What turns sequences of ids into rows of numbers.
private struct Encoder {
  var dimension: Int
  var encode: ([[Int32]]) throws -> [Float]

  init(
    _ model: String, _ precision: EncoderPrecision, isCrossEncoder: Bool, threads: Int
  ) throws {
    if isCrossEncoder {
      let encoder = try CrossEncoder(directory: model, precision: precision)
      dimension = 1
      encode = { sequences in
        let pairs = sequences.map { ids in
          let query = (ids.firstIndex { $0 == ids.last } ?? 0) + 1
          return TokenizedPair(ids: ids, types: ids.indices.map { $0 < query ? 0 : 1 })
        }
        return try encoder.score(pairs, threads: threads)
      }
    } else {
      var options = EncoderOptions()
      options.precision = precision
      let encoder = try TextEncoder(directory: model, options: options)
      dimension = encoder.dimension
      encode = { try encoder.encode($0, threads: threads) }
    }
  }
}

extension EncoderPrecision: ExpressibleByArgument {}
