import ArgumentParser
import CommandSupport
import Foundation
import Retort

/// `retort model info`: prints what was understood of a model directory.
struct ModelInfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Print what is understood of a model directory, and why.",
    discussion: """
      Loads the model as every other command does, so that what it prints is what they use, and an \
      error here is the error they would give. The directory is one of Hugging Face or \
      sentence-transformers: config.json, model.safetensors and the tokenizer's files; or a re-ranker \
      (cross-encoder, ColBERT, PreTTR or TK), of which --max-length, --precision and --json are the \
      options. The first line says which it is.
      """)

  @Argument(
    help: "The model's directory, or the name of one fetched with `retort model pull`.",
    completion: .directory)
  var directory: String

  @Option(help: "How token vectors become one: cls or mean (default: what the files say).")
  var pooling: Pooling?

  @Flag(inversion: .prefixedNo, help: "Scale vectors to length 1 (default: what the files say).")
  var normalize: Bool?

  @Option(help: "The longest sequence in tokens (default: what the files say).")
  var maxLength: Int?

  @Option(help: "Number format of the weights: f32, bf16, int8 or auto (see `retort index build`).")
  var precision = EncoderPrecision.auto

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    try runReportingErrors {
      let folder = try modelFolder(directory)
      let kind = try ModelKind(directory: folder)
      guard kind == .encoder || pooling == nil && normalize == nil else {
        throw RetortError(
          .usage, "is no text encoder: --pooling and --normalize say nothing about it", path: folder
        )
      }
      guard kind != .tk || precision == .auto || precision == .f32 else {
        throw RetortError(.usage, "computes in f32 only; leave --precision out", path: folder)
      }
      switch kind {
      case .encoder: try showEncoder(folder)
      case .crossEncoder:
        try show(
          try CrossEncoder(directory: folder, maxLength: maxLength, precision: precision).summary)
      case .prettr:
        try show(try PreTTR(directory: folder, maxLength: maxLength, precision: precision).summary)
      case .colbert:
        var options = ColBERTOptions()
        options.passageLength = maxLength
        options.precision = precision
        try show(try ColBERT(directory: folder, options: options).summary)
      case .tk:
        let summary = try TK(directory: folder, maxLength: maxLength).summary
        try show(summary, summary.description)
      }
    }
  }

  private func showEncoder(_ folder: String) throws {
    var options = EncoderOptions()
    options.pooling = pooling
    options.normalize = normalize
    options.maxLength = maxLength
    options.precision = precision
    let summary = try TextEncoder(directory: folder, options: options).summary
    try show(summary, summary.description)
  }

  private func show(_ summary: RankerSummary) throws { try show(summary, summary.description) }

  private func show(_ summary: some Encodable, _ description: String) throws {
    guard json else { return print(description) }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(summary), as: UTF8.self))
  }
}
