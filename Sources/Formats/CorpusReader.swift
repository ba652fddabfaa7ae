import Platform

/// The passages of a corpus, one at a time, in constant memory.
///
/// Reads MS MARCO tsv, JSON lines and BEIR folders, plain or gzip, from a file or standard input
/// (`-`). A line that breaks the format throws an error with file and line, or, with
/// `skipBadLines`, is skipped and counted by reason. An empty text is no defect: the passage is
/// returned and counted. Whether ids repeat is for the caller to see.
public final class CorpusReader {
  /// The line of the passage last returned, counted from 1.
  public private(set) var lineNumber = 0
  /// Passages returned whose text is empty or blank.
  public private(set) var emptyTexts = 0
  /// Passages read so far, those of other shards included.
  package private(set) var passagesRead = 0
  private var records: TextRecordReader
  private let shard: Shard

  /// What is read: passages, or queries, which have a file of their own in a BEIR folder.
  package enum Kind: String, Sendable, Codable {
    case corpus
    case queries
  }

  /// Opens `path`: a file, a BEIR folder, or `-` for standard input.
  ///
  /// - Parameter fields: the metadata fields of JSON lines to keep.
  public convenience init(
    path: String, format: TextFormat = .auto, skipBadLines: Bool = false,
    fields: FieldSelection = .none
  ) throws(RetortError) {
    try self.init(
      path: path, format: format, skipBadLines: skipBadLines, kind: .corpus, fields: fields)
  }

  /// The same for queries, or for a part of the passages.
  package init(
    path: String, format: TextFormat, skipBadLines: Bool, kind: Kind, shard: Shard = .whole,
    fields: FieldSelection = .none
  ) throws(RetortError) {
    records = try TextRecordReader(
      path: path, format: format, member: kind.rawValue, skipBadLines: skipBadLines, fields: fields)
    self.shard = shard
  }

  /// The next passage, nil at the end.
  public func next() throws(RetortError) -> Passage? {
    while let record = try records.next() {
      passagesRead += 1
      guard shard.holds(passagesRead - 1) else {
        try Interruption.check()
        continue
      }
      lineNumber = records.lines.lineNumber
      if record.isBlank { emptyTexts += 1 }
      return Passage(id: record.id, text: record.text, fields: record.fields)
    }
    return nil
  }

  /// Lines skipped so far.
  public var badLines: Int { records.bad.count }

  /// The skipped lines by reason, such as `12 lines: missing field "id" (first: corpus.jsonl:17)`.
  public var badLineReport: [String] { records.bad.report }

  /// Metadata left out so far because it cannot be filtered by, a sentence a field.
  public var leftOutFields: [String] { records.leftOutFields }

  /// Bytes of the file read so far, compressed ones where it is gzip.
  public var bytesRead: Int { records.lines.bytesRead }

  /// The file's size in the same bytes; nil for standard input and pipes.
  public var totalBytes: Int? { records.lines.totalBytes }

  /// What errors and messages call the source: the file that is read, or `standard input`.
  public var name: String { records.lines.name }
}
