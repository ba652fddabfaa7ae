import Platform

/// How a PreTTR reads and keeps texts, as `config.json` of its folder says beside the encoder's sizes.
package struct PreTTRSettings: Sendable, Codable, Equatable {
  /// Layers that read queries and passages apart; the others read both together.
  package var joinLayerIdx: Int
  /// The position of a passage's first token: queries are no longer than that.
  ///
  /// A fixed one, whatever the query's length, so that a passage's states depend on the passage alone.
  package var passagePosition: Int
  /// Tokens of a query at most, [CLS] and [SEP] included.
  package var queryLength: Int
  /// Tokens of a passage at most, [SEP] included; it has no [CLS].
  package var passageLength: Int
  /// Numbers of a passage's token that are kept; nil: all of the encoder's width.
  package var compressionSize: Int?

  /// The shortest query, [CLS], a token and [SEP], and the shortest passage, a token and [SEP].
  private static let shortest = (query: 3, passage: 2)

  /// What `config.json` says; nil where it is of no PreTTR.
  static func read(_ files: ModelFiles) throws(RetortError) -> PreTTRSettings? {
    struct Kind: Decodable { var joinLayerIdx: Int? }
    guard try files.json("config.json", as: Kind.self)?.joinLayerIdx != nil else { return nil }
    return try files.json("config.json", as: PreTTRSettings.self)
  }

  /// Throws for what the encoder cannot do: `code` says whether options or a file are to blame.
  func check(
    _ configuration: ModelConfiguration, path: String, _ code: RetortError.Code = .usage
  ) throws(RetortError) {
    func refuse(_ message: String) -> RetortError { RetortError(code, message, path: path) }
    guard (0...configuration.layers).contains(joinLayerIdx) else {
      throw refuse(
        "cannot be split behind layer \(joinLayerIdx); choose 0...\(configuration.layers)")
    }
    guard queryLength >= Self.shortest.query, queryLength <= passagePosition,
      passagePosition < configuration.positions
    else {
      throw refuse(
        "has no room for queries of \(queryLength) tokens before passages from position "
          + "\(passagePosition) of its \(configuration.positions); choose a query length of "
          + "\(Self.shortest.query) or more, and shorter ones than the positions")
    }
    let room = configuration.positions - passagePosition
    guard (Self.shortest.passage...max(room, Self.shortest.passage)).contains(passageLength),
      room >= Self.shortest.passage
    else {
      throw refuse(
        "has room for passages of \(Self.shortest.passage)...\(room) tokens behind queries of "
          + "\(passagePosition), not of \(passageLength); choose a length inside")
    }
    guard (1...65536).contains(compressionSize ?? 1) else {
      throw refuse("cannot keep \(compressionSize ?? 0) numbers a token; choose 1...65536")
    }
  }

  /// The fields of `config.json`.
  var fields: [String: Any] {
    var fields: [String: Any] = [
      "join_layer_idx": joinLayerIdx, "passage_position": passagePosition,
      "query_length": queryLength, "passage_length": passageLength,
    ]
    fields["compression_size"] = compressionSize
    return fields
  }
}
