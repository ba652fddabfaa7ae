import Platform

/// The pieces of a vocabulary by their ids: to find a token of its own, and to show tokens to people.
package struct PieceTable: Sendable {
  private var names: [Int32: String] = [:]
  private var ids: [String: Int32] = [:]

  /// Reads the vocabulary of a model folder.
  package init(directory: String) throws(RetortError) {
    let sources = try TokenizerPlan.Sources(directory: directory)
    if sources.hasVocabularyText {
      let path = sources.vocabularyPath
      add(try Vocabulary(text: TokenizerJSON.bytes(path), path: path))
    } else if let json = sources.json {
      let path = sources.jsonPath
      if json.model.unkId != nil {
        let file = try TokenizerJSON.decode(
          TokenizerFile.UnigramVocabulary.self, from: sources.jsonBytes, path: path)
        for (id, piece) in file.model.vocab.enumerated() { add(piece.text, Int32(id)) }
      } else {
        let file = try TokenizerJSON.decode(
          TokenizerFile.WordPieceVocabulary.self, from: sources.jsonBytes, path: path)
        add(try Vocabulary(map: file.model.vocab, path: path))
      }
    }
    var notes: [String] = []
    for token in try TokenizerPlan.addedTokens(sources, notes: &notes) {
      add(token.content, token.id)
    }
  }

  private mutating func add(_ vocabulary: Vocabulary) {
    for piece in vocabulary.pieces { add(String(decoding: piece.bytes, as: UTF8.self), piece.id) }
  }

  private mutating func add(_ piece: String, _ id: Int32) {
    names[id] = piece
    ids[piece] = id
  }

  /// The piece of an id; `#` and the id where the vocabulary has none.
  package func name(_ id: Int32) -> String { names[id] ?? "#\(id)" }

  /// The id of a piece.
  package func id(_ piece: String) -> Int32? { ids[piece] }
}
