import ArgumentParser
import CommandSupport
import Distillation
import Models
import Platform
import Retort

/// `retort train`: triples in, a model directory out.
struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Train a ranker from triples, alone or by a teacher's scores.",
    discussion: """
      Starts from the weights of a model folder and writes a new one, which `retort index build \
      --model`, transformers and sentence-transformers load.

        retort train --model bert-dot --init minilm --teacher-scores scores.tsv -o student
        retort train --model bert-cat --init minilm --triples triples.tsv --loss ranknet -o teacher
        retort train --model colbert --init minilm --teacher-scores scores.tsv -o terms
        retort train --model prettr --init minilm --teacher-scores scores.tsv -o split
        retort train --model tk --embeddings glove.txt.gz --teacher-scores scores.tsv -o kernels

      A line of --triples is `query TAB positive TAB negative`; one of --teacher-scores has the \
      teacher's two scores (raw logits) before these. Columns are texts, or ids if --collection and \
      --queries are given.

      colbert gets a projection where the start has none, and learns further where it has one; \
      `retort rerank` and `retort search --rerank` load it as colbert:NAME. tk starts from vectors of \
      words or from nothing and is small and fast: tk:NAME. prettr is a cross-encoder of which the first \
      --split-layer layers of a passage can be computed ahead of all queries: prettr:NAME.

      With --validation-qrels queries that are not trained on are ranked every so many steps, by \
      nDCG@10 and MRR@10; the model that is written is the best of these, not the last.

      A run that is interrupted or killed keeps checkpoints in NAME.checkpoints: run the same \
      command with --resume. The weights' bytes depend on the input and these options alone, not on \
      --threads or interruptions.
      """)

  @Option(
    help: """
      A JSON object with the names of these options, without dashes, and their values; options that \
      are given go before it.
      """)
  var config: String?

  @Option(
    help: """
      bert-dot: vectors and their inner product; bert-cat: query and passage in one; colbert: a vector \
      for every token; tk: words and kernels; prettr: query and passage first apart, then in one.
      """)
  var model: RankerKind?

  @Option(
    name: .customLong("init"),
    help: "The model to start from: a folder, or a fetched one. tk may do without.")
  var initial: String?

  @Option(name: .shortAndLong, help: "The model folder to make.")
  var output: String?

  @OptionGroup(title: "Data") var data: TrainDataArguments
  @OptionGroup(title: "Model") var network: TrainModelArguments
  @OptionGroup(title: "Learning") var learning: TrainLearningArguments

  @OptionGroup(title: "Validation") var validation: TrainValidationArguments

  @Option(help: "Steps between checkpoints; 0 for none.")
  var checkpointEvery = 1000

  @OptionGroup var threading: ThreadArguments

  @Flag(help: "Go on with a run that did not finish; does nothing where it did.")
  var resume = false

  @Flag(help: "Replace a finished model, or start again.")
  var overwrite = false

  @Flag(help: "No progress, only warnings and errors.")
  var quiet = false

  @Flag(help: "Print the report as JSON on standard output.")
  var json = false

  func run() throws {
    try runReportingErrors {
      try completed().train()
    }
  }

  /// The command with what the configuration file adds.
  private func completed() throws -> Self {
    guard let config else { return self }
    let added = try TrainingConfiguration.arguments(ofFile: config)
    let given = CommandLine.arguments.drop { $0 != Self.configuration.commandName }.dropFirst()
    do {
      // What is given again later counts.
      return try Self.parse(added + given)
    } catch {
      throw RetortError(.usage, Self.message(for: error), path: config)
    }
  }

  private func train() throws {
    func named<Value>(_ value: Value?, _ name: String) throws(RetortError) -> Value {
      guard let value else {
        throw RetortError(.usage, "--\(name) is missing; give it, or name it in --config")
      }
      return value
    }
    Interruption.install()
    let model = try named(model, "model")
    let start = model == .tk ? initial : try named(initial, "init")
    var options = TrainingOptions(
      model: model, initial: try start.map { absolutePath(try modelFolder($0)) } ?? "",
      output: absolutePath(try named(output, "output")))
    data.apply(to: &options)
    try network.apply(to: &options)
    try learning.apply(to: &options)
    validation.apply(to: &options)
    options.checkpointEvery = checkpointEvery
    options.threads = threading.threads
    options.resume = resume
    options.overwrite = overwrite
    try show(try Trainer.train(options, quiet: quiet))
  }

  private func show(_ report: TrainingReport) throws {
    if json { return try printJSON(report) }
    if report.truncatedTexts > 0 {
      writeError(
        "warning: "
          + counted(
            report.truncatedTexts,
            "text of the batches was longer than the model takes; only its start was learned from",
            "texts of the batches were longer than the model takes; only their starts were learned "
              + "from"))
    }
    if report.steps > 0, report.exportedStep == 0 {
      writeError(
        "warning: no validation was better than that of the start, which is written unchanged")
    }
    guard !quiet else { return }
    guard report.steps > 0 else { return writeError("\(report.model): finished before") }
    writeError(
      "\(report.model): \(counted(report.steps, "step")) over \(counted(report.triples, "triple"))")
    if let scores = report.validation {
      if let patience = report.patienceLost {
        writeError("ended early: \(counted(patience, "validation")) in a row found nothing better")
      }
      writeError(
        """
        the weights written are those after step \(report.exportedStep), the best validation: \
        nDCG@10 \(decimals(scores.nDCG10, 4)), MRR@10 \(decimals(scores.mrr10, 4))
        """)
    }
    guard report.stepsNow > 0 else { return }
    let rate = Double(report.tokens) / max(report.seconds, 1e-9)
    writeError(
      """
      loss \(shortNumber(report.firstLoss)) at first, \(shortNumber(report.lastLoss)) at last; \
      \(ProgressReporter.duration(report.seconds)), \(ProgressReporter.rate(rate)) tokens/s, \
      \(report.bytesPerToken / 1000) kB a token, peak memory \(megabytes(report.peakBytes))
      """)
  }
}
