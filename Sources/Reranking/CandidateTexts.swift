import Formats
import Platform
import Retrieval

/// Where the texts of passages are found.
public enum PassageSource: Sendable, Equatable {
  /// The folder of an index.
  case index(String)
  /// A corpus: tsv, JSON lines or a BEIR folder.
  case corpus(String, format: TextFormat = .auto)
}

/// The texts of candidates by their ids.
///
/// Of a corpus only the texts that are asked for are kept in memory; those of an index stay on disk.
struct CandidateTexts {
  /// What became of an id.
  enum Finding: Equatable {
    case found(Int)
    case missing
    case deleted
  }

  private let index: PassageIndex?
  private var places: [ByteKey: Int] = [:]
  private var texts: [String?] = []
  /// What the texts depend on, for the plan of a run.
  private(set) var identity: String
  /// Bad lines of the corpus that were skipped, a sentence a reason.
  private(set) var skipped: [String] = []

  /// Opens an index, or reads a corpus for the texts of `ids`.
  init(
    _ source: PassageSource, ids: some Sequence<String>, skipBadLines: Bool,
    _ reporter: ProgressReporter
  ) throws(RetortError) {
    switch source {
    case .index(let path):
      let index = try PassageIndex(path: path)
      self.index = index
      let manifest = try FileSystem.read(path + "/manifest.json")
      var digest = SHA256Digest()
      digest.update(manifest)
      identity = hexadecimalText(digest.finalize())
    case .corpus(let path, let format):
      index = nil
      identity = ""
      for id in ids where places[ByteKey(id)] == nil {
        places[ByteKey(id)] = texts.count
        texts.append(nil)
      }
      try read(path, format, skipBadLines, reporter)
    }
  }

  private mutating func read(
    _ path: String, _ format: TextFormat, _ skipBadLines: Bool, _ reporter: ProgressReporter
  ) throws(RetortError) {
    let reader = try CorpusReader(path: path, format: format, skipBadLines: skipBadLines)
    reporter.begin("read", unit: "passages", total: nil)
    var count = 0
    while let passage = try reader.next() {
      count += 1
      if count % 4096 == 0 {
        try Interruption.check()
        reporter.update(count)
      }
      guard let place = places[ByteKey(passage.id)] else { continue }
      guard texts[place] == nil else {
        throw RetortError(
          .badData, "the id \"\(passage.id)\" occurs twice; ids must be unique", path: reader.name,
          at: .line(reader.lineNumber))
      }
      texts[place] = passage.text
    }
    reporter.update(count)
    reporter.finishPhase()
    skipped = reader.badLineReport
    var digest = SHA256Digest()
    // In the order in which the run names them, which is part of the plan.
    for text in texts { digest.update(Array((text ?? "").utf8) + [text == nil ? 1 : 0]) }
    identity = hexadecimalText(digest.finalize())
  }

  /// What an id stands for.
  func find(_ id: String) throws(RetortError) -> Finding {
    if let index {
      if let number = try index.number(of: id) { return .found(number) }
      return try index.isDeleted(id: id) ? .deleted : .missing
    }
    guard let place = places[ByteKey(id)], texts[place] != nil else { return .missing }
    return .found(place)
  }

  /// The terms that the index stores for a re-ranker; nil where there are none.
  func storedTerms(of reranker: any Reranker) -> StoredTerms? {
    index.flatMap { StoredTerms(reranker, in: $0) }
  }

  /// What a user should know about how a re-ranker works over these passages.
  func note(of reranker: any Reranker) -> String? {
    guard let index else { return reranker.note }
    return reranker.note(over: index)
  }

  /// The text of what was found.
  func text(_ number: Int) throws(RetortError) -> String {
    if let index { return try index.passage(number).text }
    return texts[number] ?? ""
  }
}
