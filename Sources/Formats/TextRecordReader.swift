import Platform

/// The id–text records of a file: what corpora and query files have in common.
struct TextRecordReader {
  let lines: LineReader
  private(set) var bad: BadLineTally
  private var parser: TextRecordParser?
  private let fields: FieldSelection

  /// Sentences about metadata that was left out.
  var leftOutFields: [String] { parser?.leftOut.report ?? [] }

  /// `member` is the file's stem inside a BEIR folder: `corpus` or `queries`.
  init(
    path: String, format: TextFormat, member: String, skipBadLines: Bool,
    fields: FieldSelection = .none
  ) throws(RetortError) {
    let isFolder = path != "-" && FileSystem.kind(of: path) == .folder
    if isFolder, format == .tsv || format == .jsonl {
      throw RetortError(
        .usage, "is a folder; --format \(format.rawValue) reads files: name one", path: path)
    }
    lines = try LineReader(path: isFolder ? Self.find(member, in: path) : path)
    bad = BadLineTally(skips: skipBadLines)
    self.fields = fields
    switch format {
    case .tsv: parser = TextRecordParser(.tsv)
    case .jsonl, .beir: parser = TextRecordParser(.jsonl, fields: fields)
    case .auto where isFolder: parser = TextRecordParser(.jsonl, fields: fields)
    case .auto: parser = Self.layout(ofName: path).map { TextRecordParser($0, fields: fields) }
    }
  }

  /// The next record, nil at the end.
  mutating func next() throws(RetortError) -> TextRecord? {
    while try lines.next() {
      if let defect = lines.defect {
        try bad.add(BadLine(defect), from: lines)
        continue
      }
      do throws(BadLine) {
        if let record = try lines.withLine({ line throws(BadLine) in try parse(line) }) {
          return record
        }
      } catch {
        try bad.add(error, from: lines)
      }
    }
    return nil
  }

  private mutating func parse(_ line: Span<UInt8>) throws(BadLine) -> TextRecord? {
    if parser == nil {
      // Neither option nor name told the format: the first byte that is not blank does.
      var first = 0
      while first < line.count, isSpace(line[first]) { first += 1 }
      if first == line.count { return nil }
      let layout: TextRecordParser.Layout = line[first] == UInt8(ascii: "{") ? .jsonl : .tsv
      parser = TextRecordParser(layout, fields: fields)
    }
    return try parser?.parse(line)
  }

  private static func find(_ member: String, in folder: String) throws(RetortError) -> String {
    for name in ["\(folder)/\(member).jsonl", "\(folder)/\(member).jsonl.gz"]
    where FileSystem.kind(of: name) == .file {
      return name
    }
    throw RetortError(
      .missingInput,
      "is a folder without \(member).jsonl or \(member).jsonl.gz; name a BEIR "
        + "folder or a file", path: folder)
  }

  private static func layout(ofName path: String) -> TextRecordParser.Layout? {
    var name = path.lowercased()
    if name.hasSuffix(".gz") { name.removeLast(3) }
    if name.hasSuffix(".tsv") || name.hasSuffix(".txt") { return .tsv }
    if name.hasSuffix(".jsonl") || name.hasSuffix(".json") { return .jsonl }
    return nil
  }
}

extension TextRecord {
  /// Whether the text holds nothing but ASCII white space.
  var isBlank: Bool { text.utf8.allSatisfy(isSpace) }
}
