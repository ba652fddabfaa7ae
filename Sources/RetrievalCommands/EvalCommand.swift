import ArgumentParser
import CommandSupport
import Evaluation
import Formats
import Foundation
import Platform

/// `retort eval`: measures of one run, or two runs side by side.
struct EvalCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "eval",
    abstract: "Measure a run against relevance judgements, or compare two runs.",
    usage: "retort eval QRELS RUN [RUN2] [MEASURE ...] [<options>]",
    discussion: """
      QRELS are TREC or MS MARCO (qid iteration document grade) or BEIR (qid document grade, \
      perhaps under a header line). A RUN is TREC (qid Q0 document rank score tag) or MS MARCO \
      (qid document rank). Files may be gzip; - is standard input.

      MEASURES are named as in ir_measures: RR@10 (MRR@10), nDCG@10, AP (MAP), AP@1000, R@1000 \
      (Recall@1000), P@10, Success@5, Judged@10, Rprec, Bpref, NumRet, NumRel, NumQ; with \
      parameters RR(rel=2)@10 and nDCG(dcg='exp-log2')@10 (quote them from the shell). Without \
      any: RR@10 nDCG@10 AP R@1000.

      Values equal trec_eval's. Documents are ordered by score, equal scores by document id, \
      larger first; the rank column of a TREC run is ignored, that of an MS MARCO run decides. \
      The mean is over all queries of QRELS, a query that the run lacks scoring 0 (trec_eval -c); \
      --only-common averages over the queries of both (trec_eval's default).

      With two runs a table shows both means, their difference, p of the paired two-sided t-test \
      and of the paired randomisation test, and on how many queries the second run is better, \
      equal and worse.

      --depth-sweep CANDIDATES measures a re-ranked RUN at every re-ranking depth from its one \
      scoring: at depth n only documents that are among the first n of the run CANDIDATES count, in \
      the order of RUN. The last line names the best depth of every measure; choose it on other \
      queries than you report.

      EXAMPLES
        retort eval qrels.txt run.trec RR@10 nDCG@10
        retort eval qrels.dl19.txt run.trec --rel 2 nDCG@10 AP@1000 R@1000
        retort eval qrels.txt bm25.trec dense.trec 'nDCG@10'
        retort eval qrels.txt cat.trec nDCG@10 --depth-sweep bm25.trec --svg depth.svg
        retort search … --output - | retort eval qrels.txt - -q
      """)

  @Argument(
    help: ArgumentHelp(
      "QRELS RUN [RUN2] [MEASURE …]: files first, then measures.", valueName: "argument"))
  var arguments: [String] = []

  @Flag(name: [.customShort("q"), .long], help: "Print every query's values, then the summary.")
  var perQuery = false

  @Option(name: .shortAndLong, help: "Decimals to print, 0 to 17.")
  var precision = 4

  @Flag(help: "Print one JSON object.")
  var json = false

  @Option(
    help: ArgumentHelp(
      "The lowest grade that is relevant, for measures that do not name theirs; not for nDCG.",
      valueName: "grade"))
  var rel = 1

  @Flag(help: "Average over the queries that run and qrels share.")
  var onlyCommon = false

  @Option(
    help: ArgumentHelp(
      "Compare scores with 32 bits, as trec_eval 9, or 64, as trec_eval 10: float32 or float64.",
      valueName: "type"))
  var scores = RunEvaluation.ScorePrecision.float32

  @Option(
    help: ArgumentHelp(
      "How the runs are written: auto, trec or msmarco.", valueName: "format"))
  var runFormat = Run.Layout.auto

  @Option(help: "Permutations of the randomisation test.")
  var permutations = 10_000

  @Option(help: "Seed of the randomisation test.")
  var seed: UInt64 = 42

  @Option(
    help: ArgumentHelp(
      "The run that RUN re-ranked: measure RUN at every depth of it.", valueName: "candidates"))
  var depthSweep: String?

  @Option(
    help: ArgumentHelp(
      "With --depth-sweep: depths, separated by commas (default: 1,2,5,10,20,50 and so on).",
      valueName: "list"))
  var depths: String?

  @Option(help: "With --depth-sweep: write the curves as an SVG file.")
  var svg: String?

  @Option(
    help: ArgumentHelp(
      """
      With --depth-sweep: the share of RUN's documents that may be missing from the candidates \
      (default: 0.01).
      """,
      valueName: "share"))
  var maxUnknown: Double?

  @Flag(
    help: """
      Skip and count lines of qrels and runs that cannot be read; the measures are those of the rest.
      """)
  var skipBadLines = false

  func validate() throws {
    guard (0...1).contains(maxUnknown ?? 0) else {
      throw ValidationError("--max-unknown must lie in 0...1.")
    }
    guard depthSweep != nil || (depths == nil && svg == nil && maxUnknown == nil) else {
      throw ValidationError("--depths, --svg and --max-unknown need --depth-sweep.")
    }
    guard depthSweep == nil || !perQuery else {
      throw ValidationError("--depth-sweep has no values of single queries; leave -q out.")
    }
    guard (0...17).contains(precision) else {
      throw ValidationError("--precision must be from 0 to 17.")
    }
    guard rel >= 1 else { throw ValidationError("--rel must be at least 1.") }
    guard (1...10_000_000).contains(permutations) else {
      throw ValidationError("--permutations must be from 1 to 10000000.")
    }
  }

  func run() throws {
    try runReportingErrors {
      let (files, measures) = try split()
      if let depthSweep { return try sweep(files, measures, candidates: depthSweep) }
      let qrels = try self.qrels(files[0])
      let evaluations = try files.dropFirst().map { path in
        let run = try self.run(path)
        let evaluation = RunEvaluation(
          run, against: qrels, measures: measures, queries: onlyCommon ? .common : .allJudged,
          scores: scores, relevance: rel)
        try warn(evaluation, path)
        return evaluation
      }
      let comparison =
        evaluations.count == 2
        ? RunComparison.compare(
          evaluations[0], evaluations[1], permutations: permutations, seed: seed) : nil
      let report = EvalReport(
        runs: Array(zip(files.dropFirst(), evaluations)), comparison: comparison,
        precision: precision, perQuery: perQuery)
      print(json ? try report.json() : report.text(), terminator: "")
    }
  }

  func qrels(_ path: String) throws(RetortError) -> Qrels {
    try Qrels(path: path, skipBadLines: skipBadLines) { writeError("warning: \($0)") }
  }

  func run(_ path: String) throws(RetortError) -> Run {
    try Run(path: path, layout: runFormat, skipBadLines: skipBadLines) {
      writeError("warning: \($0)")
    }
  }

  /// Files and measures among the arguments, with an error for what can be neither.
  private func split() throws(RetortError) -> (files: [String], measures: [Measure]) {
    var files: [String] = []
    var measures: [Measure] = []
    for argument in arguments {
      let isMeasure = Measure.looksLikeMeasure(argument) || argument.contains("@")
      if isMeasure, FileSystem.kind(of: argument) == .nothing {
        measures.append(try Measure(argument))
      } else if files.count == 3 {
        // One file too many: most likely a measure with a typing error. Its own error says more.
        measures.append(try Measure(argument))
      } else {
        files.append(argument)
      }
    }
    guard files.count >= 2 else {
      throw RetortError(
        .usage, "qrels and a run are needed: retort eval QRELS RUN [RUN2] [MEASURE …]")
    }
    guard files.filter({ $0 == "-" }).count <= 1 else {
      throw RetortError(.usage, "standard input (-) can be read only once")
    }
    return (files, measures.isEmpty ? Measure.defaults : measures)
  }

  /// Says on standard error which queries do not match.
  private func warn(_ evaluation: RunEvaluation, _ path: String) throws(RetortError) {
    let judged = evaluation.queryIDs.count + (onlyCommon ? evaluation.missingQueries : 0)
    let name = path == "-" ? "standard input" : path
    if evaluation.missingQueries == judged {
      throw RetortError(
        .badData,
        "holds none of the \(counted(judged, "judged query")); check that run and qrels belong together",
        path: name)
    }
    if evaluation.missingQueries > 0 {
      writeError(
        "\(name): \(evaluation.missingQueries) of \(counted(judged, "judged query")) missing, "
          + (onlyCommon ? "not counted" : "counted as 0 (--only-common leaves them out)"))
    }
    if evaluation.unjudgedQueries > 0 {
      writeError(
        "\(name): \(counted(evaluation.unjudgedQueries, "query")) without judgements, not counted")
    }
  }
}

extension RunEvaluation.ScorePrecision: ExpressibleByArgument {}
extension Run.Layout: ExpressibleByArgument {}
