/// A passage of a corpus.
public struct Passage: Sendable, Equatable {
  /// The corpus's own id; any non-empty text.
  public var id: String
  /// What is encoded and shown; may be empty.
  public var text: String
  /// Metadata to filter by: one value or more a field, ascending, each once.
  public var fields: [String: [FieldValue]]

  /// Makes a passage.
  public init(id: String, text: String, fields: [String: [FieldValue]] = [:]) {
    self.id = id
    self.text = text
    self.fields = fields
  }
}

/// A query (a topic, in TREC's words).
public struct Query: Sendable, Equatable {
  /// The id that qrels and runs use.
  public var id: String
  /// What is searched for.
  public var text: String

  /// Makes a query.
  public init(id: String, text: String) {
    self.id = id
    self.text = text
  }
}

/// How the passages or queries of a file are written.
public enum TextFormat: String, Sendable, CaseIterable {
  /// By name: `.tsv` and `.txt`, `.jsonl` and `.json` (each also with `.gz`), a folder is BEIR;
  /// any other name, and standard input, by whether the first line starts with `{`.
  case auto
  /// MS MARCO: `id TAB text`, no header, no quoting.
  case tsv
  /// One JSON object a line: `id`, `_id` or `docid` (text or integer), `text` or `contents`,
  /// and perhaps a `title`, which is put before the text.
  case jsonl
  /// A BEIR folder: `corpus.jsonl` and `queries.jsonl`, perhaps with `.gz`.
  case beir
}
