import ArgumentParser
import CommandSupport
import Retort

/// `retort model average`.
struct ModelAverageCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "average",
    abstract: "Average the weights of models of one shape.",
    discussion: """
      The mean of a fine-tuned model and the one it was trained from keeps most of what each knows. \
      Configuration and tokenizer are the first model's; the weights are written in f32.

        retort model average minilm minilm-medical --weights 0.4,0.6 --output student
      """)

  @Argument(
    help: "The models' folders, or names of ones fetched with `retort model pull`: two or more.",
    completion: .directory)
  var models: [String]

  @Option(
    help: "Each model's share, separated by commas; they add up to 1 (default: equal shares).")
  var weights: String?

  @Option(help: "The folder to write.", completion: .directory)
  var output: String

  @Flag(help: "Replace the output folder if it exists.")
  var overwrite = false

  private func shares() throws -> [Double] {
    guard let weights else { return models.map { _ in 1 / Double(models.count) } }
    let numbers = weights.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
    let shares = numbers.compactMap { $0 }
    guard shares.count == numbers.count, shares.count == models.count else {
      throw RetortError(
        .usage,
        "--weights \"\(weights)\" are not \(models.count) numbers separated by commas, one a model")
    }
    return shares
  }

  func run() throws {
    try runReportingErrors {
      let parts = try zip(models, try shares()).map {
        ModelAverage.Part(directory: try modelFolder($0), weight: $1)
      }
      try ModelAverage.write(parts, output: absolutePath(output), overwrite: overwrite)
    }
  }
}
