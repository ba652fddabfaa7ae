import CommandSupport
import Foundation
import Retort

/// The interactive prompt: questions, and commands that start with a colon.
struct SearchPrompt {
  private let searcher: Searcher
  private let threads: Int
  private let quiet: Bool
  private let style = Style.standardOutput()
  private var hits: Int
  private var mode: SearchMode
  private var efSearch: Int
  private var selection: PassageSelection?
  private let cascade: RerankCascade?
  private var isReranking: Bool
  private let explainer: Explainer?

  init(
    searcher: Searcher, hits: Int, mode: SearchMode, selection: PassageSelection?,
    cascade: RerankCascade?, explainer: Explainer?, threads: Int, quiet: Bool
  ) {
    self.searcher = searcher
    self.cascade = cascade
    self.explainer = explainer
    isReranking = cascade != nil
    self.selection = selection
    self.hits = hits
    self.mode = mode
    self.threads = threads
    self.quiet = quiet
    if case .graph(let ef) = mode { efSearch = ef } else { efSearch = 100 }
  }

  /// Reads and answers until the end of input.
  mutating func run() throws {
    let index = searcher.index
    if !quiet {
      writeError(
        "\(index.path): \(counted(index.count, "passage")). Ask a question; :help lists commands.")
    }
    let editor = LineEditor(prompt: "retort> ", historyName: "search")
    while true {
      switch try editor.readLine() {
      case .endOfInput: return
      case .interrupted: continue
      case .line(let line):
        let text = line.trimmingCharacters(in: .whitespacesAndNewlines)
        if text.isEmpty { continue }
        if text == ":quit" || text == ":q" { return }
        do {
          if text.hasPrefix(":") { try command(text) } else { try answer(text) }
        } catch let error as RetortError {
          // At a prompt a mistake costs a line, not the session; in a script it must be noticed.
          guard isatty(STDIN_FILENO) == 1, ![.checksumMismatch, .truncated].contains(error.code)
          else { throw error }
          if error.code == .cancelled { Interruption.clear() }
          writeError("error: \(error)")
        }
      }
    }
  }

  /// Whether words alone rank.
  private var ranksWords: Bool {
    if case .lexical = searcher.ranking { return true }
    return false
  }

  private mutating func command(_ text: String) throws {
    let words = text.split(maxSplits: 1, whereSeparator: \.isWhitespace)
    let value = words.count > 1 ? String(words[1]).trimmingCharacters(in: .whitespaces) : ""
    if words[0] == ":ef" && searcher.encoder == nil || words[0] == ":exact" && ranksWords {
      throw RetortError(
        .usage,
        "\(words[0]) is of vectors; here \(ranksWords ? "words" : "terms") alone rank the passages")
    }
    switch words[0] {
    case ":k":
      hits = try number(value, ":k", "passages a question", now: hits)
      if let few = searcher.candidates, few < hits {
        writeError("--candidates \(few) are fewer than that: \(hits) are kept")
      }
    case ":ef":
      efSearch = try number(value, ":ef", "candidates the walk keeps, at least :k", now: efSearch)
      if mode != .exact { mode = .graph(efSearch: efSearch) }
    case ":exact":
      switch value {
      case "on": mode = .exact
      case "off": mode = .graph(efSearch: efSearch)
      case "": mode = mode == .exact ? .graph(efSearch: efSearch) : .exact
      default: throw RetortError(.usage, ":exact takes on, off or nothing")
      }
      writeError(
        mode == .exact ? "exact: on, every vector is scanned" : "exact: off, ef \(efSearch)")
    case ":filter":
      selection = value.isEmpty ? nil : try searcher.index.select(Filter(value))
      writeError(
        selection.map { "filter: \($0.count) of \(counted(searcher.index.count, "passage")) pass" }
          ?? "filter: off")
    case ":rerank":
      guard cascade != nil else {
        throw RetortError(.usage, "no re-ranker was loaded; start the prompt with --rerank")
      }
      switch value {
      case "on": isReranking = true
      case "off": isReranking = false
      case "": isReranking.toggle()
      default: throw RetortError(.usage, ":rerank takes on, off or nothing")
      }
      writeError("rerank: \(isReranking ? "on" : "off")")
    case ":show":
      if value.isEmpty { throw RetortError(.usage, ":show takes the id of a passage") }
      guard let found = try searcher.index.number(of: value) else {
        throw RetortError(.usage, "no passage is called \"\(value)\"")
      }
      let passage = try searcher.index.passage(found)
      print(style(Display.sanitised(passage.id), .strong))
      TextWrapper(width: TextWrapper.terminalWidth()).lines(of: passage.text).forEach { print($0) }
      flush()
    case ":help":
      writeError(
        """
        :k N          passages a question (now \(hits))
        :ef N         candidates the graph walk keeps (now \(efSearch))
        :exact on|off scan every vector, or walk the graph (now \(mode == .exact ? "on" : "off"))
        :filter TEST  find only passages that pass, such as year >= 2019; alone: find all
        :rerank [off] let the models of --rerank decide the order (now \(isReranking ? "on" : "off"))
        :show ID      print a whole passage
        :quit         leave (also Ctrl-D)
        Anything else is a question.
        """)
    default:
      throw RetortError(.usage, "there is no command \(words[0]); :help lists them")
    }
  }

