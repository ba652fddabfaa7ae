import ArgumentParser
import Foundation
import Retort

/// How a job that encodes or scores texts works and reports.
package struct JobArguments: ParsableArguments {
  @Option(help: "Texts encoded, and made safe against a crash, together.")
  package var batchSize = 512

  @OptionGroup package var threading: ThreadArguments

  @Flag(help: "Go on with work that did not finish; does nothing where it did.")
  package var resume = false

  @Flag(help: "Skip and count lines that cannot be read instead of stopping at the first.")
  package var skipBadLines = false

  @Flag(help: "No progress, only warnings and errors.")
  package var quiet = false

  @Flag(help: "Print the report as JSON on standard output.")
  package var json = false

  package init() {}

  /// Runs `body`; if it is interrupted, says how to go on.
  package func run(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch let error as RetortError where error.code == .cancelled {
      throw RetortError(
        .cancelled,
        "interrupted; finished batches are kept: run the same command with --resume to go on")
    }
  }
}

/// What a job takes that works on queries one by one, writes one file of them and can go on with it.
package struct QueryJobArguments: ParsableArguments {
  @Option(name: .shortAndLong, help: "The file to make; - is standard output.")
  package var output: String

  @OptionGroup package var threading: ThreadArguments

  @Flag(help: "Go on with work that did not finish; does nothing where it did.")
  package var resume = false

  @Flag(help: "Replace a finished file, or start again.")
  package var overwrite = false

  @Flag(
    help: "Skip and count lines of texts and triples that cannot be read (not of runs and qrels).")
  package var skipBadLines = false

  @Flag(help: "No progress, only warnings and errors.")
  package var quiet = false

  @Flag(help: "Print the report as JSON on standard output.")
  package var json = false

  package init() {}

  package func validate() throws {
    guard !json || output != "-" else {
      throw ValidationError("--json and --output - would both print; name a file")
    }
  }

  /// Shows the report of `body`, which is nil where the work was finished before; if it is
  /// interrupted, says how to go on.
  package func run<Report>(
    _ body: () throws -> Report?, show: (Report) throws -> Void
  ) throws {
    do {
      guard let report = try body() else {
        if !quiet { writeError("\(output): finished before; there is nothing to do") }
        return
      }
      try show(report)
    } catch let error as RetortError where error.code == .cancelled {
      let kept =
        output == "-"
        ? "" : "; finished queries are kept: run the same command with --resume to go on"
      throw RetortError(.cancelled, "interrupted" + kept)
    }
  }
}

/// Which part of a corpus is this job's.
package struct ShardArguments: ParsableArguments {
  @Option(
    name: .customLong("shard-id"),
    help:
      "The number of this shard, from 0 (default: the task's of a Slurm array or the job's index).")
  package var id: Int?

  @Option(
    name: .customLong("shard-num"),
    help: """
      The number of shards (default: the size of the Slurm array, else 1); the output's name then \
      ends like -00003-of-00016.
      """)
  package var count: Int?

  package init() {}

  /// Whether any was given.
  package var isGiven: Bool { id != nil || count != nil }

  package func shard() throws -> Shard {
    try Shard(id: id, count: count, environment: ProcessInfo.processInfo.environment)
  }
}
