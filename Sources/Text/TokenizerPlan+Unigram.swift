import Platform

extension TokenizerPlan {
  /// A unigram tokenizer from `tokenizer.json`.
  static func unigram(
    _ sources: Sources, _ policy: SpecialTokenPolicy
  ) throws(RetortError) -> TokenizerPlan {
    let path = sources.jsonPath
    guard let json = sources.json else {
      throw RetortError(.missingInput, "is needed for a unigram tokenizer", path: path)
    }
    var notes: [String] = []
    let file = try TokenizerJSON.decode(
      TokenizerFile.UnigramVocabulary.self, from: sources.jsonBytes, path: path)
    let pieces = file.model.vocab
    guard let unknown = json.model.unkId.flatMap({ Int32(exactly: $0) }), unknown >= 0,
      Int(unknown) < pieces.count
    else {
      throw RetortError(
        .badData,
        "has no model.unk_id within its \(pieces.count) pieces; texts could not be "
          + "encoded in full: copy the file from the model's page", path: path)
    }
    var added = try addedTokens(sources, notes: &notes)
    func id(_ name: String) -> Int32? {
      if let token = added.first(where: { $0.content == name }) { return token.id }
      return pieces.firstIndex { $0.text == name }.map { Int32($0) }
    }
    let config = sources.config
    let clsName = config?.clsToken?.content ?? "[CLS]"
    let sepName = config?.sepToken?.content ?? "[SEP]"
    let template = try template(json.postProcessor, path: path)
    let missing = [clsName, sepName].filter { id($0) == nil }
    guard let cls = template?.classification ?? id(clsName),
      let sep = template?.separator ?? id(sepName), cls >= 0, sep >= 0
    else {
      throw RetortError(
        .badData,
        "has no token \(missing.joined(separator: ", ")) and no post_processor; a text "
          + "cannot be closed off: copy the file from the model's page", path: path)
    }
    let maskName = config?.maskToken?.content ?? "[MASK]"
    let padName = config?.padToken?.content ?? "<pad>"
    let special = Tokenizer.SpecialIDs(
      classification: cls, separator: sep, unknown: unknown, mask: id(maskName),
      padding: id(padName))
    for name in [clsName, sepName, maskName, padName]
    where !added.contains(where: { $0.content == name }) {
      if let id = id(name) { added.append(AddedToken(content: name, id: id)) }
    }

    var hidden = policy == .recognised ? [] : Set(added.map(\.id))
    if policy == .ordinaryText { hidden.formUnion([cls, sep, unknown]) }
    let steps = try normalizerSteps(json.normalizer, path: path)
    let splitter = try splitter(json.preTokenizer, path: path)
    let model = try Unigram(
      pieces: pieces.map { ($0.text, $0.score) }, unknown: unknown,
      usesBytes: json.model.byteFallback ?? false, hidden: hidden,
      normalizer: TextNormalizer(steps: steps), splitter: splitter, path: path)
    let secondType = template?.secondType ?? 1

    var digest = Fingerprint()
    digest.add("Unigram 1")
    for piece in pieces {
      digest.add(piece.text)
      digest.add(piece.score.bitPattern)
    }
    digest.add(json.model.byteFallback ?? false)
    for line in describe(json.normalizer) + describe(json.preTokenizer) { digest.add(line) }
    addShape(special, added, secondType, policy, to: &digest)
    let size = added.reduce(pieces.count) { max($0, Int($1.id) + 1) }
    return TokenizerPlan(
      model: .unigram(model), addedTokens: added, secondType: secondType,
      vocabularySize: max(size, Int(max(cls, sep)) + 1), specialIDs: special,
      declared: declaredLengths(sources, notes: &notes), notes: notes, fingerprint: digest.hex)
  }

