import Platform

extension TokenizerPlan {
  /// A WordPiece tokenizer from `vocab.txt` (preferred) or the vocabulary in `tokenizer.json`.
  static func wordPiece(
    _ sources: Sources, _ policy: SpecialTokenPolicy
  ) throws(RetortError) -> TokenizerPlan {
    var notes: [String] = []
    let path = sources.hasVocabularyText ? sources.vocabularyPath : sources.jsonPath
    var vocabulary: Vocabulary
    if sources.hasVocabularyText {
      vocabulary = try Vocabulary(text: TokenizerJSON.bytes(path), path: path)
    } else {
      let file = try TokenizerJSON.decode(
        TokenizerFile.WordPieceVocabulary.self, from: sources.jsonBytes, path: path)
      vocabulary = try Vocabulary(map: file.model.vocab, path: path)
    }
    let settings = try settings(sources, notes: &notes)
    var added = try addedTokens(sources, notes: &notes)

    func id(_ name: String) -> Int32? {
      vocabulary.id(of: name) ?? added.first { $0.content == name }?.id
    }
    let config = sources.config
    let unknownName = config?.unkToken?.content ?? sources.json?.model.unkToken ?? "[UNK]"
    let names = [
      unknownName, config?.clsToken?.content ?? "[CLS]", config?.sepToken?.content ?? "[SEP]",
    ]
    let template = try template(sources.json?.postProcessor, path: sources.jsonPath)
    let missing = names.filter { id($0) == nil }
    guard missing.isEmpty, let unknown = id(names[0]), let cls = id(names[1]),
      let sep = id(names[2])
    else {
      throw RetortError(
        .badData,
        "has no piece \(missing.joined(separator: ", ")); a WordPiece vocabulary needs "
          + "its unknown, classification and separator tokens: copy it from the model's page",
        path: path)
    }
    if let template, template.classification != cls || template.separator != sep {
      throw RetortError(
        .badData,
        "puts the ids \(template.classification) and \(template.separator) around texts, but "
          + "\(names[1]) and \(names[2]) are \(cls) and \(sep); use the files of one model",
        path: sources.jsonPath)
    }
    let maskName = config?.maskToken?.content ?? "[MASK]"
    let padName = config?.padToken?.content ?? "[PAD]"
    let special = Tokenizer.SpecialIDs(
      classification: cls, separator: sep, unknown: unknown, mask: id(maskName),
      padding: id(padName))
    for name in names + [maskName, padName] where !added.contains(where: { $0.content == name }) {
      if let id = id(name) { added.append(AddedToken(content: name, id: id)) }
    }
    for token in added { vocabulary.include(id: token.id) }

    let hidden = policy == .recognised ? [] : Set(added.map(\.id))
    let model = try WordPiece(
      vocabulary, unknown: unknown, hidden: hidden, settings: settings, path: path)
    let secondType = template?.secondType ?? 1
    return TokenizerPlan(
      model: .wordPiece(model), addedTokens: added, secondType: secondType,
      vocabularySize: vocabulary.size, specialIDs: special,
      declared: declaredLengths(sources, notes: &notes), notes: notes,
      fingerprint: fingerprint(vocabulary, settings, special, added, secondType, policy))
  }

  /// The switches, from `tokenizer_config.json`, else `tokenizer.json`, else BERT's defaults.
  private static func settings(
    _ sources: Sources, notes: inout [String]
  ) throws(RetortError) -> WordPiece.Settings {
    var settings = WordPiece.Settings()
    var lowercase: Bool?
    var strip: Bool?
    if let json = sources.json {
      guard let normalizer = json.normalizer, normalizer.type == "BertNormalizer" else {
        throw RetortError(
          .unsupportedVersion,
          "has a WordPiece model with the normalizer \(json.normalizer?.type ?? "null"); "
            + "BertNormalizer is supported", path: sources.jsonPath)
      }
      guard json.preTokenizer?.type == "BertPreTokenizer" else {
        throw RetortError(
          .unsupportedVersion,
          "has a WordPiece model with the pre_tokenizer \(json.preTokenizer?.type ?? "null"); "
            + "BertPreTokenizer is supported", path: sources.jsonPath)
      }
      settings.cleanText = normalizer.cleanText ?? true
      settings.splitCJK = normalizer.handleChineseChars ?? true
      lowercase = normalizer.lowercase
      strip = normalizer.stripAccents
      settings.continuation = json.model.continuingSubwordPrefix ?? "##"
      settings.maximumWordLength = json.model.maxInputCharsPerWord ?? 100
      guard (1...65_536).contains(settings.maximumWordLength) else {
        throw RetortError(
          .limitExceeded,
          "has max_input_chars_per_word \(settings.maximumWordLength); 1 to 65536 are supported",
          path: sources.jsonPath)
      }
    }
    if let config = sources.config {
      if config.doBasicTokenize == false {
        throw RetortError(
          .unsupportedVersion,
          "has do_basic_tokenize false; only BERT's whole tokenizer is supported",
          path: sources.configPath)
      }
      if let stated = config.doLowerCase {
        if let other = lowercase, other != stated {
          notes.append(
            "tokenizer_config.json says do_lower_case \(stated), tokenizer.json says \(other): "
              + "tokenizer_config.json is followed")
        }
        lowercase = stated
      }
      if config.statesStripAccents { strip = config.stripAccents }
      settings.splitCJK = config.tokenizeChineseChars ?? settings.splitCJK
    }
    if lowercase == nil {
      notes.append(
        "no file says whether to lower-case; texts are lower-cased, as BERT's tokenizer does")
    }
    settings.lowercase = lowercase ?? true
    settings.stripAccents = strip ?? settings.lowercase
    return settings
  }

  private static func fingerprint(
    _ vocabulary: Vocabulary, _ settings: WordPiece.Settings, _ special: Tokenizer.SpecialIDs,
    _ added: [AddedToken], _ secondType: Int32, _ policy: SpecialTokenPolicy
  ) -> String {
    var digest = Fingerprint()
    digest.add("WordPiece 1")
    for piece in vocabulary.pieces {
      digest.add(piece.bytes)
      digest.add(Int(piece.id))
    }
    digest.add(settings.cleanText)
    digest.add(settings.splitCJK)
    digest.add(settings.stripAccents)
    digest.add(settings.lowercase)
    digest.add(settings.maximumWordLength)
    digest.add(settings.continuation)
    addShape(special, added, secondType, policy, to: &digest)
    return digest.hex
  }

  /// Adds what decides ids beside the model's own pieces.
  static func addShape(
    _ special: Tokenizer.SpecialIDs, _ added: [AddedToken], _ secondType: Int32,
    _ policy: SpecialTokenPolicy, to digest: inout Fingerprint
  ) {
    digest.add(Int(special.classification))
    digest.add(Int(special.separator))
    digest.add(Int(special.unknown))
    digest.add(Int(secondType))
    digest.add(policy.rawValue)
    for token in added.ordered(by: { $0.id < $1.id }) {
      digest.add(token.content)
      digest.add(Int(token.id))
      guard policy == .recognised else { continue }
      digest.add(token.stripsLeft)
      digest.add(token.stripsRight)
      digest.add(token.singleWord)
    }
  }
}
