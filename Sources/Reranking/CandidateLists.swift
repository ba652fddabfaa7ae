import Formats
import Platform

/// A run's candidates, query by query, with what is known of each.
struct CandidateLists {
  struct List {
    var query: Query
    /// Best first; only those whose text is known.
    var candidates: [(id: String, text: Int)]
    /// How many of them are scored.
    var depth: Int
  }

  private(set) var lists: [List] = []
  let texts: CandidateTexts
  /// What was counted on the way.
  private(set) var report = RunRerankingReport()
  /// What a user should hear of.
  private(set) var warnings: [String] = []

  /// Candidates to be scored.
  var count: Int { lists.reduce(0) { $0 + $1.depth } }

  init(_ options: RunRerankingOptions, _ reporter: ProgressReporter) throws(RetortError) {
    var notes: [String] = []
    let queries = try readQueries(
      path: options.topics, skipBadLines: options.skipBadLines, report: { notes.append($0) })
    let known = Dictionary(queries.map { (ByteKey($0.id), $0) }) { first, _ in first }
    let run = try Run(path: options.run, layout: options.runLayout)
    let ids = Set(run.queryIDs.map(ByteKey.init))
    let silent = queries.count { !ids.contains(ByteKey($0.id)) }
    if silent > 0 {
      notes.append("\(silent) of \(queries.count) queries have no candidates in \(options.run)")
    }
    var named: [(query: Query, ids: [String])] = []
    for (place, id) in run.queryIDs.enumerated() {
      let rows = run.rankedRows(place)
      guard let query = known[ByteKey(id)] else {
        report.unknownQueries += rows.count
        continue
      }
      named.append((query, rows.map { run.table.documents[$0] }))
    }
    texts = try CandidateTexts(
      options.passages, ids: named.lazy.flatMap(\.ids), skipBadLines: options.skipBadLines,
      reporter)
    notes += texts.skipped.map { "skipped " + $0 }
    var firstMissing: String?
    for (query, ids) in named {
      try Interruption.check()
      var list = List(query: query, candidates: [], depth: 0)
      for id in ids {
        switch try texts.find(id) {
        case .found(let text): list.candidates.append((id, text))
        case .deleted: report.deletedPassages += 1
        case .missing:
          report.missingPassages += 1
          firstMissing = firstMissing ?? id
        }
      }
      list.depth = min(options.depth ?? list.candidates.count, list.candidates.count)
      report.behindDepth += list.candidates.count - list.depth
      if !list.candidates.isEmpty { lists.append(list) }
    }
    report.queries = lists.count
    report.candidates = count
    warnings = notes
    try judge(run, firstMissing, options)
  }

  /// Refuses a run most of which is about other queries or passages.
  private mutating func judge(
    _ run: Run, _ firstMissing: String?, _ options: RunRerankingOptions
  ) throws(RetortError) {
    if report.deletedPassages > 0 {
      warnings.append(
        "\(report.deletedPassages) of \(counted(run.count, "candidate")) "
          + "\(report.deletedPassages == 1 ? "was" : "were") deleted from the index, left out")
    }
    let unknown = report.unknownQueries + report.missingPassages
    guard unknown > 0 || lists.isEmpty else { return }
    var parts: [String] = []
    if report.unknownQueries > 0 {
      parts.append("\(report.unknownQueries) name a query that \(options.topics) does not have")
    }
    if let firstMissing {
      let name =
        switch options.passages {
        case .index(let path): path
        case .corpus(let path, _): path
        }
      parts.append(
        "\(report.missingPassages) name a passage that \(name) does not have (first: "
          + "\"\(firstMissing)\")")
    }
    if parts.isEmpty { parts.append("none is left") }
    let what = "of \(run.count) candidates " + parts.joined(separator: " and ")
    guard !lists.isEmpty, Double(unknown) / Double(run.count) <= options.maxUnknown else {
      throw RetortError(
        .badData, what + "; name the files that belong together, or allow more with --max-unknown",
        path: options.run)
    }
    warnings.append(what + "; they are left out")
  }
}
