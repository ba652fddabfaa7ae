import Platform

/// What was found in a model folder, before it becomes a `Tokenizer`.
struct TokenizerPlan {
  var model: Tokenizer.Model
  var addedTokens: [AddedToken]
  var secondType: Int32
  var vocabularySize: Int
  var specialIDs: Tokenizer.SpecialIDs
  var declared: Tokenizer.DeclaredLengths
  var notes: [String]
  var fingerprint: String

  /// The files of a folder that say something about its tokenizer.
  struct Sources {
    var directory: String
    var jsonPath: String
    var jsonBytes: [UInt8] = []
    var json: TokenizerFile?
    var vocabularyPath: String
    var hasVocabularyText = false
    var configPath: String
    var config: TokenizerConfigFile?

    init(directory: String) throws(RetortError) {
      self.directory = directory
      let base = directory.hasSuffix("/") ? directory : directory + "/"
      jsonPath = base + "tokenizer.json"
      vocabularyPath = base + "vocab.txt"
      configPath = base + "tokenizer_config.json"
      switch FileSystem.kind(of: directory) {
      case .folder: break
      case .nothing:
        throw RetortError(
          .missingInput, "does not exist; name the folder of a model", path: directory)
      case .file, .other:
        throw RetortError(
          .missingInput, "is not a folder; name the folder that holds the model's files",
          path: directory)
      }
      hasVocabularyText = FileSystem.kind(of: vocabularyPath) != .nothing
      if FileSystem.kind(of: jsonPath) != .nothing {
        jsonBytes = try TokenizerJSON.bytes(jsonPath)
        json = try TokenizerJSON.decode(
          TokenizerFile.self, from: VocabularySkipper.skip(jsonBytes), path: jsonPath)
      }
      guard hasVocabularyText || json != nil else {
        let spm = ["spiece.model", "sentencepiece.bpe.model"].first {
          FileSystem.kind(of: base + $0) != .nothing
        }
        let hint =
          spm.map { "; \($0) alone is not read, save the tokenizer as tokenizer.json" }
          ?? "; copy them from the model's page"
        throw RetortError(
          .missingInput,
          "holds no tokenizer: neither tokenizer.json nor vocab.txt (with tokenizer_config.json) "
            + "is there" + hint, path: directory)
      }
      for path in [configPath, base + "special_tokens_map.json"]
      where FileSystem.kind(of: path) != .nothing {
        let bytes = try TokenizerJSON.bytes(path)
        let file = try TokenizerJSON.decode(TokenizerConfigFile.self, from: bytes, path: path)
        config = config?.completed(by: file) ?? file
      }
    }
  }

  init(directory: String, policy: SpecialTokenPolicy) throws(RetortError) {
    let sources = try Sources(directory: directory)
    let type = sources.json.map { $0.model.type ?? Self.guessedType($0.model) }
    switch type {
    case nil, "WordPiece": self = try Self.wordPiece(sources, policy)
    case "Unigram": self = try Self.unigram(sources, policy)
    case .some(let other):
      throw RetortError(
        .unsupportedVersion,
        "describes a tokenizer of type \(other); WordPiece and Unigram are supported",
        path: sources.jsonPath)
    }
  }

  init(
    model: Tokenizer.Model, addedTokens: [AddedToken], secondType: Int32, vocabularySize: Int,
    specialIDs: Tokenizer.SpecialIDs, declared: Tokenizer.DeclaredLengths, notes: [String],
    fingerprint: String
  ) {
    self.model = model
    self.addedTokens = addedTokens
    self.secondType = secondType
    self.vocabularySize = vocabularySize
    self.specialIDs = specialIDs
    self.declared = declared
    self.notes = notes
    self.fingerprint = fingerprint
  }

  /// Early files leave the model's type out; their keys tell it.
  private static func guessedType(_ model: TokenizerFile.ModelHead) -> String {
    if model.continuingSubwordPrefix != nil, model.maxInputCharsPerWord != nil {
      return "WordPiece"
    }
    return model.unkId != nil ? "Unigram" : "unknown (no model.type)"
  }