  /// The steps of a normaliser, sequences flattened.
  private static func normalizerSteps(
    _ step: TokenizerFile.Step?, path: String
  ) throws(RetortError) -> [TextNormalizer.Step] {
    guard let step else { return [] }
    switch step.type {
    case "Sequence":
      var result: [TextNormalizer.Step] = []
      for child in step.normalizers ?? [] { result += try normalizerSteps(child, path: path) }
      return result
    case "NFD": return [.canonical(composed: false)]
    case "NFC": return [.canonical(composed: true)]
    case "NFKD": return [.compatibility(composed: false)]
    case "NFKC": return [.compatibility(composed: true)]
    case "Lowercase": return [.lowercase]
    case "StripAccents": return [.stripAccents]
    case "Strip": return [.strip(left: step.stripLeft ?? true, right: step.stripRight ?? true)]
    case "Precompiled":
      // Models trained without a normalisation rule have an empty map.
      guard let text = step.precompiledCharsmap, !text.isEmpty else { return [] }
      return [.characterMap(try CharacterMap(base64: text, path: path))]
    case "Replace":
      let content = Array((step.content ?? "").utf8)
      if let text = step.pattern?.text, !text.isEmpty {
        return [.replace(Array(text.utf8), with: content)]
      }
      if step.pattern?.regex == " {2,}" { return [.collapseSpaces(content)] }
      throw RetortError(
        .unsupportedVersion,
        "has a Replace normalizer with the pattern \"\(step.pattern?.regex ?? "")\"; plain strings "
          + "and \" {2,}\" are supported", path: path)
    default:
      throw RetortError(
        .unsupportedVersion,
        "has a normalizer of type \(step.type); supported beside a Unigram model are Sequence, "
          + "Replace, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip and Precompiled",
        path: path)
    }
  }

  /// The splitting into words: WhitespaceSplit, Metaspace or both in this order.
  private static func splitter(
    _ step: TokenizerFile.Step?, path: String
  ) throws(RetortError) -> MetaspaceSplitter {
    var splitter = MetaspaceSplitter()
    guard let step else { return splitter }
    let steps = step.type == "Sequence" ? step.pretokenizers ?? [] : [step]
    for step in steps {
      switch step.type {
      case "WhitespaceSplit" where splitter.sign == nil: splitter.splitsWhitespace = true
      case "Metaspace" where splitter.sign == nil:
        let sign = step.replacement ?? "▁"
        let scheme = step.prependScheme ?? (step.addPrefixSpace ?? true ? "always" : "never")
        guard sign.unicodeScalars.count == 1,
          let prefix = MetaspaceSplitter.Prefix(rawValue: scheme)
        else {
          throw RetortError(
            .badData,
            "has a Metaspace pre_tokenizer with the replacement \"\(sign)\" and the "
              + "prepend_scheme \"\(scheme)\"", path: path)
        }
        splitter.sign = Array(sign.utf8)
        splitter.prefix = prefix
        splitter.cutsAtSign = step.split ?? true
      default:
        throw RetortError(
          .unsupportedVersion,
          "has a pre_tokenizer of type \(step.type) here; supported beside a Unigram model are "
            + "WhitespaceSplit, Metaspace and the Sequence of both", path: path)
      }
    }
    return splitter
  }

  /// A stable text of a step's settings, for the fingerprint.
  private static func describe(_ step: TokenizerFile.Step?) -> [String] {
    guard let step else { return ["none"] }
    let fields: [String] = [
      step.type, step.pattern?.text ?? "-", step.pattern?.regex ?? "-", step.content ?? "-",
      step.precompiledCharsmap ?? "-", step.stripLeft.map { "\($0)" } ?? "-",
      step.stripRight.map { "\($0)" } ?? "-", step.replacement ?? "-", step.prependScheme ?? "-",
      step.addPrefixSpace.map { "\($0)" } ?? "-", step.split.map { "\($0)" } ?? "-",
    ]
    return fields + (step.normalizers ?? []).flatMap { describe($0) }
      + (step.pretokenizers ?? []).flatMap { describe($0) } + ["end"]
  }
}
