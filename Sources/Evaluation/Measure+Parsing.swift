import Platform

extension Measure {
  /// The measure of a name such as `RR@10`, `nDCG(dcg='exp-log2')@10` or `AP(rel=2)`.
  ///
  /// MRR, MAP, NDCG, Recall, Precision and RPrec are understood as RR, AP, nDCG, R, P and Rprec.
  /// A name that is none, and parameters the measure does not have, are errors.
  public init(_ name: String) throws(RetortError) {
    guard let family = Self.family(of: name) else {
      throw Self.error(
        name,
        "is not a measure; known are "
          + Family.allCases.map(\.rawValue).joined(separator: ", ")
          + ", with parameters as in RR@10 or AP(rel=2)@1000")
    }
    self.init(family)
    var rest = name.dropFirst(Self.word(of: name).count)
    if rest.first == "(" {
      guard let close = rest.firstIndex(of: ")") else {
        throw Self.error(name, "lacks the closing parenthesis")
      }
      for parameter in rest[rest.index(after: rest.startIndex)..<close].split(separator: ",") {
        try set(parameter, in: name)
      }
      rest = rest[rest.index(after: close)...]
    }
    if rest.first == "@" {
      guard let value = Self.positive(rest.dropFirst()) else {
        throw Self.error(name, "needs an integer from 1 after @")
      }
      cutoff = value
    } else if !rest.isEmpty {
      throw Self.error(name, "ends in \"\(rest)\"; a cutoff is written @10")
    }
    try checkCutoff(name)
  }

  /// Whether a word can only be meant as a measure: it starts with a family's name, and ends there
  /// or goes on with a parameter list or a cutoff.
  public static func looksLikeMeasure(_ word: String) -> Bool {
    guard family(of: word) != nil else { return false }
    let rest = word.dropFirst(self.word(of: word).count)
    return rest.isEmpty || rest.first == "@" || rest.first == "("
  }

  private mutating func set(_ parameter: Substring, in name: String) throws(RetortError) {
    let sides = parameter.split(separator: "=", maxSplits: 1).map {
      $0.filter { $0 != " " && $0 != "'" && $0 != "\"" }
    }
    switch (sides.first, sides.last) {
    case ("rel", let value?) where sides.count == 2 && takesRelevance:
      guard let grade = Self.positive(Substring(value)) else {
        throw Self.error(name, "needs an integer from 1 as rel")
      }
      relevance = grade
    case ("dcg", let value?) where sides.count == 2 && family == .nDCG:
      guard let gain = Gain(rawValue: value) else {
        throw Self.error(name, "knows dcg='log2' and dcg='exp-log2'")
      }
      self.gain = gain
    default:
      throw Self.error(
        name,
        "has no parameter \"\(parameter)\"; "
          + (family == .nDCG ? "nDCG takes dcg" : "most measures take rel"))
    }
  }

  private func checkCutoff(_ name: String) throws(RetortError) {
    switch family {
    case .recall, .precision, .success:
      if cutoff == nil { throw Self.error(name, "needs a cutoff, such as \(family.rawValue)@10") }
    case .rPrecision, .bpref, .retrievedCount, .relevantCount, .queryCount:
      if cutoff != nil { throw Self.error(name, "takes no cutoff") }
    case .reciprocalRank, .nDCG, .averagePrecision, .judged: break
    }
  }

  private static func word(of name: String) -> Substring {
    name.prefix { $0.isASCII && $0.isLetter }
  }

  private static func family(of name: String) -> Family? {
    let word = word(of: name)
    switch word {
    case "MRR": return .reciprocalRank
    case "MAP": return .averagePrecision
    case "NDCG": return .nDCG
    case "Recall": return .recall
    case "Precision": return .precision
    case "RPrec": return .rPrecision
    default: return Family(rawValue: String(word))
    }
  }

  private static func positive(_ digits: Substring) -> Int? {
    guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(decimal: digits),
      (1...Int(Int32.max)).contains(value)
    else { return nil }
    return value
  }

  private static func error(_ name: String, _ reason: String) -> RetortError {
    RetortError(.usage, "measure \"\(name)\" \(reason)")
  }
}
