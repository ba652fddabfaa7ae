import Foundation
import Platform

/// What a run of the tool left behind.
package struct CLIResult: Sendable {
  package var standardOutput: String
  package var standardError: String
  package var exitCode: Int32
  /// The signal that ended the run, 0 for none.
  package var signal: Int32 = 0
}

/// Runs the `retort` that was built with the tests.
package enum CLIRunner {
  /// The built tool: it lies beside the test bundle.
  package static var tool: URL {
    let bundle =
      Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundleURL
      ?? URL(fileURLWithPath: CommandLine.arguments[0])
    return bundle.resolvingSymlinksInPath().deletingLastPathComponent()
      .appendingPathComponent("retort")
  }

  /// Runs the tool to its end.
  ///
  /// `input` is its standard input (empty by default), `environment` is added to this process's.
  package static func run(
    _ arguments: [String], input: [UInt8] = [], environment: [String: String] = [:]
  ) throws -> CLIResult {
    try start(arguments, input: input, environment: environment).wait()
  }

  /// Runs one of the scripts in the folder `tools`; `environment` is added to this process's.
  package static func script(
    _ path: String, _ arguments: [String], environment: [String: String] = [:]
  ) throws -> CLIResult {
    try CLIProcess(
      executable: URL(fileURLWithPath: "/bin/bash"), [path] + arguments, input: [],
      environment: environment
    ).wait()
  }

  /// Runs a shell script; `$0` in it is the tool.
  package static func shell(_ script: String) throws -> CLIResult {
    try CLIProcess(
      executable: URL(fileURLWithPath: "/bin/sh"), ["-c", script, tool.path], input: [],
      environment: [:]
    ).wait()
  }

  /// Starts the tool.
  package static func start(
    _ arguments: [String], input: [UInt8]? = [], environment: [String: String] = [:]
  ) throws -> CLIProcess {
    try CLIProcess(executable: tool, arguments, input: input, environment: environment)
  }
}

/// A running tool. Its streams go through files, so that neither side can wait for a full pipe.
package final class CLIProcess {
  private let process = Process()
  private let folder: TemporaryFolder
  private let pipe = Pipe()

  /// Starts `executable`; where `input` is nil, standard input is a pipe that stays open.
  init(
    executable: URL, _ arguments: [String], input: [UInt8]?, environment: [String: String]
  ) throws {
    folder = try TemporaryFolder("cli")
    let files = try ["in", "out", "err"].map {
      URL(fileURLWithPath: try folder.file($0, $0 == "in" ? input ?? [] : []))
    }
    process.executableURL = executable
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = input == nil ? pipe : try FileHandle(forReadingFrom: files[0])
    process.standardOutput = try FileHandle(forWritingTo: files[1])
    process.standardError = try FileHandle(forWritingTo: files[2])
    try process.run()
  }

  package var isRunning: Bool { process.isRunning }

  /// Writes to the pipe that stays open.
  package func type(_ text: String) throws {
    try pipe.fileHandleForWriting.write(contentsOf: Data(text.utf8))
  }

  /// What it has written to standard error so far.
  package func errorsSoFar() -> String {
    let bytes = try? FileSystem.read(folder.path + "/err")
    return String(decoding: bytes ?? [], as: UTF8.self)
  }

  /// Ends its standard input, the pipe.
  package func endInput() throws { try pipe.fileHandleForWriting.close() }

  /// Sends a signal.
  package func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  /// Waits until `condition` holds or the tool has ended; says whether it held.
  package func wait(until condition: () -> Bool) -> Bool {
    while !condition() {
      guard process.isRunning else { return condition() }
      usleep(200)
    }
    return true
  }

  /// Sends SIGINT, as Ctrl-C does, and waits for the end; one that takes too long is an error.
  ///
  /// An answer takes a fraction of a second. The limit leaves room for a machine that does other
  /// things at the same time, and is still far below what a command takes that goes on regardless.
  package func interrupt(limit: Double = 20) throws -> CLIResult {
    let end = monotonicSeconds() + limit
    send(SIGINT)
    while process.isRunning, monotonicSeconds() < end { usleep(1000) }
    if process.isRunning {
      send(SIGKILL)
      throw RetortError(.badData, "Ctrl-C was not answered within \(limit) s")
    }
    return try wait()
  }

  /// Waits for the end.
  package func wait() throws -> CLIResult {
    process.waitUntilExit()
    func text(_ name: String) throws -> String {
      String(decoding: try FileSystem.read(folder.path + "/" + name), as: UTF8.self)
    }
    return CLIResult(
      standardOutput: try text("out"), standardError: try text("err"),
      exitCode: process.terminationStatus,
      signal: process.terminationReason == .uncaughtSignal ? process.terminationStatus : 0)
  }
}
