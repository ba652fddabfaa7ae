import Models
import Platform

/// Options that only some architectures have.
extension TrainingOptions {
  /// Refuses options of another architecture than the one that is trained.
  func checkArchitecture() throws(RetortError) {
    let given: [(name: String, isGiven: Bool, models: [RankerKind])] = [
      ("--pooling", pooling != nil, [.bertDot]), ("--normalize", normalize, [.bertDot]),
      ("--variant", variant != nil, [.colbert]), ("--query-masks", queryMasks != nil, [.colbert]),
      ("--dimension", dimension != nil, [.colbert, .tk]),
      ("--embeddings", embeddings != nil, [.tk]),
      ("--split-layer", splitLayer != nil, [.prettr]),
      ("--compression", compression != nil, [.prettr]),
      ("--vocabulary-corpus", vocabularyCorpus != nil, [.tk]),
    ]
    for option in given where option.isGiven && !option.models.contains(model) {
      let owners = option.models.map(\.rawValue).joined(separator: " and ")
      throw RetortError(
        .usage, "\(option.name) belongs to \(owners); leave it out for \(model.rawValue)")
    }
    for (value, name) in [(dimension ?? 1, "the dimension"), (vocabularySize, "the vocabulary")] {
      guard (1...100_000_000).contains(value) else {
        throw RetortError(.usage, "\(name) is \(value) but must be a positive number")
      }
    }
    guard model == .tk else {
      guard !initial.isEmpty else {
        throw RetortError(.usage, "--init is missing; name the model to start from")
      }
      return
    }
    guard initial.isEmpty || embeddings == nil && vocabularyCorpus == nil && dimension == nil else {
      throw RetortError(
        .usage,
        "a TK that is trained further has its words already; leave --embeddings, "
          + "--vocabulary-corpus and --dimension out, or start without --init")
    }
  }

  /// Those that decide the weights, as a person reads them.
  var architecture: [(name: String, value: String)] {
    let width = dimension.map(String.init) ?? "as usual"
    switch model {
    case .bertDot, .bertCat: return []
    case .colbert:
      return [
        ("--variant", variant?.rawValue ?? "as the start has it"), ("--dimension", width),
        ("--query-masks", queryMasks.map { "\($0)" } ?? "as the start has it"),
      ]
    case .prettr:
      return [
        ("--split-layer", splitLayer.map(String.init) ?? "as the start has it"),
        ("--compression", compression.map(String.init) ?? "as the start has it"),
      ]
    case .tk: return [("--dimension", width), ("--vocabulary-size", "\(vocabularySize)")]
    }
  }

  /// What TK takes of the options.
  var tk: TrainableTK.Options {
    var result = TrainableTK.Options()
    result.embeddings = embeddings
    result.dimension = dimension
    result.vocabularySize = vocabularySize
    result.queryLength = queryLength
    result.passageLength = passageLength
    result.seed = seed
    return result
  }
}
