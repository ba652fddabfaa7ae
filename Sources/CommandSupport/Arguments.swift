import ArgumentParser
import Foundation
import Hub
import Retort

/// Which encoder to use and how.
package struct EncoderArguments: ParsableArguments {
  @Option(
    help: """
      The model: a folder, or the name of one fetched with `retort model pull` (default: the encoder \
      that comes with the program).
      """)
  package var model: String?

  @Option(help: "How token vectors become one: cls or mean (default: what the model says).")
  package var pooling: Pooling?

  @Flag(inversion: .prefixedNo, help: "Scale vectors to length 1 (default: what the model says).")
  package var normalize: Bool?

  @Option(help: "Tokens of a text at most, special ones included (default: what the model says).")
  package var maxLength: Int?

  @Option(
    help: """
      Number format of the weights: f32, bf16, int8, or auto, the fastest whose vectors keep a \
      cosine of 0.995 to those of f32 on built-in texts.
      """)
  package var precision = EncoderPrecision.auto

  package init() {}

  package func options() -> EncoderOptions {
    var options = EncoderOptions()
    options.precision = precision
    options.pooling = pooling
    options.normalize = normalize
    options.maxLength = maxLength
    return options
  }

  /// The model's folder.
  package func folder() throws -> String { try modelFolder(name) }

  /// How an index names the model.
  package func recordedName() throws -> String { try recordedModel(name) }

  private var name: String { model ?? DefaultEncoder.name }
}

/// How many threads work.
package struct ThreadArguments: ParsableArguments {
  @Option(help: "Threads (default: all processors). Results do not depend on it.")
  package var threads = availableProcessors()

  package init() {}

  package func validate() throws {
    guard (1...4096).contains(threads) else {
      throw ValidationError("--threads must lie in 1...4096")
    }
  }
}

/// The folder that a `--model` value stands for: itself, or that of a fetched model or the default.
package func modelFolder(_ name: String) throws -> String {
  if name == DefaultEncoder.name { return try DefaultEncoder.folder() }
  if FileSystem.kind(of: name) == .folder { return name }
  if let cached = HubClient.cached(name) { return cached }
  throw RetortError(
    .missingInput,
    "there is no such model folder, and no model of this name was fetched; check the path, or run "
      + "`retort model pull \(name)`", path: name)
}

/// How an index names the model that a `--model` value stands for: the default by its name, any other
/// by its folder.
package func recordedModel(_ name: String) throws -> String {
  name == DefaultEncoder.name ? name : absolutePath(try modelFolder(name))
}

/// `path` from the root of the file system.
package func absolutePath(_ path: String) -> String {
  URL(fileURLWithPath: path).standardizedFileURL.path
}

/// A value as indented JSON with sorted keys, on standard output.
package func printJSON(_ value: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  print(String(decoding: try encoder.encode(value), as: UTF8.self))
}

/// A size for people: `12.3 MB` (10^6 bytes).
package func megabytes(_ bytes: Int) -> String { decimals(Double(bytes) / 1e6, 1) + " MB" }

/// A number with exactly `places` decimals.
package func decimals(_ value: Double, _ places: Int) -> String {
  String(format: "%.\(places)f", value)
}

/// A count with a comma between thousands: `1,000`.
package func grouped(_ count: Int) -> String {
  var digits = Array(String(count.magnitude))
  for place in stride(from: digits.count - 3, to: 0, by: -3) { digits.insert(",", at: place) }
  return (count < 0 ? "-" : "") + String(digits)
}

/// Each stage's share of the work.
package func stageShares(_ stages: BuildStageSeconds, withGraph: Bool = true) -> String {
  let graph = withGraph ? [("graph", stages.graph)] : []
  let parts =
    [("read", stages.read), ("tokenize", stages.tokenize), ("encode", stages.encode)] + graph
    + [("write", stages.write)]
  return parts.map { "\($0.0) \(decimals(100 * $0.1 / max(stages.total, 1e-9), 1))%" }
    .joined(separator: ", ")
}

extension EncoderPrecision: ExpressibleByArgument {}
extension Pooling: ExpressibleByArgument {}
extension TextFormat: ExpressibleByArgument {}
extension RunFormat: ExpressibleByArgument {}
extension Metric: ExpressibleByArgument {}
