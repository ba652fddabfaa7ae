import ArgumentParser
import CommandSupport
import Retort

/// `retort model quantize`.
struct ModelQuantizeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quantize",
    abstract: "Write a smaller copy of a model.",
    discussion: """
      int8 (the default) makes a quarter of the size that is mapped and used as it lies: a process \
      answers its first query at once. Only Retort reads it. f16 makes half the size, under the \
      usual names, for every program that reads safetensors. Both print the lowest cosine between \
      vectors of the original in f32 and of the copy on built-in texts, and of a cross-encoder, ColBERT \
      or PreTTR, whose heads are kept as they are, the correlation of their scores within built-in \
      questions.
      """)

  @Argument(
    help: "The model's folder, or the name of one fetched with `retort model pull`.",
    completion: .directory)
  var model: String

  @Option(help: "The folder to write.", completion: .directory)
  var output: String

  @Option(help: "int8 or f16.")
  var precision = ModelQuantizer.Format.int8

  @Flag(help: "Replace the output folder if it exists.")
  var overwrite = false

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    try runReportingErrors {
      let report = try ModelQuantizer.quantize(
        directory: try modelFolder(model), output: absolutePath(output), format: precision,
        overwrite: overwrite)
      if json { return try printJSON(report) }
      print("weights:       \(megabytes(report.bytesBefore)) -> \(megabytes(report.bytesAfter))")
      print("least cosine:  \(decimals(report.leastCosine, 5))")
      if let correlation = report.scoreCorrelation {
        print("correlation:   \(decimals(correlation, 5)) of scores")
      }
    }
  }
}

extension ModelQuantizer.Format: ExpressibleByArgument {}
