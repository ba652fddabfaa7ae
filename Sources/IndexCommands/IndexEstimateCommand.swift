import ArgumentParser
import CommandSupport
import Retort

/// `retort index estimate`: what an index will take.
struct IndexEstimateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "estimate",
    abstract: "Predict the disk, memory and time an index will take.",
    discussion: """
      Vectors and tables follow from the format; links and texts are estimated from real collections. \
      Linking was timed on an AMD EPYC of the Zen 3 generation; the time of encoding is predicted \
      where --rate says how fast the encoder is (`retort index build` reports it). --lexical adds what \
      searches by words need, for texts of English; --terms the vectors of tokens that `retort index \
      add-terms` stores, for so many tokens a passage. While these are encoded they lie on the disk \
      in half precision, too; learning their centroids takes up to 512 MiB of memory, which are not \
      counted.

        retort index estimate --passages 8841823 --dim 384 --text-bytes 330 --rate 100
        retort index estimate --passages 8841823 --dim 384 --terms 75 --term-codec residual-2
      """)

  @Option(help: "How many passages.")
  var passages: Int

  @Option(name: [.customLong("dim"), .customLong("dimension")], help: "Components a vector.")
  var dimension: Int

  @Option(name: .customLong("m"), help: "Links a node makes on each layer.")
  var m = 16

  @Option(help: "Candidates kept while building.")
  var efConstruction = 200

  @Option(help: "UTF-8 bytes of a text in the mean; 0: there are no texts.")
  var textBytes = 400

  @Flag(help: "Count lexical data (`retort index build --lexical`).")
  var lexical = false

  @Option(help: "Tokens of a passage in the mean whose vectors are stored; 0: none are.")
  var terms = 0

  @Option(name: .customLong("term-dim"), help: "Components of a stored token's vector.")
  var termDimension = 128

  @Option(help: "How they are stored: f16, int8, residual-1, residual-2 or residual-4.")
  var termCodec = TermCodec.residual2

  @Option(help: "Passages encoded a second.")
  var rate: Double?

  @Option(help: "Threads that link.")
  var threads = 2

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    if let rate, !(rate > 0) { throw ValidationError("--rate must be above 0") }
    if !(0...65_536).contains(terms) { throw ValidationError("--terms must lie in 0...65536") }
    if !(1...65_536).contains(termDimension) {
      throw ValidationError("--term-dim must lie in 1...65536")
    }
    if threads < 1 { throw ValidationError("--threads must be at least 1") }
  }

  func run() throws {
    try runReportingErrors {
      let estimate = try IndexEstimate(
        passages: passages, dimension: dimension, m: m, efConstruction: efConstruction,
        textBytes: textBytes, lexical: lexical, terms: terms, termDimension: termDimension,
        termCodec: termCodec)
      if json { return try printJSON(estimate) }
      print(
        "disk:      \(megabytes(estimate.disk)): vectors \(megabytes(estimate.vectors)), graph and "
          + "codes \(megabytes(estimate.graph)), texts \(megabytes(estimate.texts))"
          + (lexical ? ", words \(megabytes(estimate.words))" : "")
          + (terms > 0 ? ", terms \(megabytes(estimate.terms))" : ""))
      print("           \(megabytes(estimate.diskWhileBuilding)) while it is built")
      print("memory:    building \(megabytes(estimate.memoryWhileBuilding)), without the encoder")
      print(
        "           searching about \(megabytes(estimate.searchMemory)), and "
          + "\(megabytes(estimate.searchMappings)) of mapped files")
      print(
        "time:      linking \(duration(estimate.graphSeconds / Double(threads))) on "
          + counted(threads, "thread"))
      if let rate { print("           encoding \(duration(Double(passages) / rate))") }
    }
  }

  /// A time for people: `45 s`, `12 min`, `3.4 h`.
  private func duration(_ seconds: Double) -> String {
    if seconds < 100 { return "\(decimals(seconds, seconds < 10 ? 1 : 0)) s" }
    return seconds < 6000
      ? "\(decimals(seconds / 60, 0)) min" : "\(decimals(seconds / 3600, 1)) h"
  }
}
