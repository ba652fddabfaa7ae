import Platform

/// An effectiveness measure with its parameters, named as ir_measures names it: `RR@10`,
/// `nDCG@10`, `AP(rel=2)@1000`, `nDCG(dcg='exp-log2')@10`.
public struct Measure: Sendable, Hashable, CustomStringConvertible {
  /// The families of measures.
  public enum Family: String, Sendable, CaseIterable {
    /// Reciprocal rank of the first relevant document.
    case reciprocalRank = "RR"
    /// Normalised discounted cumulative gain.
    case nDCG
    /// Average precision.
    case averagePrecision = "AP"
    /// Recall: the share of the relevant documents that was found.
    case recall = "R"
    /// Precision: the share of the first k documents that is relevant.
    case precision = "P"
    /// Whether a relevant document was found at all.
    case success = "Success"
    /// The share of the first k documents that was judged.
    case judged = "Judged"
    /// Precision at the number of relevant documents.
    case rPrecision = "Rprec"
    /// Preference of judged relevant over judged non-relevant documents.
    case bpref = "Bpref"
    /// The number of documents retrieved; with `rel`, of relevant ones. Summed over queries.
    case retrievedCount = "NumRet"
    /// The number of relevant documents there are. Summed over queries.
    case relevantCount = "NumRel"
    /// The number of queries.
    case queryCount = "NumQ"
  }

  /// How nDCG turns a grade into a gain.
  public enum Gain: String, Sendable {
    /// The grade itself, as trec_eval has it.
    case linear = "log2"
    /// 2^grade − 1.
    case exponential = "exp-log2"
  }

  /// What is measured.
  public var family: Family
  /// How many documents from the top count; nil for all.
  public var cutoff: Int?
  /// The lowest grade that counts as relevant; nil for the default, 1.
  public var relevance: Int?
  /// The gain of nDCG; ignored by all others.
  public var gain: Gain

  /// Makes a measure.
  public init(
    _ family: Family, cutoff: Int? = nil, relevance: Int? = nil, gain: Gain = .linear
  ) {
    self.family = family
    self.cutoff = cutoff
    self.relevance = relevance
    self.gain = gain
  }

  /// The measures of a report when none are named.
  public static let defaults = [
    Measure(.reciprocalRank, cutoff: 10), Measure(.nDCG, cutoff: 10), Measure(.averagePrecision),
    Measure(.recall, cutoff: 1000),
  ]

  /// The name, in ir_measures' spelling.
  public var description: String {
    var parameters: [String] = []
    if let relevance { parameters.append("rel=\(relevance)") }
    if gain != .linear { parameters.append("dcg='\(gain.rawValue)'") }
    return family.rawValue
      + (parameters.isEmpty ? "" : "(" + parameters.joined(separator: ",") + ")")
      + (cutoff.map { "@\($0)" } ?? "")
  }

  /// Whether a grade is a parameter of the measure.
  var takesRelevance: Bool {
    switch family {
    case .nDCG, .judged, .queryCount: false
    default: true
    }
  }

  /// Whether the summary over queries is the sum, not the mean.
  public var isSum: Bool {
    [.retrievedCount, .relevantCount, .queryCount].contains(family)
  }
}
