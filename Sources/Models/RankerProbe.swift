import Platform
import Tensors

/// What tells whether a precision keeps a re-ranker's scores.
///
/// Only the differences between the passages of one question put them in order, so those are compared:
/// scores less the mean of their question's. Their cosine to those of f32 is the correlation within
/// questions, which no scale of the head changes: an error of a share e of the spread of a question's
/// scores leaves about 1 - e²/2.
enum RankerProbe {
  /// The lowest correlation that is good enough: errors of about a twentieth of the scores' spread. An
  /// encoder's vectors may err more, for a re-ranker has the last word.
  static let leastCorrelation = 0.999

  /// Questions that each have an answer among the passages, something near it, and others.
  static let questions = [
    "what do mitochondria do in a cell", "how long should bread dough be kneaded",
    "who was the first to walk on the moon",
  ]

  static let passages = [
    "The mitochondrion is an organelle found in the cells of most eukaryotes; it makes most of the "
      + "chemical energy that the cell needs.",
    "Mix 250 g of flour with 5 g of salt, add lukewarm water and knead the dough for ten minutes.",
    "On 20 July 1969 two people walked on the Moon for the first time: Armstrong, then Aldrin.",
    "Bread is older than writing; flat loaves of barley were baked on hot stones.",
  ]

  /// A re-ranker's network in the precision asked for, or in the one that `auto` finds.
  ///
  /// - Parameters:
  ///   - asked: nil is single precision, or what a quantised copy holds.
  ///   - stored: what term vectors of this model were computed in, where an index stores some: `auto`
  ///     is that, so that questions are read as passages were, and nothing is probed.
  ///   - scores: of passages for a question, in order; nil where there is no tokenizer.
  static func decide<Network>(
    _ asked: EncoderPrecision?, stored: EncoderPrecision? = nil, isCoded: Bool, directory: String,
    packed: (Precision) -> Network,
    scores: ((Network, String, [String]) throws(RetortError) -> [Float])?
  ) throws(RetortError) -> (Network, Decision<EncoderPrecision>) {
    guard let asked else {
      let reason = isCoded ? "as stored" : "nothing else was asked for"
      return (packed(.float32), Decision(value: isCoded ? .int8 : .f32, reason: reason))
    }
    if asked == .auto, !isCoded, let format = stored?.fixed, let stored {
      return (packed(format), Decision(value: stored, reason: "auto: as the stored term vectors"))
    }
    var probe: PrecisionChoice.Probe<Network>?
    if let scores {
      func outputs(_ network: Network) throws(RetortError) -> [Float] {
        try all { question, passages throws(RetortError) in
          try scores(network, question, passages)
        }
      }
      probe = PrecisionChoice.Probe(
        measure: "correlation of scores with f32 of", least: leastCorrelation, outputs: outputs,
        likeness: correlation)
    }
    return try PrecisionChoice.decide(
      asked, isCoded: isCoded, directory: directory, probe: probe, packed: packed)
  }

  /// The scores that the model of a folder gives, [questions × passages]; nil of other kinds than
  /// cross-encoders, ColBERTs and PreTTRs.
  static func scores(
    _ kind: ModelKind, _ directory: String, _ precision: EncoderPrecision
  ) throws(RetortError) -> [Float]? {
    switch kind {
    case .encoder, .tk: return nil
    case .crossEncoder:
      let model = try CrossEncoder(directory: directory, precision: precision)
      return try all { question, passages throws(RetortError) in
        try model.score(query: question, passages: passages, threads: 1)
      }
    case .colbert:
      var options = ColBERTOptions()
      options.precision = precision
      let model = try ColBERT(directory: directory, options: options)
      return try all { question, passages throws(RetortError) in
        try model.score(query: question, passages: passages, threads: 1).scores
      }
    case .prettr:
      let model = try PreTTR(directory: directory, precision: precision)
      return try all { question, passages throws(RetortError) in
        try model.score(query: question, passages: passages, threads: 1).scores
      }
    }
  }

  /// The scores of all passages for all questions, [questions × passages].
  static func all(
    _ scores: (String, [String]) throws(RetortError) -> [Float]
  ) throws(RetortError) -> [Float] {
    var all: [Float] = []
    for question in questions { all += try scores(question, passages) }
    return all
  }

  /// The correlation of scores within questions, each [questions × passages].
  static func correlation(_ expected: [Float], _ found: [Float]) -> Double {
    PrecisionChoice.leastCosine(centred(expected), centred(found), width: expected.count)
  }

  private static func centred(_ scores: [Float]) -> [Float] {
    var centred = scores
    for start in stride(from: 0, to: scores.count, by: passages.count) {
      let range = start..<min(start + passages.count, scores.count)
      let mean = scores[range].reduce(0.0) { $0 + Double($1) } / Double(range.count)
      for index in range { centred[index] = Float(Double(scores[index]) - mean) }
    }
    return centred
  }
}
