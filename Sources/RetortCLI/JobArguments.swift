import ArgumentParser
import Foundation
import Retort

/// How a job that encodes or scores texts works and reports.
struct JobArguments: ParsableArguments {
  @Option(help: "Texts encoded, and made safe against a crash, together.")
  var batchSize = 512

  @OptionGroup var threading: ThreadArguments

  @Flag(help: "Go on with work that did not finish; does nothing where it did.")
  var resume = false

  @Flag(help: "Skip and count lines that cannot be read instead of stopping at the first.")
  var skipBadLines = false

  @Flag(help: "No progress, only warnings and errors.")
  var quiet = false

  @Flag(help: "Print the report as JSON on standard output.")
  var json = false

  /// Runs `body`; if it is interrupted, says how to go on.
  func run(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch let error as RetortError where error.code == .cancelled {
      throw RetortError(
        .cancelled,
        "interrupted; finished batches are kept: run the same command with --resume to go on")
    }
  }
}

/// Which part of a corpus is this job's.
struct ShardArguments: ParsableArguments {
  @Option(
    name: .customLong("shard-id"),
    help:
      "The number of this shard, from 0 (default: the task's of a Slurm array or the job's index).")
  var id: Int?

  @Option(
    name: .customLong("shard-num"),
    help: """
      The number of shards (default: the size of the Slurm array, else 1); the output's name then \
      ends like -00003-of-00016.
      """)
  var count: Int?

  /// Whether any was given.
  var isGiven: Bool { id != nil || count != nil }

  func shard() throws -> Shard {
    try Shard(id: id, count: count, environment: ProcessInfo.processInfo.environment)
  }
}
