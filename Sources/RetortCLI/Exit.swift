import ArgumentParser
import Foundation
import Platform

/// Runs a command's work; an error goes to standard error as `retort: error: …` and decides the
/// exit code: 64 usage, 65 bad data, 66 missing input, 74 I/O, 130 interrupted, else 1.
func runReportingErrors(_ body: () throws -> Void) throws {
  do {
    try body()
  } catch let error as RetortError {
    writeError("retort: error: \(error)")
    throw ExitCode(error.exitCode)
  }
}

/// The same for work that waits.
func runReportingErrors(_ body: () async throws -> Void) async throws {
  do {
    try await body()
  } catch let error as RetortError {
    writeError("retort: error: \(error)")
    throw ExitCode(error.exitCode)
  }
}

/// Writes a line to standard error.
func writeError(_ line: String) {
  // Where standard error is closed there is nobody left to tell.
  try? FileHandle.standardError.write(contentsOf: Data((line + "\n").utf8))
}