  /// What the files say about lengths, with a sentence for everything that is not followed.
  static func declaredLengths(
    _ sources: Sources, notes: inout [String]
  ) -> Tokenizer.DeclaredLengths {
    var declared = Tokenizer.DeclaredLengths()
    // Values such as 1e30 stand for "no limit".
    if let length = sources.config?.modelMaxLength, length >= 1, length < 1e9 {
      declared.modelMaximum = Int(length)
    }
    declared.truncation = sources.json?.truncation?.maxLength
    declared.padding = sources.json?.padding?.fixed
    if let padding = declared.padding {
      notes.append("tokenizer.json pads to \(padding) ids: not followed, nothing is ever padded")
    }
    if let truncation = declared.truncation {
      let other = declared.modelMaximum.map { ", tokenizer_config.json says \($0)" } ?? ""
      notes.append("tokenizer.json truncates to \(truncation) ids\(other): the caller decides")
    }
    return declared
  }

  /// The ids around texts that a post-processor gives, and the token type of a second text.
  static func template(
    _ processor: TokenizerFile.PostProcessor?, path: String
  ) throws(RetortError) -> (classification: Int32, separator: Int32, secondType: Int32)? {
    guard let processor else { return nil }
    let unsupported = RetortError(
      .unsupportedVersion,
      "has a post_processor (\(processor.type)) other than [CLS] A [SEP] and [CLS] A [SEP] B [SEP]; "
        + "use a model of the BERT or ALBERT family", path: path)
    switch processor.type {
    case "BertProcessing":
      guard let cls = processor.cls.flatMap({ Int32(exactly: $0.id) }),
        let sep = processor.sep.flatMap({ Int32(exactly: $0.id) })
      else { throw unsupported }
      return (cls, sep, 1)
    case "TemplateProcessing":
      func id(_ item: TokenizerFile.PostProcessor.Item) -> Int32? {
        guard let name = item.special?.id, let ids = processor.specialTokens?[name]?.ids,
          ids.count == 1
        else { return nil }
        return Int32(exactly: ids[0])
      }
      guard let single = processor.single, single.count == 3, let cls = id(single[0]),
        single[1].sequence?.id == "A", let sep = id(single[2])
      else { throw unsupported }
      guard let pair = processor.pair, !pair.isEmpty else { return (cls, sep, 1) }
      guard pair.count == 5, id(pair[0]) == cls, pair[1].sequence?.id == "A", id(pair[2]) == sep,
        pair[3].sequence?.id == "B", id(pair[4]) == sep,
        let second = Int32(exactly: pair[3].sequence?.typeId ?? 0), second >= 0
      else { throw unsupported }
      return (cls, sep, second)
    default: throw unsupported
    }
  }

  /// The tokens beside the pieces, from `tokenizer.json` and `tokenizer_config.json`.
  static func addedTokens(_ sources: Sources, notes: inout [String]) throws(RetortError)
    -> [AddedToken]
  {
    var tokens: [AddedToken] = []
    var ordinary = 0
    func add(_ id: Int?, _ token: TokenizerConfigFile.Added, _ path: String) throws(RetortError) {
      guard let id = id.flatMap({ Int32(exactly: $0) }), id >= 0, id < .max else {
        throw RetortError(
          .badData, "gives the added token \"\(token.content)\" no usable id", path: path)
      }
      guard !tokens.contains(where: { $0.id == id || $0.content == token.content }) else { return }
      if token.special == false { ordinary += 1 }
      tokens.append(
        AddedToken(
          content: token.content, id: id, stripsLeft: token.lstrip ?? false,
          stripsRight: token.rstrip ?? false, singleWord: token.singleWord ?? false))
    }
    for token in sources.json?.addedTokens ?? [] {
      let fields = TokenizerConfigFile.Added(
        content: token.content, special: token.special, lstrip: token.lstrip, rstrip: token.rstrip,
        singleWord: token.singleWord)
      try add(token.id, fields, sources.jsonPath)
    }
    for (id, token) in (sources.config?.addedTokensDecoder ?? [:]).ordered(by: { $0.key < $1.key })
    {
      try add(Int(id), token, sources.configPath)
    }
    if ordinary > 0 {
      notes.append(
        "\(ordinary) added tokens are not marked special: in texts they are handled like the "
          + "special ones")
    }
    return tokens
  }
}

extension TokenizerConfigFile {
  /// Fills what is missing from another file.
  fileprivate func completed(by other: TokenizerConfigFile) -> TokenizerConfigFile {
    var result = self
    result.unkToken = unkToken ?? other.unkToken
    result.clsToken = clsToken ?? other.clsToken
    result.sepToken = sepToken ?? other.sepToken
    result.padToken = padToken ?? other.padToken
    result.maskToken = maskToken ?? other.maskToken
    return result
  }
}
