import Foundation
import Platform

/// A token as the JSON files name it: a string, or an object with `content`.
struct TokenName: Decodable {
  var content: String

  private enum Key: CodingKey { case content }

  init(from decoder: any Decoder) throws {
    if let plain = try? decoder.singleValueContainer().decode(String.self) {
      content = plain
    } else {
      content = try decoder.container(keyedBy: Key.self).decode(String.self, forKey: .content)
    }
  }
}

/// `tokenizer_config.json` and `special_tokens_map.json`, as far as they matter here.
struct TokenizerConfigFile: Decodable {
  struct Added: Decodable {
    var content: String
    var special: Bool?
    var lstrip: Bool?
    var rstrip: Bool?
    var singleWord: Bool?
  }

  var doLowerCase: Bool?
  /// Whether `strip_accents` is there at all; null means "as lower-casing says".
  var statesStripAccents = false
  var stripAccents: Bool?
  var tokenizeChineseChars: Bool?
  var doBasicTokenize: Bool?
  var modelMaxLength: Double?
  var unkToken: TokenName?
  var clsToken: TokenName?
  var sepToken: TokenName?
  var padToken: TokenName?
  var maskToken: TokenName?
  var addedTokensDecoder: [String: Added]?

  enum CodingKeys: CodingKey {
    case doLowerCase, stripAccents, tokenizeChineseChars, doBasicTokenize, modelMaxLength
    case unkToken, clsToken, sepToken, padToken, maskToken, addedTokensDecoder
  }

  init() {}

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    doLowerCase = try values.decodeIfPresent(Bool.self, forKey: .doLowerCase)
    statesStripAccents = values.contains(.stripAccents)
    stripAccents = try values.decodeIfPresent(Bool.self, forKey: .stripAccents)
    tokenizeChineseChars = try values.decodeIfPresent(Bool.self, forKey: .tokenizeChineseChars)
    doBasicTokenize = try values.decodeIfPresent(Bool.self, forKey: .doBasicTokenize)
    modelMaxLength = try values.decodeIfPresent(Double.self, forKey: .modelMaxLength)
    unkToken = try values.decodeIfPresent(TokenName.self, forKey: .unkToken)
    clsToken = try values.decodeIfPresent(TokenName.self, forKey: .clsToken)
    sepToken = try values.decodeIfPresent(TokenName.self, forKey: .sepToken)
    padToken = try values.decodeIfPresent(TokenName.self, forKey: .padToken)
    maskToken = try values.decodeIfPresent(TokenName.self, forKey: .maskToken)
    addedTokensDecoder = try values.decodeIfPresent(
      [String: Added].self, forKey: .addedTokensDecoder)
  }
}

/// `tokenizer.json` without the vocabulary, which is decoded apart and only where it is needed.
struct TokenizerFile: Decodable {
  struct Truncation: Decodable { var maxLength: Int? }

  struct Padding: Decodable {
    private struct Fixed: Decodable {
      var length: Int
      enum CodingKeys: String, CodingKey { case length = "Fixed" }
    }
    /// The length of `{"strategy": {"Fixed": n}}`; nil for `"BatchLongest"`.
    var fixed: Int?
    private enum Key: CodingKey { case strategy }
    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: Key.self)
      fixed = try? values.decode(Fixed.self, forKey: .strategy).length
    }
  }

  struct Added: Decodable {
    var id: Int
    var content: String
    var special: Bool?
    var lstrip: Bool?
    var rstrip: Bool?
    var singleWord: Bool?
  }

  /// A normaliser or pre-tokenizer: its type and every field any of the known types has.
  struct Step: Decodable {
    struct Pattern: Decodable {
      var text: String?
      var regex: String?
      enum CodingKeys: String, CodingKey {
        case text = "String"
        case regex = "Regex"
      }
    }
    var type: String
    var normalizers: [Step]?
    var pretokenizers: [Step]?
    var cleanText: Bool?
    var handleChineseChars: Bool?
    var stripAccents: Bool?
    var lowercase: Bool?
    var pattern: Pattern?
    var content: String?
    var precompiledCharsmap: String?
    var stripLeft: Bool?
    var stripRight: Bool?
    var replacement: String?
    var addPrefixSpace: Bool?
    var prependScheme: String?
    var split: Bool?
  }

  /// The template of special tokens, in any of its two notations.
  struct PostProcessor: Decodable {
    struct Special: Decodable {
      var id: String
      var typeId: Int?
    }
    struct Item: Decodable {
      var special: Special?
      var sequence: Special?
      enum CodingKeys: String, CodingKey {
        case special = "SpecialToken"
        case sequence = "Sequence"
      }
    }
    struct Ids: Decodable { var ids: [Int] }
    /// `["[SEP]", 102]`
    struct Pair: Decodable {
      var id: Int
      init(from decoder: any Decoder) throws {
        var values = try decoder.unkeyedContainer()
        _ = try values.decode(String.self)
        id = try values.decode(Int.self)
      }
    }
    var type: String
    var single: [Item]?
    var pair: [Item]?
    var specialTokens: [String: Ids]?
    var sep: Pair?
    var cls: Pair?
  }

  struct ModelHead: Decodable {
    var type: String?
    var unkToken: String?
    var continuingSubwordPrefix: String?
    var maxInputCharsPerWord: Int?
    var unkId: Int?
    var byteFallback: Bool?
  }

  var truncation: Truncation?
  var padding: Padding?
  var addedTokens: [Added]?
  var normalizer: Step?
  var preTokenizer: Step?
  var postProcessor: PostProcessor?
  var model: ModelHead

  /// The vocabulary of a WordPiece model.
  struct WordPieceVocabulary: Decodable {
    struct Model: Decodable { var vocab: [String: Int] }
    var model: Model
  }

  /// The vocabulary of a unigram model.
  struct UnigramVocabulary: Decodable {
    struct Piece: Decodable {
      var text: String
      var score: Double
      init(from decoder: any Decoder) throws {
        var values = try decoder.unkeyedContainer()
        text = try values.decode(String.self)
        score = try values.decode(Double.self)
      }
    }
    struct Model: Decodable { var vocab: [Piece] }
    var model: Model
  }
}

/// Reading JSON with errors that say which key of which file is wrong.
enum TokenizerJSON {
  /// Larger tokenizer files than this are refused; the largest known ones have 35 MB.
  private static let limit = 1 << 28

  static func bytes(_ path: String) throws(RetortError) -> [UInt8] {
    try FileSystem.read(path, limit: limit)
  }

  static func decode<Value: Decodable>(
    _ type: Value.Type, from bytes: [UInt8], path: String
  ) throws(RetortError) -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    do {
      return try decoder.decode(type, from: Data(bytes))
    } catch {
      throw RetortError(
        .badData, describe(error) + "; copy the file again from the model's page", path: path)
    }
  }

  private static func describe(_ error: any Error) -> String {
    func place(_ context: DecodingError.Context) -> String {
      let keys = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }
      return keys.isEmpty ? "the top level" : "\"" + keys.joined(separator: ".") + "\""
    }
    guard let error = error as? DecodingError else { return "cannot be read as JSON (\(error))" }
    switch error {
    case .keyNotFound(let key, let context):
      return "has no key \"\(key.stringValue)\" at \(place(context))"
    case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
      return "has something else than \(type) at \(place(context))"
    case .dataCorrupted(let context):
      let detail = context.underlyingError.map { ": \($0)" } ?? ""
      return "is not valid JSON (\(context.debugDescription)\(detail))"
    @unknown default: return "cannot be read as JSON (\(error))"
    }
  }
}
