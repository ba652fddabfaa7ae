import CKernels
import Platform
import Tensors

extension Transformer {
  /// The same network with the products of its layers packed in `precision`.
  ///
  /// Embeddings, normalisations and ALBERT's projection stay in single precision: they take no time
  /// worth saving.
  package func packed(
    _ precision: Precision, level: retort_level = retort_level_in_use()
  ) -> Transformer {
    var result = self
    result.embeddingProjection = embeddingProjection?.packed(.float32, level: level)
    // ALBERT's layers are one layer: it is packed once.
    let distinct = configuration.architecture == .albert ? layers.prefix(1) : layers[...]
    let packed = distinct.map { $0.packed(precision, level: level) }
    result.layers = layers.indices.map { packed[min($0, packed.count - 1)] }
    return result
  }
}

extension TransformerLayer {
  /// The same layer with its products packed.
  func packed(_ precision: Precision, level: retort_level) -> TransformerLayer {
    var result = self
    result.attention = attention.packed(precision, level: level)
    result.attentionOutput = attentionOutput.packed(precision, level: level)
    result.inner = inner.packed(precision, level: level)
    result.output = output.packed(precision, level: level)
    return result
  }
}

extension EncoderPrecision {
  /// What is packed; nil for `auto`.
  var fixed: Precision? {
    switch self {
    case .f32: .float32
    case .bf16: .bfloat16
    case .int8: .int8
    case .auto: nil
    }
  }

  init?(_ format: Precision) { self.init(rawValue: format.rawValue) }
}

/// The choice that `auto` stands for.
enum PrecisionChoice {
  /// The lowest cosine between vectors of a precision and those of f32 that is good enough.
  static let leastCosine = 0.995

  /// Formats faster than f32 on this CPU, fastest first.
  static var candidates: [Precision] {
    let level = retort_level_in_use()
    guard level != RETORT_LEVEL_SCALAR else { return [] }
    var formats: [Precision] = []
    if int8Kernel != "scalar" { formats.append(.int8) }
    if retort_has_bf16(level) { formats.append(.bfloat16) }
    return formats
  }

  /// The instructions that int8 products run on.
  static var int8Kernel: String { String(cString: retort_int8_name(retort_level_in_use())) }

  /// How well a precision keeps what a network makes of built-in texts.
  struct Probe<Network> {
    /// What is compared, in words that a number follows.
    var measure: String
    /// The lowest likeness that is good enough.
    var least: Double
    /// What a network makes of the texts.
    var outputs: (Network) throws(RetortError) -> [Float]
    /// How alike the outputs of f32 and those of another precision are: 1 where they are the same.
    var likeness: (_ expected: [Float], _ found: [Float]) -> Double
  }

  /// A network in the precision asked for, or in the one that `auto` finds by `probe`, which is f32
  /// without one.
  ///
  /// - Parameters:
  ///   - isCoded: whether the layers are stored as eight-bit codes, which stay what they are.
  ///   - directory: the model's, for errors.
  /// - Throws: `.usage` where codes are asked to be another precision, and what the probe throws.
  static func decide<Network>(
    _ asked: EncoderPrecision, isCoded: Bool, directory: String, probe: Probe<Network>?,
    packed: (Precision) -> Network
  ) throws(RetortError) -> (Network, Decision<EncoderPrecision>) {
    if isCoded {
      guard asked == .int8 || asked == .auto else {
        throw RetortError(
          .usage,
          "holds int8 weights only; ask for int8, or use the model it was made from for "
            + "\(asked.rawValue)", path: directory)
      }
      return (packed(.float32), Decision(value: .int8, reason: "as stored"))
    }
    if let fixed = asked.fixed {
      return (packed(fixed), Decision(value: asked, reason: "as asked"))
    }
    let reference = packed(.float32)
    var reasons: [String] = []
    if let probe, !candidates.isEmpty {
      let expected = try probe.outputs(reference)
      for format in candidates {
        let network = packed(format)
        let likeness = probe.likeness(expected, try probe.outputs(network))
        let measured = "\(probe.measure) \(rounded(likeness)) on the probe"
        if likeness >= probe.least, let value = EncoderPrecision(format) {
          let reason = "auto: " + ([measured] + reasons).joined(separator: "; ")
          return (network, Decision(value: value, reason: reason))
        }
        reasons.append("\(format.rawValue) has only a \(measured)")
      }
    }
    let reason =
      reasons.isEmpty ? "no other is faster on this CPU" : reasons.joined(separator: "; ")
    return (reference, Decision(value: .f32, reason: "auto: \(reason)"))
  }

  private static func rounded(_ likeness: Double) -> String {
    // Downwards, so that what is printed is not better than what was found.
    let tenThousandths = Int((max(likeness, 0) * 10_000).rounded(.down))
    let digits = String(tenThousandths)
    return tenThousandths >= 10_000
      ? "1.0000" : "0." + String(repeating: "0", count: 4 - digits.count) + digits
  }

  /// The least cosine between corresponding rows, each `width` wide.
  static func leastCosine(_ a: [Float], _ b: [Float], width: Int) -> Double {
    var least = 1.0
    for start in stride(from: 0, to: a.count, by: width) {
      var (product, squaresA, squaresB) = (0.0, 0.0, 0.0)
      for index in start..<start + width {
        let (x, y) = (Double(a[index]), Double(b[index]))
        product += x * y
        squaresA += x * x
        squaresB += y * y
      }
      let length = (squaresA * squaresB).squareRoot()
      // A vector that is not a number compares with nothing, and is not good enough.
      let cosine = length > 0 ? product / length : (squaresA == squaresB ? 1 : 0)
      least = cosine < least || cosine.isNaN ? (cosine.isNaN ? -1 : cosine) : least
    }
    return least
  }
}

/// Texts that tell whether a precision keeps an encoder's vectors: several lengths, topics and
/// scripts, so that outliers of activations show.
let precisionProbe = [
  "What causes rain?",
  "how to renew a passport after it has expired",
  "The mitochondrion is an organelle found in the cells of most eukaryotes; it makes most of the "
    + "chemical energy that the cell needs, in the form of adenosine triphosphate.",
  "On 20 July 1969 two people walked on the Moon for the first time, while a third stayed in orbit.",
  "Mix 250 g of flour with 5 g of salt, add 160 ml of lukewarm water and knead for ten minutes.",
  "error: cannot open shared object file: No such file or directory (errno 2)",
  "The court held that the contract was void because consideration had not been given, and sent the "
    + "case back to the lower court to determine the damages, if any, that the plaintiff had "
    + "suffered before the agreement was terminated in writing by the other party.",
  "Die Würde des Menschen ist unantastbar. Sie zu achten und zu schützen ist Verpflichtung aller "
    + "staatlichen Gewalt.",
  "東京は日本の首都であり、世界最大級の都市の一つです。",
  "Interest rates rose by 0.25 percentage points, the third increase this year, as inflation stayed "
    + "above the target of 2 %.",
]
