import Foundation
import Platform

/// A value of a training's configuration, as JSON has it.
package enum ConfigurationValue: Codable, Sendable, Equatable {
  case unset
  case flag(Bool)
  /// A number in the form that options take.
  case number(String)
  case text(String)
  /// An array or an object, which no option takes.
  case structure

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .unset
    } else if let value = try? container.decode(Bool.self) {
      self = .flag(value)
    } else if let value = try? container.decode(Int64.self) {
      self = .number("\(value)")
    } else if let value = try? container.decode(UInt64.self) {
      self = .number("\(value)")
    } else if let value = try? container.decode(Double.self) {
      self = .number("\(value)")
    } else if let value = try? container.decode(String.self) {
      self = .text(value)
    } else {
      self = .structure
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .unset, .structure: try container.encodeNil()
    case .flag(let value): try container.encode(value)
    case .text(let value): try container.encode(value)
    case .number(let digits):
      if let value = Int64(digits) {
        try container.encode(value)
      } else if let value = UInt64(digits) {
        try container.encode(value)
      } else {
        try container.encode(Double(digits))
      }
    }
  }
}

/// The options of a training as a JSON object: the names of the command's flags, without dashes.
package enum TrainingConfiguration {
  /// The file's name, in the checkpoints' folder.
  static let file = "config.json"

  /// Everything that `options` say, but for what belongs to one call alone (`--resume`).
  package static func values(_ options: TrainingOptions) -> [String: ConfigurationValue] {
    func text(_ value: String?) -> ConfigurationValue { value.map { .text($0) } ?? .unset }
    func number(_ value: (some Numeric & LosslessStringConvertible)?) -> ConfigurationValue {
      value.map { .number("\($0)") } ?? .unset
    }
    let validation = options.validation
    return [
      "model": text(options.model.rawValue),
      "init": text(options.initial.isEmpty ? nil : options.initial),
      "output": text(options.output), "triples": text(options.triples),
      "teacher-scores": text(options.teacherScores), "collection": text(options.collection),
      "queries": text(options.queries), "max-unknown": number(options.maxUnknown),
      "skip-bad-lines": .flag(options.skipBadLines), "pooling": text(options.pooling?.rawValue),
      "normalize": .flag(options.normalize),
      "query-length": number(options.queryLength),
      "passage-length": number(options.passageLength), "dropout": number(options.dropout),
      "variant": text(options.variant?.rawValue), "dimension": number(options.dimension),
      "query-masks": text(options.queryMasks.map { "\($0)" }),
      "split-layer": number(options.splitLayer), "compression": number(options.compression),
      "embeddings": text(options.embeddings), "vocabulary-size": number(options.vocabularySize),
      "vocabulary-corpus": text(options.vocabularyCorpus),
      "loss": text(options.loss.rawValue), "temperature": number(options.temperature),
      "in-batch-teacher": text(options.inBatchTeacher),
      "in-batch-weight": number(options.inBatchWeight),
      "batch-size": number(options.batchSize), "micro-batch": number(options.microBatch),
      "epochs": number(options.epochs), "steps": number(options.steps),
      "precision": text(options.precision.rawValue),
    ].merging(learning(options)) { $1 }.merging([
      "validation-qrels": text(validation.qrels), "validation-topics": text(validation.topics),
      "validation-candidates": text(validation.candidates),
      "validation-corpus": text(validation.corpus),
      "validation-sample": number(validation.sample),
      "validation-baseline": text(validation.baseline),
      "validation-queries": number(validation.queries), "validation-bins": number(validation.bins),
      "validation-depth": number(validation.depth), "validate-every": number(validation.every),
      "patience": number(validation.patience),
      "validation-measure": text(validation.target.rawValue),
      "checkpoint-every": number(options.checkpointEvery), "threads": number(options.threads),
    ]) { $1 }
  }

  private static func learning(_ options: TrainingOptions) -> [String: ConfigurationValue] {
    func number(_ value: (some Numeric & LosslessStringConvertible)?) -> ConfigurationValue {
      value.map { .number("\($0)") } ?? .unset
    }
    return [
      "learning-rate": number(options.learningRate),
      "embedding-rate": number(options.embeddingRate), "head-rate": number(options.headRate),
      "schedule": .text(options.schedule.rawValue), "warmup": number(options.warmup),
      "optimizer": .text(options.optimizer.rawValue), "weight-decay": number(options.weightDecay),
      "beta1": number(options.beta1), "beta2": number(options.beta2),
      "epsilon": number(options.epsilon), "clip-norm": number(options.clipNorm),
      "seed": number(options.seed), "topic-clusters": number(options.topicClusters),
      "margin-bins": number(options.marginBins),
    ]
  }

  /// Flags of one call.
  private static let flags = [
    "skip-bad-lines", "normalize", "resume", "overwrite", "quiet", "json",
  ]

  /// The names that a file may hold.
  package static var names: Set<String> {
    let all = values(TrainingOptions(model: .bertDot, initial: "", output: "")).keys
    return Set(all).union(flags)
  }

  /// The command line that a configuration file stands for.
  ///
  /// An unknown name, and a value that no option takes, are errors that name it.
  package static func arguments(ofFile path: String) throws(RetortError) -> [String] {
    let bytes = try FileSystem.read(path, limit: 1 << 20)
    let values: [String: ConfigurationValue]
    do {
      values = try JSONDecoder().decode([String: ConfigurationValue].self, from: Data(bytes))
    } catch {
      throw RetortError(
        .badData, "is no JSON object of options' names and their values; correct it", path: path,
        cause: (error as? DecodingError).flatMap(Self.reason))
    }
    let known = names
    var arguments: [String] = []
    for (name, value) in values.ordered(by: { $0.key < $1.key }) {
      guard known.contains(name) else {
        let nearest = known.min {
          let (one, other) = (distance($0, name), distance($1, name))
          return one != other ? one < other : $0 < $1
        }
        throw RetortError(
          .badData,
          "has the unknown key \"\(name)\"; did you mean \"\(nearest ?? "")\"? The keys are the "
            + "names of the flags (retort train --help) without dashes", path: path)
      }
      let isFlag = flags.contains(name)
      switch value {
      case .unset: break
      case .flag(let isOn) where isFlag: if isOn { arguments.append("--" + name) }
      case .number(let text) where !isFlag, .text(let text) where !isFlag:
        arguments.append("--\(name)=\(text)")
      default:
        throw RetortError(
          .badData,
          "gives \"\(name)\" a value that it cannot take; it is "
            + (isFlag ? "true or false" : "a number or a text"), path: path)
      }
    }
    return arguments
  }

  private static func reason(_ error: DecodingError) -> (any Error)? {
    guard case .dataCorrupted(let context) = error else { return nil }
    return context.underlyingError
  }

  /// How many letters must be put in, left out or changed.
  private static func distance(_ one: String, _ other: String) -> Int {
    let (one, other) = (Array(one.utf8), Array(other.utf8.prefix(64)))
    var row = Array(0...other.count)
    for (i, a) in one.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, b) in other.enumerated() {
        let change = diagonal + (a == b ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(change, row[j] + 1, diagonal + 1)
      }
    }
    return row[other.count]
  }
}
