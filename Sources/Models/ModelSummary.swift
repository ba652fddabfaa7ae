import CKernels
import Platform

/// What was understood of a model directory.
public struct ModelSummary: Sendable, Codable {
  /// Always `encoder`: other kinds have summaries of their own.
  public var kind = ModelKind.encoder
  /// The family.
  public var architecture: Architecture
  /// Layers applied.
  public var layers: Int
  /// The width of the hidden states and of the vectors.
  public var hiddenSize: Int
  /// Attention heads.
  public var attentionHeads: Int
  /// The width between the two feed-forward products.
  public var intermediateSize: Int
  /// The width of the word table; differs from `hiddenSize` in ALBERT.
  public var embeddingSize: Int
  /// Entries of the word table.
  public var vocabularySize: Int
  /// Entries of the position table.
  public var positions: Int
  /// The feed-forward activation.
  public var activation: String
  /// How token vectors become one, and why.
  public var pooling: Decision<Pooling>
  /// Whether vectors are scaled to length 1, and why.
  public var normalize: Decision<Bool>
  /// The longest sequence in tokens, and why.
  public var maxLength: Decision<Int>
  /// Numbers in the weights that are used.
  public var parameters: Int
  /// How the weights are held in memory, and why.
  public var precision: Decision<EncoderPrecision>
  /// The kernels that run on this CPU.
  public var kernels: String
  /// How the weights are stored in the files.
  public var storedPrecision: [String]
  /// The kind of tokenizer.
  public var tokenizer: String
  /// The identity of everything that decides what vectors come out.
  public var fingerprint: String
  /// Tensors of the files that the encoder does not use.
  public var ignoredTensors: [String]
  /// What else a user should know.
  public var notes: [String]
}

extension ModelSummary {
  /// The summary as lines of `name: value` for a terminal.
  public var description: String {
    var lines = [
      "kind:          \(kind.noun)",
      "architecture:  \(architecture.rawValue), \(counted(layers, "layer")), "
        + counted(attentionHeads, "head"),
      "sizes:         hidden \(hiddenSize), intermediate \(intermediateSize), vocabulary "
        + "\(vocabularySize), positions \(positions)"
        + (embeddingSize == hiddenSize ? "" : ", embedding \(embeddingSize)"),
      "activation:    \(activation)",
      "pooling:       \(pooling.value.rawValue) (\(pooling.reason))",
      "normalise:     \(normalize.value ? "yes" : "no") (\(normalize.reason))",
      "max length:    \(maxLength.value) tokens (\(maxLength.reason))",
      "parameters:    \(parameters)",
      "precision:     \(precision.value.rawValue) (\(precision.reason); stored as "
        + storedPrecision.joined(separator: ", ") + ")",
      "kernels:       \(kernels)",
      "tokenizer:     \(tokenizer)",
      "fingerprint:   \(fingerprint)",
    ]
    if !ignoredTensors.isEmpty {
      lines.append("ignored:       " + counted(ignoredTensors.count, "tensor"))
      lines += ignoredTensors.map { "  " + $0 }
    }
    lines += notes.map { "note: " + $0 }
    return lines.joined(separator: "\n")
  }
}

/// What the instruction sets in use are called.
enum KernelNames {
  /// Such as `avx2 (int8 by maddubs, bf16 held as f32)`.
  static var inUse: String {
    let level = retort_level_in_use()
    let name = String(cString: retort_level_name(level))
    let bf16 = retort_multiplies_bf16(level) ? "bf16 in hardware" : "bf16 held as f32"
    return "\(name) (int8 by \(String(cString: retort_int8_name(level))), \(bf16))"
  }
}
