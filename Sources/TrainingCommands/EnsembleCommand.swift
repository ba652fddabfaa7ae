import ArgumentParser
import CommandSupport
import Distillation
import Platform
import Retort

/// `retort ensemble`: several teachers in, one out.
struct EnsembleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ensemble",
    abstract: "Combine the scores of several teachers into those of one.",
    discussion: """
      Each file has a teacher's scores of triples, a line each: positive score, negative score, query, \
      positive, negative, separated by TAB; ids or texts. The result has the lines of the first file \
      with the combined scores, and goes to `retort train --teacher-scores`. OUTPUT.json says what it \
      was made of.

        retort ensemble t1.tsv t2.tsv t3.tsv --method mean -o t2-mean.tsv
        retort ensemble t1.tsv t2.tsv t3.tsv --method pile -o pile.tsv

      mean            the arithmetic mean
      z-mean          the mean after scaling every teacher to mean 0 and deviation 1
      best-single     the teacher with the highest nDCG@10 against the labels
      label-weighted  per query, weights by the teachers' agreement with the labels
      rank-fusion     reciprocal-rank fusion per query, on the scale of the mean
      vote            the teachers of the majority's side of a --student's score
      pile            the mean, with pairs that contradict the labels moved by the teachers that \
      have them right (a reconstruction of Pairwise Iterative Logits Ensemble, Cai et al. 2022)
      pile-weights    the same with weights of teachers in the place of margins

      Labels are the triples' own (the positive passage is better than the negative one), or the \
      grades of --qrels, where passages without a grade take no part.
      """)

  @Argument(help: "Teachers' score files.", completion: .file())
  var teachers: [String]

  @Option(
    help: ArgumentHelp(
      "How scores are combined: "
        + EnsembleMethod.allCases.map(\.rawValue).joined(separator: ", ") + "."))
  var method = EnsembleMethod.mean

  @Option(name: .shortAndLong, help: "The file to make.")
  var output: String

  @Option(help: "Judgements (TREC, MS MARCO or BEIR qrels) in the place of the triples' order.")
  var qrels: String?

  @Option(help: "vote: the student's scores of the same triples.")
  var student: String?

  @Option(help: "pile: what happens to a pair that all teachers have wrong, abstain or nudge.")
  var policy = PairwiseIterativeEnsemble.Policy.abstain

  @Option(help: "pile: the margin that a grade's difference of 1 must have at least.")
  var floor = 0.0

  @Option(help: "pile, pile-weights: how far a step goes (default: 0.5 and 1).")
  var rate: Double?

  @Flag(help: "Leave out triples that a teacher has not scored, and count them.")
  var skipMissing = false

  @Flag(help: "Skip and count lines that cannot be read instead of stopping at the first.")
  var skipBadLines = false

  @Flag(help: "Replace a file that exists.")
  var overwrite = false

  @Flag(help: "No progress, only warnings and errors.")
  var quiet = false

  @Flag(help: "Print the report as JSON on standard output.")
  var json = false

  func run() throws {
    try runReportingErrors {
      Interruption.install()
      var options = EnsembleOptions(teachers: teachers, output: output)
      options.method = method
      options.qrels = qrels
      options.student = student
      options.policy = policy
      options.floor = floor
      options.rate = rate
      options.skipMissing = skipMissing
      options.skipBadLines = skipBadLines
      options.overwrite = overwrite
      try show(try TeacherEnsemble.combine(options, quiet: quiet))
    }
  }

  private func show(_ report: EnsembleReport) throws {
    if report.leftOut > 0 {
      writeError(
        "warning: \(counted(report.leftOut, "triple")) left out: a teacher has not scored them")
    }
    if json { return try printJSON(report) }
    guard !quiet else { return }
    for teacher in report.teachers {
      writeError(
        "\(teacher.path): mean \(decimals(teacher.mean, 3)), deviation "
          + "\(decimals(teacher.deviation, 3)), \(share(teacher.wrongPairs, report))")
    }
    if let chosen = report.chosen { writeError("best: \(chosen)") }
    writeError(
      """
      \(output): \(counted(report.triples, "triple")), mean \(decimals(report.mean, 3)), deviation \
      \(decimals(report.deviation, 3)), \(share(report.wrongInResult, report)) (mean of the \
      teachers: \(report.wrongInMean))
      """)
  }

  private func share(_ wrong: Int, _ report: EnsembleReport) -> String {
    "\(wrong) of \(counted(report.labelledPairs, "labelled pair")) wrong"
  }
}

extension EnsembleMethod: ExpressibleByArgument {}
extension PairwiseIterativeEnsemble.Policy: ExpressibleByArgument {}
