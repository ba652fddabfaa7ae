import ArgumentParser
import CommandSupport
import Foundation
import Retort

/// `retort search`: one question, a prompt, or a batch.
struct SearchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "search",
    abstract: "Answer questions from an index: one, at a prompt, or a batch.",
    discussion: """
      With a question it prints the best passages and ends; without one it opens a prompt (:help \
      there); with --topics it answers a file of queries on all threads and writes a run.

        retort search indexes/msmarco "what is a retort"
        retort search indexes/msmarco
        retort search indexes/msmarco --topics queries.tsv --hits 1000 --output run.trec
        retort search indexes/news "floods" --filter 'lang = "en" and year >= 2019'
        retort search indexes/msmarco "what is a retort" --rerank cat:teacher
        retort search indexes/msmarco "what is a retort" --rerank colbert:terms --explain

      A filter compares fields of the passages (=, !=, <, <=, >, >=, in (…), exists) with texts in \
      quotes, numbers, true or false, joined by and, or, not and parentheses. A passage with several \
      values of a field passes where one of them does. k passages come back wherever as many pass.

      With --rerank a cross-encoder (cat, prettr), ColBERT (colbert) or TK (tk) reads the best --depth \
      passages and puts them in order; passages behind the depth follow in theirs, with scores that \
      fall by one.

      With --explain ColBERT shows which token of the passage each token of the question matched, its \
      place, the product and its share of the score; a cross-encoder shows for each sentence by how \
      much the score falls without it; TK shows for each kernel its part of the score, and how many of \
      the passage's words are near its cosine to each word of the question. [MASK] tokens are one line. \
      Where the index stores term vectors, those that gave the score explain it (ColBERT, TK).

      --explain-html writes the same as one web page without scripts: for every passage its rank, the \
      score of the search and of every re-ranker, and its text coloured by what the score came from. \
      With --topics it has a section a question, and --hits says how many passages are explained.

        retort search indexes/msmarco "what is a retort" --rerank colbert:terms --explain-html why.html

      An index with lexical data (`retort index build --lexical`, or `retort index add-lexical`) is \
      searched by words with --lexical: BM25 with k1 0.9 and b 0.4, that is the sum over the words of \
      the question of ln(1 + (N - df + 0.5) / (df + 0.5)) * tf / (tf + k1 * (1 - b + b * length / \
      average)). --hybrid fuses the best max(k, 100) of this ranking and of that by vectors: rrf sums \
      1 / (60 + rank); linear:W is W * words + (1 - W) * vectors after each ranking's scores were \
      brought to 0...1, (score - lowest) / (highest - lowest), 0 for what a ranking does not hold. \
      Re-rankers read what these find.

        retort search indexes/msmarco "error 0x80070057" --lexical
        retort search indexes/msmarco --topics queries.tsv --hybrid rrf --output run.trec

      With --retrieve colbert:MODEL all passages are ranked by MaxSim over the term vectors that the \
      index stores (`retort index add-terms`), in PLAID's stages: passages near the centroids nearest to \
      the question's tokens; their scores over centroids alone, of which the best --candidates and then a \
      quarter of those are kept; and these by their vectors. Everything follows from --hits: 1,024 \
      candidates for 10 hits, 4,096 for 100, 16 for each hit beyond. --exact scores every passage. \
      --filter and deletions are known before the first stage, so they never cost hits.

        retort search indexes/msmarco "what is a retort" --retrieve colbert:models/colbert

      Scores are inner products (over vectors indexed with --metric l2 squared Euclidean distances, \
      negative), or those of --retrieve, --lexical, --hybrid or the last re-ranker. Equal scores keep the order of \
      the corpus; in TREC runs each is written one unit in the last place lower than the one before, \
      so that evaluators do the same. Fewer than k passages come back only if the index has fewer, \
      if fewer pass the filter, or with --lexical if fewer hold one of the words.
      """)

  @Argument(help: "The index folder.", completion: .directory)
  var index: String

  @Argument(help: "The question. Without it, and without --topics, a prompt opens.")
  var question: String?

  @Option(help: "Queries to answer: MS MARCO tsv, JSON lines, a BEIR folder, or - .")
  var topics: String?

  @Option(help: "Vectors to search with instead of texts: .npy, .fvecs or .fbin.")
  var queryVectors: String?

  @Option(
    help: ArgumentHelp(
      "With --query-vectors: their ids, one a line (default: their numbers from 0).",
      valueName: "file"))
  var queryIds: String?

  @Option(
    name: [.customShort("k"), .long],
    help: "Passages a question (default: 10, with --topics 1000).")
  var hits: Int?

  @Option(
    help: "Candidates the graph walk keeps, at least --hits: more is slower and finds more.")
  var efSearch = 100

  @Flag(help: "Scan every vector instead of walking the graph: slow and exact.")
  var exact = false

  @OptionGroup var ranked: RankingArguments

  @Option(help: "Find only passages whose fields meet this condition.")
  var filter: String?

  @Option(
    help: ArgumentHelp(
      "Find only passages of these ids: a file, one a line, or -.", valueName: "file"))
  var filterIds: String?

  @Option(help: "trec, msmarco or jsonl (default with --topics: trec).")
  var outputFormat: RunFormat?

  @Option(name: .shortAndLong, help: "Where a run is written; - is standard output.")
  var output = "-"

  @Option(help: "The name of the run, in its last column.")
  var tag = "retort"

  @Option(help: "Where the index's model is now, if it was moved: a folder or a fetched name.")
  var model: String?

  @OptionGroup var reranking: RerankArguments

  @Flag(help: "With --rerank: show why each passage has its score.")
  var explain = false

  @Option(
    help: ArgumentHelp(
      "With --rerank, and a question or --topics: write why each passage has its score as a web page.",
      valueName: "file"))
  var explainHtml: String?

  @Flag(help: "With a question: print the answer as one JSON object.")
  var json = false

  @OptionGroup var threading: ThreadArguments

  @Flag(help: "Read the whole index before answering, so that no answer waits for the disk.")
  var warm = false

  @OptionGroup var memory: MemoryArguments

  @Flag(help: "Skip and count lines of --topics that cannot be read.")
  var skipBadLines = false

  @Flag(help: "Only results, warnings and errors.")
  var quiet = false

  func validate() throws {
    if [question, topics, queryVectors].count(where: { $0 != nil }) > 1 {
      throw ValidationError("give a question, --topics or --query-vectors, not several of them")
    }
    if queryIds != nil, queryVectors == nil {
      throw ValidationError("--query-ids needs --query-vectors")
    }
    if explain, !reranking.isGiven || topics != nil {
      throw ValidationError("--explain needs --rerank, and a question or the prompt")
    }
    try checkPage()
    try reranking.validatePrecision(retrieve: ranked.retrieve)
    try ranked.checkCandidates(
      hits: max(hits ?? (topics == nil ? 10 : 1000), reranking.deepest))
    if json, question == nil || output != "-" || outputFormat != nil {
      throw ValidationError("--json needs a question, and no --output or --output-format")
    }
    if reranking.isGiven, queryVectors != nil {
      throw ValidationError("--rerank reads questions; --query-vectors has none")
    }
    if question == nil, topics == nil, queryVectors == nil, output != "-" || outputFormat != nil {
      throw ValidationError(
        "--output and --output-format need a question, --topics or --query-vectors")
    }
    if ranked.ranking != .dense, queryVectors != nil {
      throw ValidationError("--retrieve, --lexical and --hybrid need texts, not --query-vectors")
    }
    if ranked.lexical, exact { throw ValidationError("--exact is of vectors, not of --lexical") }
    if let hits, hits < 1 { throw ValidationError("--hits must be at least 1") }
    if efSearch < 1 { throw ValidationError("--ef-search must be at least 1") }
  }

  var mode: SearchMode { exact ? .exact : .graph(efSearch: efSearch) }

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      try RawArguments.requireUTF8()
      try FileSystem.checkOutput(output)
      let queries = try topics.map {
        try readQueries(
          path: $0, skipBadLines: skipBadLines, report: { writeError("warning: \($0)") })
      }
      if let question, question.allSatisfy(\.isWhitespace) {
        throw RetortError(.usage, "the question is empty; say what to look for")
      }
      if let queryVectors {
        return try answerVectors(queryVectors)
      }
      let condition = try filter.map { try Filter($0) }
      let ids = try filterIds.map { try readIDs(path: $0) }
      let page = try page(queries ?? question.map { [Query(id: "1", text: $0)] } ?? [])
      let searcher = try searcher()
      let cascade = try reranking.cascade(over: searcher.index.manifest)
      if !quiet { cascade?.notes(over: searcher.index).forEach(writeError) }
      if warm { try searcher.index.warm() }
      let selection =
        condition == nil && ids == nil ? nil : try searcher.index.select(condition, ids: ids)
      let explainer = explainer(cascade, searcher, page)
      if let queries {
        try answer(queries, searcher, selection, cascade, explainer)
      } else if let question, json {
        try printAnswer(to: question, searcher, selection, cascade, explainer)
      } else if let question, outputFormat != nil || output != "-" {
        try answer([Query(id: "1", text: question)], searcher, selection, cascade, explainer)
      } else {
        var prompt = SearchPrompt(
          searcher: searcher, hits: hits ?? 10, mode: mode, selection: selection,
          cascade: cascade, explainer: explainer, threads: threading.threads, quiet: quiet)
        if let question { try prompt.answer(question) } else { try prompt.run() }
      }
      try page?.finish()
    }
  }

  private func searcher() throws -> Searcher {
    if ranked.retrieve != nil,
      let colbert = try ranked.colbert(reranking.options(over: IndexFolder(index).manifest()))
    {
      return try Searcher(
        path: index, colbert: colbert, candidates: ranked.candidates,
        memoryLimit: memory.memoryLimit?.bytes)
    }
    return try Searcher(
      path: index, model: ranked.lexical ? nil : try model.map(modelFolder),
      ranking: ranked.ranking, memoryLimit: memory.memoryLimit?.bytes)
  }

  /// Answers queries given as vectors and writes a run.
  private func answerVectors(_ path: String) throws {
    let index = try PassageIndex(path: index, memoryLimit: memory.memoryLimit?.bytes)
    if warm { try index.warm() }
    let table = try QueryVectors(path: path, ids: queryIds)
    guard table.dimension == index.dimension || table.count == 0 else {
      throw RetortError(
        .dimensionMismatch,
        "has vectors of \(table.dimension) dimensions, the index \(index.path) of "
          + "\(index.dimension)", path: path)
    }
    let selection =
      filter == nil && filterIds == nil
      ? nil
      : try index.select(
        try filter.map { try Filter($0) }, ids: try filterIds.map { try readIDs(path: $0) })
    let writer = try RunWriter(path: output, format: outputFormat ?? .trec, tag: tag)
    let progress = ProgressReporter(quiet: quiet)
    progress.begin("search", unit: "queries", total: table.count)
    var timings = Searcher.Timings()
    let statistics = SearchStatistics()
    for start in stride(from: 0, to: table.count, by: 256) {
      let batch = start..<min(table.count, start + 256)
      let started = monotonicSeconds()
      let answers = try index.search(
        try table.rows(batch), k: hits ?? 1000, mode: mode, among: selection,
        threads: threading.threads, statistics: statistics)
      let fetching = monotonicSeconds()
      timings.search += fetching - started
      for (number, hits) in zip(batch, answers) {
        var named: [(id: String, score: Float)] = []
        for hit in hits { named.append((try index.id(hit.number), hit.score)) }
        try writer.write(query: Query(id: table.id(number), text: ""), hits: named)
      }
      timings.fetch += monotonicSeconds() - fetching
      progress.update(batch.upperBound)
    }
    try writer.finish()
    progress.finishPhase()
    if let selection {
      progress.note(
        "filter: \(selection.count) of \(counted(index.count, "passage")), "
          + howFound(statistics, mode))
    }
    report(table.count, timings, statistics, progress)
  }

  /// Answers many queries and writes a run.
  private func answer(
    _ queries: [Query], _ searcher: Searcher, _ selection: PassageSelection?,
    _ cascade: RerankCascade?, _ explainer: Explainer?
  ) throws {
    let writer = try RunWriter(path: output, format: outputFormat ?? .trec, tag: tag)
    let progress = ProgressReporter(quiet: quiet || queries.count == 1)
    progress.begin("search", unit: "queries", total: queries.count)
    let wanted = hits ?? (topics == nil ? 10 : 1000)
    var truncated = 0
    var cutPassages = 0
    var timings = Searcher.Timings()
    let statistics = SearchStatistics()
    for start in stride(from: 0, to: queries.count, by: 256) {
      let batch = queries[start..<min(queries.count, start + 256)]
      let answer = try searcher.search(
        batch.map(\.text), k: max(wanted, cascade?.depth ?? 0), mode: mode, among: selection,
        threads: threading.threads, statistics: statistics)
      truncated += answer.truncated
      timings.encode += answer.timings.encode
      timings.search += answer.timings.search
      for (place, (query, hits)) in zip(batch, answer.hits).enumerated() {
        let started = monotonicSeconds()
        let reranked = try cascade?.rerank(
          query.text, hits, in: searcher.index, threads: threading.threads)
        let fetching = monotonicSeconds()
        if cascade != nil { timings.rerank += fetching - started }
        cutPassages += reranked?.truncated ?? 0
        var named: [(id: String, score: Float)] = []
        for hit in (reranked?.hits ?? hits).prefix(wanted) {
          named.append((try searcher.index.id(hit.number), hit.score))
        }
        try writer.write(query: query, hits: named)
        timings.fetch += monotonicSeconds() - fetching
        if let reranked, explainer?.page != nil {
          _ = try explainer?.explanations(of: query, reranked, wanted: wanted)
        }
        progress.update(start + place + 1)
      }
    }
    try writer.finish()
    progress.finishPhase()
    if truncated > 0 {
      progress.warn(Self.cutQueries(truncated))
    }
    if cutPassages > 0 {
      progress.warn(
        counted(
          cutPassages, "passage was longer than a re-ranker takes; only its start was read",
          "passages were longer than a re-ranker takes; only their starts were read"))
    }
    // One question has no progress to report, but its filter has an answer to explain.
    if let selection, !quiet {
      writeError(
        "filter: \(selection.count) of \(counted(searcher.index.count, "passage")), "
          + howFound(statistics, mode, searcher.ranking))
    }
    report(queries.count, timings, statistics, progress)
  }

  /// How many queries were cut, as a sentence.
  static func cutQueries(_ count: Int) -> String {
    counted(
      count, "query was longer than the model takes; its end was cut",
      "queries were longer than the model takes; their ends were cut")
  }

  private func report(
    _ count: Int, _ timings: Searcher.Timings, _ statistics: SearchStatistics,
    _ progress: ProgressReporter
  ) {
    func rate(_ seconds: Double) -> String {
      ProgressReporter.rate(Double(count) / max(seconds, 1e-9)) + "/s"
    }
    let encoding = timings.encode > 0 ? "encode \(rate(timings.encode)), " : ""
    let reranking = timings.rerank > 0 ? "re-rank \(rate(timings.rerank)), " : ""
    var line =
      "\(counted(count, "query")): \(encoding)search \(rate(timings.search)), "
      + "\(reranking)ids and output \(rate(timings.fetch))"
    if statistics.scored > 0 {
      line +=
        "; \(counted(statistics.scored / statistics.queries, "passage")) scored and "
        + "\(statistics.rescored / statistics.queries) scored again a query"
    }
    progress.note(line)
  }
}