  private func number(_ value: String, _ name: String, _ what: String, now: Int) throws -> Int {
    var chosen = now
    if !value.isEmpty {
      guard let number = Int(decimal: value), (1...1_000_000).contains(number) else {
        throw RetortError(.usage, "\(name) takes a number from 1 to 1000000")
      }
      chosen = number
    }
    writeError("\(name) \(chosen): \(what)")
    return chosen
  }

  /// Prints the best passages for one question, and where the time went.
  func answer(_ question: String) throws {
    let start = monotonicSeconds()
    let statistics = SearchStatistics()
    let answer = try searcher.search(
      [question], k: max(hits, cascade?.depth ?? 0), mode: mode, among: selection, threads: threads,
      statistics: statistics)
    let found = monotonicSeconds()
    let first = answer.hits.first ?? []
    let reranked =
      isReranking
      ? try cascade?.rerank(question, first, in: searcher.index, threads: threads) : nil
    if answer.truncated > 0 {
      writeError(
        "warning: the question was longer than the model takes (\(searcher.encoder?.maxLength ?? searcher.colbert?.settings.queryLength ?? 0) "
          + "tokens); its end was cut")
    }
    if let cut = reranked?.truncated, cut > 0, !quiet {
      writeError(
        "\(counted(cut, "text")) longer than a re-ranker takes; only their starts were read")
    }
    let shown = Array((reranked?.hits ?? first).prefix(hits))
    let explanations = try reranked.flatMap { reranked in
      try self.explainer?.explanations(
        of: Query(id: "1", text: question), reranked, wanted: hits)
    }
    let fetching = monotonicSeconds()
    let wrapper = TextWrapper(width: min(TextWrapper.terminalWidth(), 100), indent: "    ")
    let explainer = ExplanationLines(style: style, indent: "    ", width: wrapper.width)
    for (rank, hit) in shown.enumerated() {
      let passage = try searcher.index.passage(hit.number)
      let place = String(rank + 1)
      print(
        String(repeating: " ", count: max(0, 2 - place.count)) + style(place, .strong) + "  "
          + style(decimals(Double(hit.score), 4), .accent) + "  "
          + style(Display.sanitised(passage.id), .strong))
      // Long passages are cut before they are wrapped: six lines of fifty megabytes need no more.
      let start = String(passage.text.prefix(6 * 4 * wrapper.width))
      wrapper.lines(of: start, limit: 6).forEach { print($0) }
      if let explanation = explanations?[rank] {
        explainer.lines(explanation).forEach { print($0) }
      }
    }
    flush()
    guard !quiet else { return }
    if shown.isEmpty {
      writeError(
        ranksWords && selection == nil
          ? "no passage holds a word of the question" : "no passage found")
    }
    let fetch = monotonicSeconds() - fetching
    func milliseconds(_ seconds: Double) -> String { decimals(seconds * 1000, 1) + " ms" }
    let reranking = reranked == nil ? "" : ", re-rank " + milliseconds(fetching - found)
    writeError(
      "encode \(milliseconds(answer.timings.encode)), search \(milliseconds(answer.timings.search))"
        + "\(reranking), fetch \(milliseconds(fetch)), total \(milliseconds(monotonicSeconds() - start))"
    )
    if let selection {
      writeError(
        "filter: \(selection.count) of \(counted(searcher.index.count, "passage")), "
          + howFound(statistics, mode, searcher.ranking))
    }
  }

  private func flush() { fflush(nil) }
}

/// How passages of a selection were found.
func howFound(
  _ statistics: SearchStatistics, _ mode: SearchMode, _ ranking: Ranking = .dense
) -> String {
  if case .lexical = ranking { return "found by their words" }
  if ranking == .terms { return "found by their terms" }
  if mode == .exact { return "found by an exact scan" }
  switch (statistics.scored > 0, statistics.scanned > 0) {
  case (true, true): return "found by graph walks and by scans of the matches"
  case (true, false): return "found by graph walks"
  default: return "found by scans of the matches"
  }
}
